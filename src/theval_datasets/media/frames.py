"""Decoded frames and audio as consumers receive them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.utils.spool import blocks

FloatArray = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Default sampling rate of audio tracks in Hz."""


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """The frames that a consumer wants, and their form.

    Attributes:
        fps: Number of frames a second; None for every frame.
        height: Height in pixels to scale to, keeping the aspect; None for no scaling. Frames are never
            enlarged. Every frame (without `fps`) is scaled while it is decoded, which is cheaper than to
            convert it whole; sampled frames are scaled down from whole ones.
        colour: Order of the channels, or one channel of luma.
        pixels: Whether pictures are wanted; if False, only timestamps are, and `Frames.pixels` is empty.
        stored: Whether `Frames.stored` is wanted too.
    """

    fps: float | None = None
    height: int | None = None
    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    pixels: bool = True
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Frames:
    """A batch of consecutive frames.

    Attributes:
        pixels: One uint8 array a frame, (height, width, 3), or (height, width) in gray; empty if the
            request asked for no pixels. Shared with other consumers: do not modify. Those of
            `media.open_video` are converted when they are first looked at.
        times: float64, (n,): measured time of each frame in seconds since the clip's first frame.
        indices: int64, (n,): index of each frame among the clip's decoded frames.
        stored: The same frames as OpenCV's VideoCapture reads them, for metrics that must agree with
            it: neither scaled nor rotated, converted by BT.601 whatever the file says.
        breaks: bool, (n,): whether the stored picture's size changes at each frame; empty if unknown.
    """

    pixels: Sequence[npt.NDArray[np.uint8]]
    times: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]
    stored: Sequence[npt.NDArray[np.uint8]] = ()
    breaks: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class Audio:
    """A clip's audio on the timeline of its video.

    Attributes:
        samples: float32, (n,), mono; within [-1, 1] except for mixes of more than two channels and sound that exceeds
            it in the file. For a long track an array over a temporary file, which `utils.spool.blocks` reads without
            filling the memory.
        start: Seconds from the first video frame to the first sample; never negative, since sound
            before the first frame is cut off.
        rate: Sampling rate in Hz.
        channel: Number, from 0, of the only channel that was used; None for a mix of all.
        n_channels: Number of channels in the mix, by the first of them where it changes on the way.

    Examples:
        >>> Audio(np.zeros(8_000, np.float32), start=1.0).end
        1.5
    """

    samples: FloatArray
    start: float = 0.0
    rate: int = SAMPLE_RATE
    channel: int | None = None
    n_channels: int = 1

    @property
    def end(self) -> float:
        """Seconds from the first video frame to the end of the last sample."""
        return self.start + len(self.samples) / self.rate

    @property
    def gain(self) -> float:
        """Factor with which the track is stored in 16 bits.

        Below 1 for a mix of more than two channels that exceeds full scale, so that speech is not clipped.
        Sound of one or two channels that exceeds it is clipped, as by every player.

        Examples:
            >>> Audio(np.array([0.5, -2.0], np.float32), n_channels=6).gain
            0.5
        """
        if self.n_channels <= 2:
            return 1.0
        return 1 / max(1.0, *(float(np.abs(block).max()) for block in blocks(self.samples)))


@dataclass(frozen=True, slots=True)
class Header:
    """Facts that a container states, for metrics that are defined by them.

    Attributes:
        rate: Number of frames a second.
        n_frames: Number of frames.
    """

    rate: float
    n_frames: int
