"""The only module that opens video and audio.

Everything downstream sees frames with measured timestamps and audio on the same timeline. Second 0
is the first video frame. Frames are upright (rotation applied) and RGB.

Two decoders stand behind one interface. In sequence PyAV is the cheaper (and the only one that
reports what does not decode); for single frames far apart decord is faster, for the codecs whose
seeks it gets right. Both hand out the same pixels for the same frame. ffmpeg (the pinned binary of
imageio-ffmpeg, or `THEVAL_FFMPEG`) resamples audio.

Files are untrusted: containers that refer to other files or addresses (playlists, concat scripts)
are not opened, only the `file` protocol is, and sizes are limited.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import (
    BrokenMediaError,
    DigitalSilenceError,
    MissingMediaError,
    NoAudioError,
    NotMediaError,
    NoVideoError,
    TooLargeError,
    ZeroFramesError,
)
from theval_datasets.optional import available
from theval_datasets.schema import SAMPLE_RATE, Audio, Frames, Header, MediaFacts

_log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]

_FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,gif,asf,ogg,ivf,m4v,h264,"
    "hevc,av1,mxf,nut,wav,w64,mp3,flac,aac,aiff,caf,amr,apng"
)
_STILL_MAGIC: Final = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}
_DECORD_SEEKS_RIGHT: Final = {"h264", "mpeg4", "vp8", "vp9"}
_BT601: Final = {2, 5, 6}
"""FFmpeg's colour spaces that are converted by BT.601: unspecified, and its two names."""
_BATCH_FRAMES: Final = 16
_BATCH_BYTES: Final = 64 << 20
_TRUNCATED_AFTER: Final = 0.5  # seconds that a stream may end before its header says so


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused as `too-large`.

    Attributes:
        n_bytes: Size of a file.
        pixels: Width × height of a picture.
        audio_seconds: Length of an audio track held in memory.
    """

    n_bytes: int = 64 << 30
    pixels: int = 1 << 26
    audio_seconds: float = 12 * 3600.0


LIMITS: Final = Limits()


def ffmpeg_binary() -> str:
    """Path of the ffmpeg that is used: `THEVAL_FFMPEG`, else imageio-ffmpeg's pinned binary."""
    chosen = os.environ.get("THEVAL_FFMPEG")
    if chosen:
        return chosen
    import imageio_ffmpeg

    binary: str = imageio_ffmpeg.get_ffmpeg_exe()
    return binary


def decoder_version() -> str:
    """Names and versions of the decoders, as cache keys and manifests record them."""
    names = ["av", "decord"] if available("decord") else ["av"]
    return "+".join(f"{name}-{importlib.metadata.version(name)}" for name in names)


def safe_input_options() -> dict[str, str]:
    """Options for every ffmpeg input: local files of plain containers only, nothing nested."""
    return {"protocol_whitelist": "file,pipe", "format_whitelist": _FORMATS}


@contextmanager
def open_video(path: Path, *, threads: int = 0, limits: Limits = LIMITS) -> Iterator[Video]:
    """Open a file for its frames; a still image is a video of one frame.

    Args:
        path: The file.
        threads: Decoder threads; 0 lets FFmpeg choose.
        limits: What is too large.

    Raises:
        MissingMediaError, NotMediaError, NoVideoError, TooLargeError: As it is.
    """
    _check_file(path, limits)
    still = _still_format(path)
    if still is not None:
        yield _Still(path, still, limits)
        return
    with _open_container(path) as container:
        yield _Movie(path, container, threads, limits)


class Video:
    """An open video.

    Attributes:
        size: Width and height in pixels, upright.
        problem: What went wrong while decoding; None so far.
        end: Seconds: the last decoded frame's time plus its length; 0 before decoding.
        header: What the container promises.
    """

    size: tuple[int, int]
    header: Header = Header(0.0, 1)
    problem: str | None = None
    end: float = 0.0

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        """Every frame in order, once, in batches of at most 16 frames and 64 MB.

        What does not decode is passed over and named in `problem`.

        Args:
            pixels: False to skip the conversion to RGB where only times are wanted.
            stored: Whether `Frames.stored` is wanted too.

        Raises:
            ZeroFramesError: If nothing decodes at all.
        """
        raise NotImplementedError


