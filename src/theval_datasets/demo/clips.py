"""The sample's clips: speech, movement of the face, and encoding."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.media import ffmpeg_binary
from theval_datasets.utils.files import atomic_write

from .face import SIDE, Image, Pose, render
from .speech import Voice, speak

FPS: Final = 25
THREADS: Final = 4
"""Number of encoder threads: fixed, because libx264's bytes depend on it."""
_CLOSED: Final = -7.0
_WIDE: Final = 9.0
_PAUSE: Final = 0.6
_LEAD: Final = 0.35
_AMERICAN: Final = Voice("en-us")


@dataclass(frozen=True, slots=True)
class SampleClip:
    """One clip of the sample.

    Attributes:
        name: Stem of its file.
        about: Description in a few words.
        sentences: Spoken sentences, with pauses in between; none for digital silence.
        voice: Voice of the speech.
        seed: Seed of the movements of head and eyes.
        motion: Amplitude of head movement; 1 is calm.
        speed: Speed of head movement; 1 is calm.
        mouth: Degree to which the mouth follows the voice: 1 fully, 0 not at all.
        lag: Delay of the mouth behind the sound, in seconds.
        blur: Standard deviation of a Gaussian blur, in pixels.
        quality: libx264's constant rate factor, 0 to 51; higher is worse.
        face: Whether there is a face; slides otherwise.
        audio: Whether there is an audio stream.
        seconds: Length of a clip without speech.
        appearance: Appearance of the face, see `dressed`; 0 as in the portrait.
        turn: Amplitude of a sway from one side to the other over the clip; 0 for none.
    """

    name: str
    about: str
    sentences: tuple[str, ...] = ()
    voice: Voice = _AMERICAN
    seed: int = 1
    motion: float = 1.0
    speed: float = 1.0
    mouth: float = 1.0
    lag: float = 0.0
    blur: float = 0.0
    quality: int = 20
    face: bool = True
    audio: bool = True
    seconds: float = 3.0
    appearance: int = 0
    turn: float = 0.0


_ENGLISH: Final = ("The rainbow is a division of white light.", "It takes the shape of an arch.")
_CLEAR: Final = SampleClip("clear-en", "sharp, in time with the voice", _ENGLISH)

CLIPS: Final[tuple[SampleClip, ...]] = (
    _CLEAR,
    SampleClip(
        "clear-fr",
        "another language, voice and movement",
        ("Le soleil se lève sur la mer.", "Il fait beau aujourd'hui."),
        Voice("fr+f3", rate=150, pitch=55),
        seed=2,
        motion=1.3,
    ),
    replace(
        _CLEAR, name="blurred-en", about="blurred and strongly compressed", blur=3.0, quality=38
    ),
    replace(_CLEAR, name="still-mouth-en", about="the mouth does not move", mouth=0.0),
    replace(_CLEAR, name="late-mouth-en", about="the mouth is 0.4 s late", lag=0.4),
    replace(_CLEAR, name="shaky-head-en", about="the head jitters", motion=2.0, speed=6.0),
    SampleClip(
        "no-face-es",
        "slides with speech, no face",
        ("El agua cae de la montaña.", "El río llega al mar."),
        Voice("es", rate=165),
        seed=3,
        face=False,
    ),
    SampleClip("digital-silence", "a face, every audio sample zero", seed=4),
    SampleClip("no-audio", "a face, no audio stream", seed=5, audio=False),
)
"""The clips that `make_sample` makes, in this order."""


