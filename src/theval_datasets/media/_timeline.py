"""The common timeline of a file's frames and sound.

Second 0 is the first video frame that decodes; the frame index, the sound, the facts and the cuts
all count from there. A file's timeline is measured once and kept until its size or time of change
differs.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import MediaError, ZeroFramesError

from ._alpha import alpha_of
from ._decode import Remarks, decoded, packets
from ._open import (
    LIMITS,
    Limits,
    Times,
    audio_stream,
    check_file,
    check_length,
    open_container,
    shortfall,
    still_format,
    video_stream,
    video_streams,
)

_TIMED_PACKETS: Final = ("mov", "matroska")
"""Containers in which every packet has a presentation time."""
_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of a file that decode, in order of presentation.

    Attributes:
        times: Seconds since the first frame, (n,).
        ticks: The same times as timestamps of the stream, in its time base, (n,).
        keyframes: Whether decoding can begin at each frame, (n,).
        length: Duration of the last frame in seconds.
        seekable: Whether seeks are reliable.
    """

    times: Times
    ticks: npt.NDArray[np.int64]
    keyframes: npt.NDArray[np.bool_]
    length: float
    seekable: bool = True

    def pick(self, fps: float) -> npt.NDArray[np.int64]:
        """Indices of `fps` frames a second: the first frame of each 1/fps interval that has one.

        Args:
            fps: Frames a second, above 0.

        Returns:
            Ascending, (k,), each 0 to n - 1.

        Examples:
            >>> index = FrameIndex(np.array([0.0, 0.04, 0.08]), np.arange(3), np.array([True, False, False]), 0.04)
            >>> index.pick(12.5).tolist()
            [0, 2]
        """
        return np.flatnonzero(SlotPicker(fps).take(self.times))

    def at(self, seconds: Sequence[float]) -> npt.NDArray[np.int64]:
        """Indices of the frames on screen at given times; outside the video, its first or last frame.

        Args:
            seconds: Seconds since the first frame, (k,).

        Returns:
            (k,), each 0 to n - 1.

        Examples:
            >>> index = FrameIndex(np.array([0.0, 0.04, 0.08]), np.arange(3), np.array([True, False, False]), 0.04)
            >>> index.at([0.05, 1.0]).tolist()
            [1, 2]
        """
        result = np.searchsorted(self.times, np.asarray(seconds) + 1e-6, side="right") - 1
        return np.clip(result, 0, len(self.times) - 1).astype(np.int64)


class SlotPicker:
    """Selects `fps` frames a second from a stream: the first of each interval of 1/fps seconds."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._slot = -1

    def take(self, times: Times) -> npt.NDArray[np.bool_]:
        """Whether each of the next frames is selected.

        Args:
            times: Seconds since the first frame, not descending, (n,); calls continue one another.

        Returns:
            bool, (n,).

        Examples:
            >>> SlotPicker(1.0).take(np.array([0.0, 0.5, 1.0])).tolist()
            [True, False, True]
        """
        slots = np.floor(times * self._fps + 1e-6).astype(np.int64)
        before = np.maximum.accumulate(np.concatenate(([self._slot], slots)))[:-1]
        if len(slots):
            self._slot = max(self._slot, int(slots.max()))
        chosen: npt.NDArray[np.bool_] = slots > before
        return chosen


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times of a file's frames and sound.

    Attributes:
        index: Index of the frames; None without video.
        origin: Time of the first frame that decodes (without video, of the first audio packet) on the
            container's clock, in seconds.
        early: Seconds by which FFmpeg's clock is early for the pictures: where an edit list begins within a frame,
            FFmpeg shows the next one at once, and the sound when it is due. The origin is when that frame is due.
        begin: Start time that the container states, on its own clock, in seconds.
        audio_start: Seconds from the origin to the first audio packet; None without audio.
        audio_end: Seconds from the origin to the end of the last audio packet.
        audio_seconds: Length of all audio packets together, gaps left out.
        remarks: Problems met while the file was read.
    """

    index: FrameIndex | None
    origin: float
    begin: float
    audio_start: float | None
    audio_end: float | None
    audio_seconds: float
    remarks: Remarks
    early: float = 0.0

    @property
    def audio_length(self) -> float | None:
        """Seconds from the first audio packet to the end of the last; None without audio."""
        if self.audio_start is None or self.audio_end is None:
            return None
        return self.audio_end - self.audio_start

    @property
    def video_end(self) -> float:
        """Seconds from the origin to the end of the last frame; 0 without video."""
        return 0.0 if self.index is None else float(self.index.times[-1]) + self.index.length


