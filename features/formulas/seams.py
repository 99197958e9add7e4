"""Seams between panels: straight edges through the whole height or width of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

HEIGHT: Final = 360
"""Maximum height of the pictures, in lines."""
_JUMP: Final = 12.0  # minimum difference across a seam, grey levels
_SHARE: Final = 0.8  # minimum share of rows (or columns) with that difference, in every picture
_APART: Final = 2  # distance up to which two edges are one seam, pixels

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seam:
    """A seam between two panels.

    Attributes:
        axis: 0 if it separates left and right, 1 if it separates top and bottom.
        place: Position from the left or the top, as a share of the side or in pixels.
    """

    axis: int
    place: float


class SeamDetector:
    """Detects seams that occur in every picture of a clip."""

    def __init__(self) -> None:
        self._least: list[Floats] = []

    def update(self, grey: npt.NDArray[np.uint8]) -> None:
        """Add the next picture, (height, width); all have one size, at most 360 lines."""
        shares = [_jumps(grey), _jumps(grey.T)]
        if self._least:
            shares = [np.minimum(a, b) for a, b in zip(self._least, shares, strict=True)]
        self._least = shares

    def seams(self, size: tuple[float, float] = (1.0, 1.0)) -> tuple[Seam, ...]:
        """Seams common to all pictures so far, vertical ones first.

        Args:
            size: Width and height, as the unit of positions.
        """
        seams: list[Seam] = []
        for axis, shares in enumerate(self._least):
            places = np.flatnonzero(shares >= _SHARE)
            first = np.diff(places, prepend=-_APART - 1) > _APART
            step = size[axis] / (len(shares) + 1)
            seams += [Seam(axis, place * step) for place in places[first].tolist()]
        return tuple(seams)


def _jumps(grey: npt.NDArray[np.uint8]) -> Floats:
    """For each pair of neighbouring columns, the share of rows with a difference."""
    steps = np.abs(np.diff(grey.astype(np.int16), axis=1))
    jumps: Floats = (steps > _JUMP).mean(axis=0, dtype=np.float64)
    return jumps