def make_sample(
    folder: Path, *, clips: Sequence[SampleClip] = CLIPS, workers: int = 2
) -> tuple[Path, ...]:
    """Make the clips as MP4 files in `folder`, with the same bytes every time.

    Args:
        folder: Output folder, created if needed; files of the same name are replaced.
        clips: Clips to make.
        workers: Number of clips made at once.

    Returns:
        The files, in order of `clips`.

    Raises:
        MissingExtraError: Without the extra ``[demo]``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return tuple(pool.map(lambda clip: make_clip(clip, folder / f"{clip.name}.mp4"), clips))


def make_clip(clip: SampleClip, path: Path) -> Path:
    """Make one clip at `path`; returns it."""
    samples, rate = _say(clip)
    n_frames = round(len(samples) / rate * FPS)
    with tempfile.TemporaryDirectory(prefix="theval-sample-") as temporary:
        track = Path(temporary) / "speech.wav"
        part = Path(temporary) / "clip.mp4"
        _write_wav(track, samples, rate)
        _encode(clip, _frames(clip, samples, rate, n_frames), track, part)
        with atomic_write(path) as stream:
            stream.write(part.read_bytes())
    return path


def mouth_curve(
    samples: npt.NDArray[np.int16], rate: int, n_frames: int
) -> npt.NDArray[np.float64]:
    """Loudness of the voice at each frame: RMS over 60 ms, compressed.

    Args:
        samples: int16 (n,): audio samples.
        rate: Sample rate in Hz.
        n_frames: Number of frames of the clip, at 25 frames per second.

    Returns:
        float64 (n_frames,): 0 for silence to 1 for the loudest frame.

    Examples:
        >>> mouth_curve(np.zeros(16000, np.int16), 16000, 3).tolist()
        [0.0, 0.0, 0.0]
    """
    sound = samples.astype(np.float64) / 32768
    half = int(0.03 * rate)
    power = np.concatenate([[0.0], np.cumsum(sound**2)])
    centres = (np.arange(n_frames) / FPS * rate).astype(int)
    low, high = np.clip(centres - half, 0, len(sound)), np.clip(centres + half, 0, len(sound))
    rms = np.sqrt((power[high] - power[low]) / np.maximum(high - low, 1))
    loudest = rms.max()
    return np.asarray(np.sqrt(rms / loudest) if loudest > 0 else rms)


def _say(clip: SampleClip) -> tuple[npt.NDArray[np.int16], int]:
    if not clip.sentences:
        rate = 22_050
        return np.zeros(round(clip.seconds * rate), np.int16), rate
    spoken = [speak(sentence, clip.voice) for sentence in clip.sentences]
    rate = spoken[0][1]
    parts = [np.zeros(round(_LEAD * rate), np.int16)]
    for samples, _ in spoken:
        parts += [samples, np.zeros(round(_PAUSE * rate), np.int16)]
    return np.concatenate(parts), rate


def _frames(
    clip: SampleClip, samples: npt.NDArray[np.int16], rate: int, n_frames: int
) -> Iterator[Image]:
    if not clip.face:
        yield from _slides(n_frames)
        return
    for pose in _poses(clip, mouth_curve(samples, rate, n_frames)):
        image = dressed(render(pose), clip.appearance)
        yield cv2.GaussianBlur(image, (0, 0), clip.blur).astype(np.uint8) if clip.blur else image


def dressed(image: Image, appearance: int) -> Image:
    """A picture of the face in another appearance: mirrored for odd numbers, in other colours.

    Args:
        image: uint8 (SIDE, SIDE, 3), RGB.
        appearance: Number of the appearance; 0 changes nothing.

    Returns:
        uint8 (SIDE, SIDE, 3), RGB.
    """
    if appearance == 0:
        return image
    turned = image[:, ::-1] if appearance % 2 else image
    gains = np.array(
        [
            1.0 - 0.07 * (appearance % 4),
            1.0 - 0.04 * (appearance % 3),
            1.0 - 0.05 * (appearance % 5),
        ]
    )
    return np.ascontiguousarray((turned * gains).astype(np.uint8))


def _poses(clip: SampleClip, loudness: npt.NDArray[np.float64]) -> Iterator[Pose]:
    n = len(loudness)
    late = np.roll(loudness, round(clip.lag * FPS))
    opening = _CLOSED + (_WIDE - _CLOSED) * late * clip.mouth
    smooth = 0.45 / clip.speed
    x, y, roll, yaw, nod, brow = (
        _drift(n, smooth, clip.seed * 10 + axis) * clip.motion for axis in range(6)
    )
    emphasis = np.convolve(loudness, np.full(9, 1 / 9), mode="same")
    eyes = _blinks(n, clip.seed)
    for i in range(n):
        yield Pose(
            mouth=float(opening[i]),
            brows=float(4.0 * emphasis[i] + 0.7 * brow[i]),
            eyes=float(eyes[i]),
            shift=(float(2.2 * x[i]), float(1.2 * y[i])),
            roll=float(2.0 * roll[i]),
            yaw=float(0.35 * yaw[i] + clip.turn * (2 * i / max(n - 1, 1) - 1)),
            nod=float(0.25 * nod[i]),
        )


def _drift(n: int, seconds: float, seed: int) -> npt.NDArray[np.float64]:
    """Smooth noise of standard deviation 1, slower for more `seconds`."""
    width = max(seconds * FPS, 0.5)
    reach = int(4 * width) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    noise = np.random.default_rng(seed).standard_normal(n + 2 * reach)
    smooth = np.convolve(noise, kernel, mode="valid")
    return np.asarray(smooth / np.sqrt((kernel**2).sum()))


def _blinks(n: int, seed: int) -> npt.NDArray[np.float64]:
    """0 open to 1 closed: a blink of five frames every two to four seconds."""
    closed = np.zeros(n)
    shape = (0.4, 0.9, 1.0, 0.8, 0.3)
    rng = np.random.default_rng(seed)
    at = int(rng.integers(15, 40))
    while at + len(shape) < n:
        closed[at : at + len(shape)] = shape
        at += int(rng.integers(2 * FPS, 4 * FPS))
    return closed


def _slides(n_frames: int) -> Iterator[Image]:
    """Two slides with bars and text-like lines, over a slowly moving gradient."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    for i in range(n_frames):
        shade = 205 + 35 * np.sin(2 * np.pi * (x + 0.4 * y + i / 200))
        image = np.stack([shade * 0.86, shade * 0.93, shade], axis=-1).astype(np.uint8)
        second = i > n_frames // 2
        cv2.rectangle(image, (40, 44), (360 if second else 300, 84), (40, 60, 110), -1)
        for line in range(5):
            length = 200 + (line * 97 + 50 * second) % 210
            cv2.rectangle(
                image, (56, 130 + 40 * line), (56 + length, 142 + 40 * line), (70, 70, 80), -1
            )
        for bar in range(4):
            height = 30 + (bar * 41 + 23 * second) % 90
            cv2.rectangle(
                image, (70 + 90 * bar, 470 - height), (130 + 90 * bar, 470), (190, 110, 50), -1
            )
        yield image