_timelines: OrderedDict[tuple[str, int, int, int], Timeline | MediaError] = OrderedDict()
_lock = Lock()


def timeline(path: Path, limits: Limits = LIMITS) -> Timeline:
    """The timeline of an audio or video file.

    Every packet is read, and the first frames are decoded; where packets do not say when their
    frames are shown (anything but MP4, QuickTime and Matroska), or where alpha has keyframes of its
    own, all frames are.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    check_file(path, limits)
    status = path.stat()
    key = (str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns)
    with _lock:
        known = _timelines.get(key)
    if known is None:
        try:
            known = _measure(path, limits)
        except MediaError as error:
            known = error
        with _lock:
            _timelines[key] = known
            while len(_timelines) > _KEPT:
                _timelines.popitem(last=False)
    if isinstance(known, MediaError):
        raise known
    return known


def frame_index(path: Path) -> FrameIndex:
    """The frames of a file that decode.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    check_file(path, LIMITS)
    if still_format(path):
        return FrameIndex(np.zeros(1), np.zeros(1, np.int64), np.ones(1, np.bool_), 0.0)
    index = timeline(path).index
    if index is None:
        with open_container(path) as container:
            video_stream(container, path)  # raises NoVideoError if there is no stream
        raise ZeroFramesError(f"{path.name} has no frame")
    return index


@dataclass(slots=True)
class _Packets:
    """Times of one stream according to its packets."""

    count: int
    stamps: list[int]
    lengths: list[int]
    keyframes: list[bool]
    all_timed: bool = True
    any_discarded: bool = False

    @property
    def in_order(self) -> bool:
        """Whether every packet has a time of its own, and keyframes follow each other in time."""
        keys = [stamp for stamp, key in zip(self.stamps, self.keyframes, strict=True) if key]
        growing = all(key < following for key, following in itertools.pairwise(keys))
        return self.all_timed and growing and len(set(self.stamps)) == len(self.stamps)

    def add(self, packet: Any) -> None:
        if packet.is_discard or packet.size == 0:
            self.any_discarded |= packet.is_discard
            return
        self.count += 1
        stamp = packet.pts
        if stamp is None:
            self.all_timed = False
            stamp = packet.dts
        if stamp is None:
            return
        self.stamps.append(stamp)
        self.lengths.append(packet.duration or 0)
        self.keyframes.append(packet.is_keyframe)


def _measure(path: Path, limits: Limits) -> Timeline:
    import av

    remarks = Remarks()
    with open_container(path) as container:
        video = video_stream(container, path) if video_streams(container) else None
        sound = audio_stream(container)
        begin = (container.start_time or 0) / av.time_base
        seen, heard = _Packets(0, [], [], []), _Packets(0, [], [], [])
        for packet in packets(container, [stream for stream in (video, sound) if stream], remarks):
            of_video = video is not None and packet.stream_index == video.index
            (seen if of_video else heard).add(packet)
        timed = container.format.name.split(",")[0] in _TIMED_PACKETS and seen.in_order
        if video is not None and alpha_of(video).decoder is not None:
            timed = False  # alpha has keyframes of its own
        index = None
        origin = early = 0.0
        if video is not None:
            index = _index(path, video, seen, timed, limits, remarks)
            early = float(_early_by(path, video, seen) * video.time_base)
            origin = float(index.ticks[0] * video.time_base) + early
            if container.start_time is None:  # an elementary stream, whose clock ffmpeg begins at 0
                begin = origin
            remarks.short = shortfall(
                video, float(index.times[-1]) + index.length, int(index.ticks[0])
            )
        start = end = None
        total = 0.0
        if sound is not None and heard.stamps:
            base = float(sound.time_base)
            if video is None:
                origin = heard.stamps[0] * base
            start = heard.stamps[0] * base - origin
            end = (heard.stamps[-1] + heard.lengths[-1]) * base - origin
            total = sum(heard.lengths) * base
    return Timeline(index, origin, begin, start, end, total, remarks, early)


