"""Which frames a file has, by its packets, without decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import ZeroFramesError

from ._open import (
    LIMITS,
    Times,
    audio_stream,
    check_file,
    open_container,
    shortfall,
    still_format,
    video_stream,
)


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
    check_file(path, LIMITS)
    if still_format(path):
        return FrameIndex(np.zeros(1), np.zeros(1, np.int64), np.ones(1, np.bool_), 0.0)
    with open_container(path) as container:
        return scan(container, video_stream(container, path)).index


@dataclass(frozen=True, slots=True)
class Scan:
    index: FrameIndex
    audio_start: float | None
    audio_duration: float | None
    truncated: str | None


def scan(container: Any, stream: Any) -> Scan:
    """Read every packet of the video and the first audio stream."""
    import av

    sound = audio_stream(container)
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
    stopped = stopped or shortfall(stream, end)
    return Scan(index, audio_start, audio_duration, stopped)