def _write_wav(path: Path, samples: npt.NDArray[np.int16], rate: int) -> None:
    with wave.open(str(path), "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(rate)
        track.writeframes(samples.astype("<i2").tobytes())


def _encode(clip: SampleClip, frames: Iterator[Image], track: Path, path: Path) -> None:
    video = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{SIDE}x{SIDE}", framerate=FPS
    )
    options: dict[str, Any] = {
        "vcodec": "libx264",
        "preset": "veryfast",
        "crf": clip.quality,
        "pix_fmt": "yuv420p",
        "threads": THREADS,
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
        "movflags": "+faststart",
    }
    streams = [video]
    if clip.audio:
        streams.append(ffmpeg.input(str(track)))
        options |= {"acodec": "aac", "audio_bitrate": "96k", "flags:a": "+bitexact"}
    command = ffmpeg.output(*streams, str(path), **options).global_args(
        "-hide_banner", "-loglevel", "error", "-nostdin"
    )
    with tempfile.TemporaryFile() as messages:
        process = _run(command, messages)
        try:
            for frame in frames:
                process.stdin.write(frame.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # FFmpeg's messages, below, explain why it stopped
        if process.wait() != 0:
            messages.seek(0)
            words = messages.read().decode(errors="replace").strip()
            raise InputError(f"FFmpeg could not encode {path.name}: {words}")


def _run(command: Any, messages: IO[bytes]) -> Any:
    return subprocess.Popen(
        ffmpeg.compile(command, cmd=ffmpeg_binary(), overwrite_output=True),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=messages,
    )
