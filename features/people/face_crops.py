"""Square crops of a face along its smoothed path, as audio-visual networks expect them.

The geometry is that of SyncNet's pipeline (Chung and Zisserman, Out of Time: Automated Lip Sync in the
Wild, 2016), which active speaker networks took over: 25 pictures a second, a median filter over half a
second, and a square of 1.4 times the box's longer side that begins at the box's top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .tracks import boxes_at

FPS: Final = 25
"""Crops a second, on a grid that begins with the clip."""
SIDE: Final = 224

_SMOOTHED: Final = 13  # crops
_MARGIN: Final = 0.4  # on each side and twice below, in half sides of the box
_GREY: Final = 110  # outside the frame

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FacePath:
    """Places of a face at consecutive crops.

    Attributes:
        first: Number of the first crop; crop n is at n / 25 s of the clip.
        centres: (n, 2): x and y of the box's centre, px.
        halves: (n,): half the longer side of the box, px.
    """

    first: int
    centres: Floats
    halves: Floats

    @property
    def last(self) -> int:
        """Number of the crop after the last."""
        return self.first + len(self.halves)

    def cut(self, frame: Pixels, number: int) -> Pixels:
        """A crop of a frame.

        Args:
            frame: uint8 (height, width, 3).
            number: Number of the crop, from `first` to `last` - 1.

        Returns:
            uint8 (224, 224, 3), of one grey outside the frame.
        """
        import cv2

        half = float(self.halves[number - self.first])
        x, y = self.centres[number - self.first].tolist()
        wide, high = half * (1 + _MARGIN), half * (1 + 2 * _MARGIN)
        corners = np.floor((x - wide, x + wide, y - half, y + high)).astype(int)
        left, right, top, bottom = corners.tolist()
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        height, width = frame.shape[:2]
        square = np.full((bottom - top, right - left, 3), _GREY, np.uint8)
        x0, x1, y0, y1 = max(0, left), min(width, right), max(0, top), min(height, bottom)
        if x1 > x0 and y1 > y0:
            square[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
        crop: Pixels = cv2.resize(square, (SIDE, SIDE))
        return crop


def face_path(times: Floats, boxes: npt.NDArray[np.float32], first: int, last: int) -> FacePath:
    """The smoothed path of a face.

    Args:
        times: (n,): times of its sightings in seconds, ascending.
        boxes: (n, 4): left, top, right, bottom in pixels.
        first: Number of the first crop.
        last: Number of the crop after the last.

    Examples:
        >>> path = face_path(np.array([0.0]), np.array([[10, 10, 30, 40]], np.float32), 0, 20)
        >>> path.centres[10].tolist(), float(path.halves[10])
        ([20.0, 25.0], 15.0)
    """
    from scipy.ndimage import median_filter

    placed = boxes_at(times, boxes, np.arange(first, last) / FPS).astype(np.float64)
    sides = placed[:, 2:] - placed[:, :2]
    raw = np.column_stack(((placed[:, :2] + placed[:, 2:]) / 2, sides.max(axis=1) / 2))
    smooth = median_filter(raw, size=(_SMOOTHED, 1), mode="nearest")
    return FacePath(first, smooth[:, :2], smooth[:, 2])
