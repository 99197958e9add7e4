"""Audio on the timeline of the video."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import (
    BrokenMediaError,
    DigitalSilenceError,
    NoAudioError,
    TooLargeError,
)
from theval_datasets.utils.files import storage_error
from theval_datasets.utils.spool import array_of, blocks

from ._decode import Remarks, decoded
from ._open import (
    LIMITS,
    Limits,
    audio_stream,
    check_file,
    ffmpeg_binary,
    open_container,
    safe_input_options,
    seconds,
    still_format,
)
from ._timeline import timeline
from .frames import SAMPLE_RATE, Audio, FloatArray

SILENCE_FOR_GAPS: Final[Mapping[str, float]] = {"async": 1, "min_hard_comp": 0.02}
"""Options of FFmpeg's `aresample` for sound that keeps to its timestamps: a gap becomes silence, an
overlap is dropped, from 20 ms on (FFmpeg's default of 0.1 s leaves sound up to 100 ms off)."""
_SIDES: Final = "aformat=sample_fmts=fltp:channel_layouts=mono|stereo"
"""Filter that mixes more than two channels down to ITU-R BS.775's stereo, with the centre, which holds the speech, on
both sides. It goes by the channels of each frame, since they may change on the way."""
_MONO: Final = "out_chlayout=mono:rematrix_maxval=1"
"""Options of `aresample` for one or two channels: weights that add up to 1, half of each side, so that a stereo mix
stays within full scale. FFmpeg's default for samples in floating point is 3 dB louder: ordinary stereo looks clipped."""
_MARGIN: Final = 60.0
"""Seconds that sound may continue after the picture, and that gaps may add to it."""
_ANTIPHASE: Final = -0.5
"""Correlation of two channels at or below which their sum would lose what is on both."""
_CANCELLED: Final = 0.1
"""Power of the sum of three or more channels, relative to that of unrelated channels, at or below
which they cancel out."""
_SHORTEST: Final = 0.001
"""Seconds of sound below which a span has none."""
_LISTENED: Final = 10.0
"""Seconds of sound over which channels are compared; at most twelve times as many are searched."""


def read_audio(
    path: Path, limits: Limits = LIMITS, *, rate: int = SAMPLE_RATE, aligned: bool = True
) -> Audio:
    """The default audio stream as mono on the video's timeline.

    ffmpeg decodes, mixes down and resamples. Gaps inside the stream become silence, of at most one
    minute in total. Sound before the first video frame, and more than a minute after the last one, is
    cut off; a late start is kept as `Audio.start`. Of channels in opposite phase, whose sum would be
    silence, the loudest one is used (`Audio.channel`). For a file without video, second 0 is the first
    sample.

    Args:
        path: File.
        limits: Limits above which the file is refused.
        rate: Sampling rate in Hz.
        aligned: Whether second 0 is the first video frame; False for the track from its own start.

    Raises:
        NoAudioError: The file has no audio stream.
        DigitalSilenceError: Every sample is zero.
        BrokenMediaError: The audio does not decode.
        TooLargeError: The file or its audio exceeds a limit.
        StorageError: The folder for temporary files is full.
    """
    audio = _read(path, limits, rate, aligned)
    if not any(block.any() for block in blocks(audio.samples)):
        raise DigitalSilenceError(f"{path.name}: every audio sample is zero")
    return audio


def has_sound(path: Path, start: float, end: float) -> bool:
    """Whether there is sound, be it silence, between two times in seconds since the first video frame."""
    try:
        audio = _read(path, LIMITS, SAMPLE_RATE, aligned=True)
    except NoAudioError:
        return False
    return min(end, audio.end) - max(start, audio.start) >= _SHORTEST


def _read(path: Path, limits: Limits, rate: int, aligned: bool) -> Audio:
    """See `read_audio`; samples may all be zero."""
    check_file(path, limits)
    if still_format(path):
        raise NoAudioError(f"{path.name} is a still image")
    track = _track(path, limits)
    start = track.start if aligned else 0.0
    longest = min(limits.seconds, track.longest)
    samples = _decode(path, track, rate, longest)
    if len(samples) >= int(limits.seconds * rate):
        raise TooLargeError(f"{path.name} has more than {limits.seconds:.0f} s of audio, the limit")
    samples = samples[max(0, round(-start * rate)) :]
    return Audio(samples, max(0.0, start), rate, track.channel, track.n_channels)


@dataclass(frozen=True, slots=True)
class _Track:
    """An audio stream.

    Attributes:
        index: Index of the stream in the file.
        start: Seconds from the first video frame to the first audio sample that decodes.
        longest: Maximum length to read, in seconds.
        lead: Seconds from the container's start to the stream's first sample.
        channel: The only channel that is used; None for a mix of all.
        n_channels: Number of channels that are mixed.
    """

    index: int
    start: float
    longest: float
    lead: float
    channel: int | None
    n_channels: int


def _track(path: Path, limits: Limits) -> _Track:
    with open_container(path) as container:
        sound = audio_stream(container)
        if sound is None:
            raise NoAudioError(f"{path.name} has no audio stream")
        remarks = Remarks()
        frames = decoded(container, sound, remarks)
        first = next(frames, None)
        if first is None:
            if remarks.text():
                raise BrokenMediaError(f"{path.name}: the audio does not decode ({remarks.text()})")
            raise NoAudioError(f"{path.name}: its audio stream is empty")
        channel = _lone_channel(first, frames)
        n_channels = first.layout.nb_channels if channel is None else 1
        own = seconds(first.pts, first.time_base)
        index = sound.index
    line = timeline(path, limits)
    longest = line.audio_seconds + _MARGIN
    if line.index is None:
        return _Track(index, 0.0, longest, own - line.begin, channel, n_channels)
    start = own - line.origin
    longest = min(longest, line.video_end - start + _MARGIN)
    return _Track(index, start, longest, own - line.begin, channel, n_channels)


def _lone_channel(first: Any, following: Iterator[Any]) -> int | None:
    """The loudest channel if channels would cancel out in a mix; None if they can be mixed."""
    n = first.layout.nb_channels
    if n < 2:
        return None
    products = np.zeros((n, n))
    heard = passed = 0.0
    for frame in itertools.chain((first,), following):
        if frame.layout.nb_channels != n or passed >= 12 * _LISTENED or heard >= _LISTENED:
            break
        data = frame.to_ndarray().astype(np.float64)
        channels = data if frame.format.is_planar else data.reshape(-1, n).T
        power = channels @ channels.T
        products += power
        passed += frame.samples / frame.sample_rate
        heard += frame.samples / frame.sample_rate if power.trace() > 0 else 0.0
    return int(np.argmax(np.diag(products))) if _cancel(products) else None


def _cancel(products: npt.NDArray[np.float64]) -> bool:
    """Whether channels would cancel out in a mix.

    Args:
        products: (n, n): for each pair of channels, the sum of the products of their samples.
    """
    own = np.diag(products)
    if len(own) == 2:
        loudness = float(np.sqrt(own[0] * own[1]))
        return loudness > 0 and bool(products[0, 1] / loudness <= _ANTIPHASE)
    total = float(own.sum())
    return total > 0 and float(products.sum()) <= _CANCELLED * total


def _alone(channel: int) -> str:
    """Filters that keep one channel; the last one where a stream has, from somewhere on, fewer."""
    return (
        rf"aeval=val(min({channel}\,nb_in_channels-1)):channel_layout=mono,aformat=sample_fmts=fltp"
    )


def _decode(path: Path, track: _Track, rate: int, longest: float) -> FloatArray:
    import ffmpeg

    chosen = _SIDES if track.channel is None else _alone(track.channel)
    continuous = ":".join(f"{name}={value}" for name, value in SILENCE_FOR_GAPS.items())
    # aresample fills a gap completely, whatever its length, so sound beyond the end is dropped first.
    bounded = f"atrim=end={track.lead + longest:.6f},"
    job = (
        ffmpeg.input(f"file:{path.resolve()}", vn=None, sn=None, dn=None, **safe_input_options())
        .output(
            "pipe:1",
            map=f"0:{track.index}",
            format="f32le",
            acodec="pcm_f32le",
            af=f"{bounded}{chosen},aresample={continuous}:{_MONO}",
            ar=rate,
            t=longest,
            loglevel="error",
        )
        .global_args("-nostdin", "-threads", "1")
    )
    with tempfile.TemporaryFile() as track_file:
        done = subprocess.run(
            job.compile(cmd=ffmpeg_binary()), stdout=track_file, stderr=subprocess.PIPE, check=False
        )
        messages = done.stderr.decode(errors="replace").strip()
        samples: FloatArray = array_of(track_file, "<f4")
    if fault := storage_error(messages, Path(tempfile.gettempdir())):
        raise fault
    if not len(samples):
        lines = messages.splitlines()
        if not lines:
            raise NoAudioError(f"{path.name}: its audio stream is empty")
        raise BrokenMediaError(
            f"{path.name}: the audio does not decode ({lines[-1:] or 'no data'})"
        )
    return samples
