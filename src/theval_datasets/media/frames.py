"""Decoded frames and audio as consumers receive them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz of every audio track that the toolkit hands out, unless asked for another rate."""


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Which frames a consumer wants, and how.

    Attributes:
        fps: Frames a second; None means every frame that is there.
        height: Height in pixels to scale to, keeping the aspect; None means as it is. Frames are
            never enlarged.
        colour: Channel order, or one channel of luma.
        pixels: False for consumers that only want the timestamps: `Frames.pixels` is then empty.
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
        pixels: One uint8 array a frame, (height, width, 3), or (height, width) in gray; empty when
            the request asked for no pixels. Shared with other consumers: read, do not write.
        times: float64, (n,): seconds since the first frame of the clip, as measured.
        indices: int64, (n,): index of each among the clip's decoded frames.
        stored: The same frames as OpenCV's VideoCapture reads them, for those who have to agree
            with it: neither scaled nor rotated, converted by BT.601 whatever the file says.
        breaks: bool, (n,): whether the stored picture's size changes at a frame; empty if unknown.
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
        samples: float32 in [-1, 1], mono; of a long track an array over a temporary file, which
            `utils.spool.blocks` goes through without filling the memory.
        start: Seconds from the first video frame to the first sample; never negative, what
            sounds before the first frame is cut off.
        rate: Hz.
        channel: Number, from 0, of the only channel that was taken; None for a mix of all.
    """

    samples: FloatArray
    start: float = 0.0
    rate: int = SAMPLE_RATE
    channel: int | None = None

    @property
    def end(self) -> float:
        """Seconds from the first video frame to the end of the last sample."""
        return self.start + len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Header:
    """What a container promises, for code that has to believe it.

    Attributes:
        rate: Frames a second.
        n_frames: Number of frames.
    """

    rate: float
    n_frames: int
