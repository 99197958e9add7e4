"""The window of the picture that a clip keeps, frame by frame, from the region that a list names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import BrokenMediaError
from theval_datasets.manifest.rows import Region

Floats = npt.NDArray[np.float64]
_SMALLEST: Final = 16
"""Pixels of the shorter side of a window, below which nobody can be seen."""
_ASPECT: Final = 0.02
"""Share by which the shape of a picture may differ from the one that boxes were measured in."""


class OutsideError(BrokenMediaError):
    """A region does not lie in the picture."""

    reason = "crop-outside"


class AspectError(BrokenMediaError):
    """A region was measured in a picture of another shape."""

    reason = "aspect"


@dataclass(frozen=True, slots=True)
class Window:
    """Part of the source's picture that each frame of a clip shows, of constant size, in even pixels.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        left: (n,): left edge in each frame, in pixels.
        top: (n,): top edge in each frame, in pixels.
    """

    width: int
    height: int
    left: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]

    @property
    def moves(self) -> bool:
        """Whether its position changes."""
        return bool(np.ptp(self.left) or np.ptp(self.top))


def window_of(region: Region, size: tuple[int, int], times: Floats) -> Window:
    """The window of a region in a picture.

    It has the size of the region's largest box, limited by the picture's, and follows the centres of the
    boxes. Where it would extend beyond the picture, it is shifted inwards.

    Args:
        region: Region of a manifest row.
        size: Width and height of the picture in pixels.
        times: (n,): times of the clip's frames in seconds.

    Raises:
        OutsideError: The centre of a box lies outside the picture, or the window is too small.
        AspectError: The boxes were measured in a picture of another shape.

    Examples:
        >>> half = Region(boxes=((0.0, 0.25, 0.0, 0.5, 1.0),), width=1.0, height=1.0)
        >>> made = window_of(half, (640, 480), np.zeros(2))
        >>> made.width, made.height, made.left.tolist(), made.top.tolist()
        (320, 480, [160, 160], [0, 0])
    """
    width, height = size
    if region.centre is not None:
        x, y = region.centre
        centres = np.tile([x * width, y * height], (len(times), 1))
        sides = np.full(2, min(size), np.float64)
    else:
        boxes = _in_pixels(region, size)
        left, top, wide, high = (np.interp(times, boxes[:, 0], boxes[:, i]) for i in range(1, 5))
        centres = np.stack([left + wide / 2, top + high / 2], axis=1)
        sides = np.array([wide.max(), high.max()])
    if not ((centres >= 0) & (centres <= size)).all():
        raise OutsideError(f"the crop's centre lies outside the picture of {width}x{height}")
    kept = np.minimum(_even(sides + 0.5), _even(np.array(size, np.float64)))
    if kept.min() < _SMALLEST:
        raise OutsideError(
            f"the crop is {kept[0]}x{kept[1]} in a picture of {width}x{height}; at least "
            f"{_SMALLEST} px are expected"
        )
    corners = _even(np.clip(centres - kept / 2, 0, np.array(size) - kept) + 1e-6)
    return Window(int(kept[0]), int(kept[1]), corners[:, 0], corners[:, 1])


def _in_pixels(region: Region, size: tuple[int, int]) -> Floats:
    """Boxes in pixels of a picture: seconds, left, top, width, height, (m, 5)."""
    boxes = np.array(region.boxes, np.float64)
    down = 1.0 if region.height is None else size[1] / region.height
    across = down if region.width is None else size[0] / region.width
    shares = region.width == region.height == 1
    if not shares and abs(across / down - 1) > _ASPECT:
        raise AspectError(
            f"the crop was measured in a picture of {region.width:g}x{region.height:g}, and the "
            f"source is {size[0]}x{size[1]}"
        )
    boxes[:, 1::2] *= across
    boxes[:, 2::2] *= down
    return boxes


def _even(values: Floats) -> npt.NDArray[np.int64]:
    """The even whole numbers at or below some values: colour has half the picture's resolution."""
    halves: npt.NDArray[np.int64] = np.floor(values / 2).astype(np.int64)
    return 2 * halves
