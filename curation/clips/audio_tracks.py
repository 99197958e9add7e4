"""Audio tracks of clips: 16 kHz mono, the original, and tracks of several speakers merged."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets import media
from theval_datasets.errors import DigitalSilenceError, InputError, NoAudioError
from theval_datasets.features.audio_levels import integrated_loudness
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FloatArray
from theval_datasets.utils.files import atomic_path, atomic_write
from theval_datasets.utils.spool import blocks

from .audible import audible_filter
from .encoder import run_ffmpeg

_LOUD: Final = -23.0
"""Loudness to which each speaker's track is normalised before merging, in LUFS (EBU R 128)."""
_MOST_GAIN: Final = 20.0  # largest gain, dB
_CEILING: Final = 0.97
_RATE: Final = 48_000
_BLOCK: Final = 4096
"""Samples of a block of FLAC. Else the encoder takes the length of the first frame, which is what the cut left
of it, and refuses fewer than 16."""


def write_mono(clip: Path, target: Path) -> Audio | None:
    """Write a clip's sound as 16 kHz mono WAV from its second 0.

    Returns:
        What was written; None where the clip has no sound.
    """
    try:
        audio = media.read_audio(clip)
    except (NoAudioError, DigitalSilenceError):
        return None
    lead = round(audio.start * SAMPLE_RATE)
    write_wav(target, audio.samples, SAMPLE_RATE, lead=lead, gain=audio.gain)
    return audio


def write_wav(
    target: Path, samples: FloatArray, rate: int, *, lead: int = 0, gain: float = 1.0
) -> None:
    """Write mono samples as 16-bit WAV, atomically.

    Args:
        target: Output file.
        samples: Float array (n,); values that exceed [-1, 1] after the gain are clipped.
        rate: Sample rate in Hz.
        lead: Number of samples of silence before them.
        gain: Factor of the samples.
    """
    with atomic_write(target) as stream, wave.open(stream, "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(rate)
        track.setnframes(lead + len(samples))
        track.writeframesraw(bytes(2 * lead))
        for block in blocks(samples):
            pcm = np.rint(np.clip(block * np.float32(gain), -1, 1) * 32767).astype("<i2")
            track.writeframesraw(pcm.tobytes())


def write_original(
    source: Path,
    start: float,
    end: float,
    target: Path,
    audible: Sequence[tuple[float, float]] | None = None,
) -> bool:
    """Write a span of a source's sound as FLAC, with its own rate and channels.

    Args:
        source: Local file.
        start: Start in seconds since its first video frame.
        end: End in seconds since its first video frame.
        target: Output file, with the suffix ``.flac``.
        audible: Start and end of what is kept, in seconds since `start`; None for all.

    Returns:
        False where the source has no sound; then nothing is written.

    Raises:
        BrokenMediaError: The sound does not decode.
        StorageError: The disk is full.
    """
    import ffmpeg

    facts = media.cutting_facts(source)
    if facts.audio is None:
        return False
    lead = facts.lead + facts.early
    offset = lead + start
    with atomic_path(target) as part:
        sound = (
            ffmpeg.input(f"file:{source.resolve()}", vn=None, **media.safe_input_options())[
                str(facts.audio)
            ]
            .filter("atrim", start=f"{offset:.6f}", end=f"{lead + end:.6f}")
            .filter("asetpts", f"PTS-{offset:.6f}/TB")
            .filter("aresample", **media.SILENCE_FOR_GAPS, first_pts=0)
        )
        if audible is not None:
            named = (option.split("=", 1) for option in audible_filter(audible).split(":"))
            sound = sound.filter("aeval", **dict(named))
        job = (
            sound.filter("asetnsamples", n=_BLOCK, p=0)
            .output(
                f"file:{part.resolve()}",
                acodec="flac",
                sample_fmt="s16",
                map_metadata=-1,
                fflags="+bitexact",
                loglevel="error",
                **{"flags:a": "+bitexact"},
            )
            .global_args("-nostdin", "-y", "-threads", "1")
        )
        run_ffmpeg(job, part, f"the sound of {source.name} cannot be cut")
    return True


def merged(tracks: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Merge the tracks of several speakers at equal loudness.

    Every track is normalised to -23 LUFS (by at most 20 dB; a track that is too quiet to measure is left
    unchanged) and the tracks are added from their first sample; shorter ones end in silence. If the sum
    would clip, it is attenuated as a whole.

    Args:
        tracks: Mono at 48 kHz, float32 (n,) each, in [-1, 1].

    Returns:
        Mono at 48 kHz, float32, as long as the longest track.

    Raises:
        InputError: There is no track.

    Examples:
        >>> merged([np.zeros(480, np.float32), np.zeros(960, np.float32)]).shape
        (960,)
    """
    if not tracks:
        raise InputError("expected at least one track to merge")
    total = np.zeros(max(map(len, tracks)), np.float64)
    for track in tracks:
        loudness = integrated_loudness(track.astype(np.float64))
        gain = (
            0.0 if loudness is None else float(np.clip(_LOUD - loudness, -_MOST_GAIN, _MOST_GAIN))
        )
        total[: len(track)] += track * 10 ** (gain / 20)
    peak = float(np.abs(total).max()) if len(total) else 0.0
    scaled: npt.NDArray[np.float32] = (total * min(1.0, _CEILING / peak if peak else 1.0)).astype(
        np.float32
    )
    return scaled


def merge_files(files: Sequence[Path], target: Path) -> None:
    """Merge speakers' files into one mono WAV at 48 kHz.

    Raises:
        InputError: There is no file.
        MediaError: One of them has no sound.
    """
    tracks = [media.read_audio(file, rate=_RATE, aligned=False).samples for file in files]
    write_wav(target, merged(tracks), _RATE)


def speaker_files(source: Path) -> list[Path]:
    """Tracks of single speakers beside a source: `NAME.speaker1.wav`, `NAME.speaker2.wav`, ….

    Links are left out, so that no file elsewhere is read.
    """
    named = (source.with_name(f"{source.stem}.speaker{i}.wav") for i in range(1, 17))
    return [file for file in named if file.is_file() and not file.is_symlink()]