def _early_by(path: Path, stream: Any, seen: _Packets) -> int:
    """Ticks by which FFmpeg shows the pictures of an MP4 too early; see `Timeline.early`.

    Without its handling of edit lists FFmpeg gives the frames the times at which they are due.
    """
    if not seen.any_discarded or stream.container.format.name.split(",")[0] != "mov":
        return 0
    stamps = np.unique(np.array(seen.stamps, dtype=np.int64))
    with open_container(path, advanced_editlist=0) as container:
        raw = container.streams[stream.index]
        due = [p.pts for p in packets(container, [raw], Remarks()) if p.pts is not None and p.size]
    shown = np.unique(np.array([tick for tick in due if tick >= stamps[0]], dtype=np.int64))
    if len(shown) < len(stamps) or not len(stamps):
        return 0
    early = shown[: len(stamps)] - stamps
    return int(early[0]) if (early == early[0]).all() else 0


def _index(
    path: Path, stream: Any, seen: _Packets, timed: bool, limits: Limits, remarks: Remarks
) -> FrameIndex:
    if not seen.count:
        raise ZeroFramesError(f"{path.name}: the video stream has no packet")
    check_length(path, seen.count, stream, limits)
    stamps, first_of = np.unique(np.array(seen.stamps, dtype=np.int64), return_index=True)
    keys = np.array(seen.keyframes)[first_of]
    lengths = np.array(seen.lengths, dtype=np.int64)[first_of]
    problems = Remarks()
    ticks, last_length = _decoded_ticks(path, problems, limit=1 if timed else None)
    remarks.opaque = problems.opaque
    if timed:
        kept = stamps >= ticks[0]
        ticks, keyframes, last_length = stamps[kept], keys[kept], int(lengths[kept][-1])
    else:
        remarks.undecoded = problems.undecoded
        remarks.undecoded_reason = problems.undecoded_reason
        remarks.guessed, remarks.backwards = problems.guessed, problems.backwards
        keyframes = np.isin(ticks, stamps[keys.astype(bool)])
    if not last_length and len(ticks) > 1:
        last_length = int(np.median(np.diff(ticks)))
    base = float(stream.time_base)
    times = (ticks - ticks[0]) * base
    return FrameIndex(times, ticks, keyframes, last_length * base, timed)


def _decoded_ticks(
    path: Path, remarks: Remarks, limit: int | None
) -> tuple[npt.NDArray[np.int64], int]:
    """Timestamps of frames that decode and are in order, and the duration of the last one."""
    ticks: list[int] = []
    length = 0
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_type = "AUTO"
        for frame in decoded(container, stream, remarks):
            if ticks and frame.pts <= ticks[-1]:
                back = (frame.pts - ticks[0]) * float(stream.time_base)
                remarks.backwards = back if remarks.backwards is None else remarks.backwards
                continue
            ticks.append(frame.pts)
            length = frame.duration or 0
            if limit is not None and len(ticks) >= limit:
                break
    if not ticks:
        raise ZeroFramesError(f"{path.name}: no frame decodes ({remarks.text() or 'no data'})")
    return np.array(ticks, dtype=np.int64), length