class _Still(Video):
    """A picture as a video of one frame at second 0."""

    def __init__(self, path: Path, kind: str, limits: Limits) -> None:
        from PIL import Image, ImageOps, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                if image.width * image.height > limits.pixels:
                    raise TooLargeError(_too_many_pixels(path, image.width, image.height, limits))
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise NotMediaError(f"{path.name} begins like a {kind} image, but: {error}") from None
        self._pixels = np.asarray(upright, dtype=np.uint8)
        self.size = upright.size

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        picture = [self._pixels]
        at = np.zeros(1), np.zeros(1, dtype=np.int64)
        yield Frames(picture if pixels else [], *at, picture if stored else [])


class _Movie(Video):
    """A video file through PyAV."""

    def __init__(self, path: Path, container: Any, threads: int, limits: Limits) -> None:
        self._path = path
        self._container = container
        self._stream = _video_stream(container, path)
        context = self._stream.codec_context
        if context.width * context.height > limits.pixels:
            raise TooLargeError(_too_many_pixels(path, context.width, context.height, limits))
        context.thread_type = "AUTO"
        if threads:
            context.thread_count = threads
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            raise ZeroFramesError(f"{path.name}: no frame decodes ({self.problem or 'no data'})")
        self._turns = int(self._first.rotation) % 360 // 90
        width, height = self._first.width, self._first.height
        self.size = (height, width) if self._turns % 2 else (width, height)
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        promised = _seconds(self._stream.duration, self._stream.time_base)
        self.header = Header(rate, self._stream.frames or int(promised * rate + 0.5))

    def _decode(self) -> Iterator[Any]:
        """Frames in order; what does not decode is counted in `problem`."""
        import av

        bad = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self.problem = f"truncated: reading stops: {error.strerror}"
                return
            try:
                decoded = packet.decode()
            except av.FFmpegError as error:
                bad += 1
                self.problem = f"{bad} packets do not decode: {error.strerror}"
                continue
            yield from (frame for frame in decoded if frame.pts is not None)

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        from av.video.reformatter import Colorspace, VideoReformatter

        first, self._first = self._first, None
        if first is None:
            raise RuntimeError("the frames of an open video can be read once")
        origin = _seconds(first.pts, first.time_base)
        width, height = first.width, first.height
        per_batch = max(1, min(_BATCH_FRAMES, _BATCH_BYTES // (width * height * 3)))
        # One reformatter for all frames keeps its tables; with threads=1 it costs half the CPU.
        shown, as_read = VideoReformatter(), VideoReformatter()

        def converted(reformatter: Any, frame: Any, space: Any = None) -> Pixels:
            form = {"width": width, "height": height, "src_colorspace": space}
            made = reformatter.reformat(
                frame, format="rgb24", dst_colorspace=space, threads=1, **form
            )
            pixels: Pixels = made.to_ndarray()
            return pixels

        differs = self._turns != 0 or first.colorspace not in _BT601
        batch = _Batch()
        count = 0
        last = -1.0
        for frame in itertools.chain((first,), self._decoded):
            time = _seconds(frame.pts, frame.time_base) - origin
            if time <= last:
                self.problem = f"timestamps do not grow at {time:.3f} s"
                continue
            length = _seconds(frame.duration, frame.time_base) or max(0.0, time - max(last, 0.0))
            last, self.end = time, time + length
            if pixels:
                upright = converted(shown, frame)
                batch.pixels.append(np.ascontiguousarray(np.rot90(upright, self._turns)))
            if stored:
                same = pixels and not differs
                batch.stored.append(
                    batch.pixels[-1] if same else converted(as_read, frame, Colorspace.ITU601)
                )
            batch.times.append(time)
            count += 1
            if len(batch.times) == per_batch:
                yield batch.frames(count)
                batch = _Batch()
        if batch.times:
            yield batch.frames(count)
        self.problem = self.problem or _shortfall(self._stream, self.end)


def _shortfall(stream: Any, end: float) -> str | None:
    """What to say of a stream that ends at `end`, if its header promises notably more."""
    promised = _seconds(stream.duration, stream.time_base)
    if promised - end > _TRUNCATED_AFTER:
        return f"truncated: the header promises {promised:.2f} s, {end:.2f} s are there"
    return None


@dataclass(slots=True)
class _Batch:
    """Frames on their way into a batch."""

    pixels: list[Pixels] = field(default_factory=list)
    stored: list[Pixels] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def frames(self, count: int) -> Frames:
        """The batch that ends with the `count`-th frame of the clip."""
        indices = np.arange(count - len(self.times), count, dtype=np.int64)
        return Frames(self.pixels, np.array(self.times), indices, self.stored)


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of a file by what its packets say, in order of presentation.

    Attributes:
        times: Seconds since the first frame, (n,).
        ticks: The same as the stream's own time stamps, (n,).
        keyframes: Whether decoding can begin there, (n,).
        length: Seconds that the last frame lasts.
    """

    times: Times
    ticks: npt.NDArray[np.int64]
    keyframes: npt.NDArray[np.bool_]
    length: float

    def pick(self, fps: float) -> npt.NDArray[np.int64]:
        """Indices of `fps` frames a second: the first frame of each 1/fps interval that has one."""
        return np.flatnonzero(SlotPicker(fps).take(self.times))

    def at(self, seconds: Sequence[float]) -> npt.NDArray[np.int64]:
        """Indices of the frames on screen at some times (the nearest ends outside)."""
        found = np.searchsorted(self.times, np.asarray(seconds) + 1e-6, side="right") - 1
        return np.clip(found, 0, len(self.times) - 1).astype(np.int64)


class SlotPicker:
    """Chooses `fps` frames a second out of a stream: the first of each interval of 1/fps seconds."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._slot = -1

    def take(self, times: Times) -> npt.NDArray[np.bool_]:
        """Which of the next frames are chosen."""
        slots = np.floor(times * self._fps + 1e-6).astype(np.int64)
        before = np.maximum.accumulate(np.concatenate(([self._slot], slots)))[:-1]
        if len(slots):
            self._slot = max(self._slot, int(slots.max()))
        chosen: npt.NDArray[np.bool_] = slots > before
        return chosen


def frame_index(path: Path) -> FrameIndex:
    """List a file's frames by reading its packets, without decoding them.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    _check_file(path, LIMITS)
    if _still_format(path):
        return FrameIndex(np.zeros(1), np.zeros(1, np.int64), np.ones(1, np.bool_), 0.0)
    with _open_container(path) as container:
        return _scan(container, _video_stream(container, path)).index


def read_frames(path: Path, indices: Sequence[int], index: FrameIndex | None = None) -> Frames:
    """Decode single frames, far apart or not.

    Args:
        path: The file.
        indices: Which of `frame_index(path)`, growing.
        index: That index, if it is at hand.

    Returns:
        All of them in one batch; hold the number small.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    index = index or frame_index(path)
    wanted = np.asarray(indices, dtype=np.int64)
    if _still_format(path):
        with open_video(path) as video:
            return next(video.frames())
    pixels = _read_with_decord(path, wanted, index)
    if pixels is None:
        pixels = _read_with_av(path, wanted, index)
    return Frames(pixels, index.times[wanted], wanted)


def sample_frames(path: Path, fps: float) -> Iterator[Frames]:
    """Decode `fps` frames a second, the same ones that a sequential pass would pick.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    index = frame_index(path)
    picked = index.pick(fps)
    for start in range(0, len(picked), _BATCH_FRAMES):
        yield read_frames(path, picked[start : start + _BATCH_FRAMES].tolist(), index)


def _read_with_decord(
    path: Path, wanted: npt.NDArray[np.int64], index: FrameIndex
) -> list[Pixels] | None:
    """Frames through decord; None where it is absent, cannot, or numbers the frames otherwise."""
    if not available("decord"):
        return None
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        if stream.codec_context.name not in _DECORD_SEEKS_RIGHT:
            return None
    import decord

    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(reader) != len(index.times):
            return None
        stamps = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        if np.abs((stamps - stamps[0]) - index.times).max() > 1e-3:
            return None
        return list(reader.get_batch(wanted.tolist()).asnumpy())
    except (decord.DECORDError, IndexError, RuntimeError) as error:
        _log.info("decord cannot read %s, PyAV will: %s", path.name, str(error).partition("\n")[0])
        return None


def _read_with_av(path: Path, wanted: npt.NDArray[np.int64], index: FrameIndex) -> list[Pixels]:
    """Frames through PyAV: seeks to the keyframe before each, unless decoding on is nearer."""
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    found: dict[int, Pixels] = {}
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        stream.codec_context.thread_type = "AUTO"
        for run in _runs(wanted, index):
            targets = {int(index.ticks[i]): int(i) for i in run}
            start = run[0] - int(np.argmax(index.keyframes[run[0] :: -1]))
            container.seek(int(index.ticks[start]), stream=stream, backward=True, any_frame=False)
            for frame in container.decode(stream):
                if frame.pts in targets:
                    upright = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    turned = np.rot90(upright, int(frame.rotation) % 360 // 90)
                    found[targets.pop(frame.pts)] = np.ascontiguousarray(turned)
                if not targets:
                    break
    lost = [int(i) for i in wanted if int(i) not in found]
    if lost:
        raise BrokenMediaError(f"{path.name}: frames {lost[:5]} do not decode")
    return [found[int(i)] for i in wanted]


def _runs(wanted: npt.NDArray[np.int64], index: FrameIndex) -> list[list[int]]:
    """Split growing indices wherever a keyframe lies between two of them."""
    runs: list[list[int]] = []
    for i in wanted.tolist():
        if runs and not index.keyframes[runs[-1][-1] + 1 : i + 1].any():
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def probe(path: Path, limits: Limits = LIMITS) -> MediaFacts:
    """Measure a file: reads every packet, decodes one frame.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    with open_video(path, limits=limits) as video:
        width, height = video.size
        if isinstance(video, _Still):
            return MediaFacts(
                duration=0.0,
                fps=None,
                width=width,
                height=height,
                n_frames=1,
                rotation=0,
                variable_rate=False,
                video_codec=str(_still_format(path)),
                audio_codec=None,
                audio_rate=None,
                audio_channels=None,
                audio_start=None,
                audio_duration=None,
                n_bytes=path.stat().st_size,
            )
        turns = video._turns if isinstance(video, _Movie) else 0
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        sound = _audio_stream(container)
        scan = _scan(container, stream)
        times = scan.index.times
        steps = np.diff(times)
        return MediaFacts(
            duration=float(times[-1]) + scan.index.length,
            fps=float((len(times) - 1) / times[-1]) if len(times) > 1 else None,
            width=width,
            height=height,
            n_frames=len(times),
            rotation=turns * 90,
            variable_rate=bool(len(steps) and np.ptp(steps) > 0.1 * np.median(steps)),
            video_codec=stream.codec_context.name,
            audio_codec=sound.codec_context.name if sound else None,
            audio_rate=sound.codec_context.sample_rate if sound else None,
            audio_channels=sound.codec_context.channels if sound else None,
            audio_start=scan.audio_start,
            audio_duration=scan.audio_duration,
            n_bytes=path.stat().st_size,
            truncated=scan.truncated,
        )


def read_audio(
    path: Path, limits: Limits = LIMITS, *, rate: int = SAMPLE_RATE, aligned: bool = True
) -> Audio:
    """The first audio stream as mono on the video's timeline.

    ffmpeg decodes, mixes down and resamples; gaps inside the stream become silence. What sounds
    before the first video frame is cut off; a late start is kept as `Audio.start`. For a file
    without video, second 0 is the first sample.

    Args:
        path: The file.
        limits: What is too large.
        rate: Hz.
        aligned: False for the track as it is, from its own start.

    Raises:
        NoAudioError: There is no audio stream.
        DigitalSilenceError: Every sample is zero.
        BrokenMediaError: The audio does not decode.
        TooLargeError: It is longer than the limit.
    """
    import ffmpeg

    start = _audio_start(path, limits)
    start = start if aligned else 0.0
    job = (
        ffmpeg.input(f"file:{path.resolve()}", vn=None, sn=None, dn=None, **safe_input_options())
        .output(
            "pipe:1",
            map="0:a:0",
            format="f32le",
            acodec="pcm_f32le",
            af="aresample=async=1",
            ac=1,
            ar=rate,
            t=limits.audio_seconds,
            loglevel="error",
        )
        .global_args("-nostdin", "-threads", "1")
    )
    process = job.run_async(cmd=ffmpeg_binary(), pipe_stdout=True, pipe_stderr=True)
    data, messages = process.communicate()
    samples = np.frombuffer(data[: len(data) // 4 * 4], dtype="<f4")
    if not len(samples):
        lines = messages.decode(errors="replace").strip().splitlines()
        raise BrokenMediaError(
            f"{path.name}: the audio does not decode ({lines[-1:] or 'no data'})"
        )
    if len(samples) >= int(limits.audio_seconds * rate):
        raise TooLargeError(f"{path.name}: more than {limits.audio_seconds:.0f} s of audio")
    samples = samples[max(0, round(-start * rate)) :]
    if not samples.any():
        raise DigitalSilenceError(f"{path.name}: every audio sample is zero")
    return Audio(samples, max(0.0, start), rate)


def _audio_start(path: Path, limits: Limits) -> float:
    """Seconds from the first video frame to the first audio sample that decodes."""
    import av

    _check_file(path, limits)
    if _still_format(path):
        raise NoAudioError(f"{path.name} is a still image")
    with _open_container(path) as container:
        sound = _audio_stream(container)
        if sound is None:
            raise NoAudioError(f"{path.name} has no audio stream")
        video = next(iter(_video_streams(container)), None)
        try:
            first = next(container.decode(sound), None)
        except av.FFmpegError as error:
            raise BrokenMediaError(
                f"{path.name}: the audio does not decode ({error.strerror})"
            ) from None
        if first is None:
            raise NoAudioError(f"{path.name}: its audio stream is empty")
        if video is None or video.start_time is None or first.pts is None:
            return 0.0
        return _seconds(first.pts, first.time_base) - _seconds(video.start_time, video.time_base)


@dataclass(frozen=True, slots=True)
class _Scan:
    index: FrameIndex
    audio_start: float | None
    audio_duration: float | None
    truncated: str | None


def _scan(container: Any, stream: Any) -> _Scan:
    """Read every packet of the video and the first audio stream."""
    import av

    sound = _audio_stream(container)
    ticks: list[int] = []
    keyframes: list[bool] = []
    last_length = 0
    heard: list[tuple[int, int]] = []
    stopped: str | None = None
    packets = container.demux(*([stream, sound] if sound else [stream]))
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.FFmpegError as error:
            stopped = f"truncated: reading stops: {error.strerror}"
            break
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.is_discard or packet.size == 0:
            continue
        if packet.stream_index == stream.index:
            ticks.append(stamp)
            keyframes.append(packet.is_keyframe)
            last_length = packet.duration or last_length
        else:
            heard.append((stamp, packet.duration or 0))
    if not ticks:
        raise ZeroFramesError("the video stream has no packet")
    order, first_of = np.unique(np.array(ticks, dtype=np.int64), return_index=True)
    times = (order - order[0]) * float(stream.time_base)
    if not last_length and len(order) > 1:
        last_length = int(np.median(np.diff(order)))
    length = last_length * float(stream.time_base)
    index = FrameIndex(times, order, np.array(keyframes)[first_of], length)
    origin = float(order[0] * stream.time_base)
    audio_start = audio_duration = None
    if heard and sound is not None:
        begin = float(heard[0][0] * sound.time_base)
        audio_start = begin - origin
        audio_duration = float((heard[-1][0] + heard[-1][1]) * sound.time_base) - begin
    end = float(times[-1]) + length
    stopped = stopped or _shortfall(stream, end)
    return _Scan(index, audio_start, audio_duration, stopped)


@contextmanager
def _open_container(path: Path) -> Iterator[Any]:
    import av

    try:
        container = av.open(
            f"file:{path.resolve()}",
            options=safe_input_options(),
            container_options={},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotMediaError(
            f"{path.name} is not audio or video that can be read: {reason}"
        ) from None
    with container:
        yield container


def _video_streams(container: Any) -> list[Any]:
    """Video streams, without cover pictures."""
    from av.stream import Disposition

    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _video_stream(container: Any, path: Path) -> Any:
    streams = _video_streams(container)
    if not streams:
        raise NoVideoError(f"{path.name} has no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise BrokenMediaError(f"{path.name}: no decoder for its video")
    return stream


def _audio_stream(container: Any) -> Any:
    usable = (s for s in container.streams.audio if s.codec_context is not None)
    return next(usable, None)


def _seconds(ticks: int | None, time_base: Any) -> float:
    return float((ticks or 0) * time_base)


def _check_file(path: Path, limits: Limits) -> None:
    if not path.is_file():
        raise MissingMediaError(f"There is no file {path}")
    size = path.stat().st_size
    if size == 0:
        raise NotMediaError(f"{path.name} is empty")
    if size > limits.n_bytes:
        raise TooLargeError(f"{path.name} has {size} bytes; the limit is {limits.n_bytes}")


def _still_format(path: Path) -> str | None:
    with path.open("rb") as stream:
        head = stream.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "webp"
    return next((kind for magic, kind in _STILL_MAGIC.items() if head.startswith(magic)), None)


def _too_many_pixels(path: Path, width: int, height: int, limits: Limits) -> str:
    return f"{path.name} is {width}×{height}; the limit is {limits.pixels} pixels a picture"
