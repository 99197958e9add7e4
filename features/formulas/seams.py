"""Seams: straight jumps of the picture through all of its height or width, as between panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

HEIGHT: Final = 360
"""Maximum height of the pictures, lines."""
_JUMP: Final = 12.0  # grey levels by which the picture jumps across a seam
_SHARE: Final = 0.8  # share of the rows (columns) in which it does, in every picture
_APART: Final = 2  # steps up to which two jumps are one seam

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seam:
    """A seam.

    Attributes:
        axis: 0 where it divides left and right, 1 where it divides above and below.
        place: From the left or from the top; share of the side, or pixels.
    """

    axis: int
    place: float


class SeamDetector:
    """Detects seams that are in every picture of a clip, one picture after the other."""

    def __init__(self) -> None:
        self._least: list[Floats] = []

    def update(self, grey: npt.NDArray[np.uint8]) -> None:
        """Take the next picture, (height, width); all have one size, at most 360 lines."""
        shares = [_jumps(grey), _jumps(grey.T)]
        if self._least:
            shares = [np.minimum(a, b) for a, b in zip(self._least, shares, strict=True)]
        self._least = shares

    def seams(self, size: tuple[float, float] = (1.0, 1.0)) -> tuple[Seam, ...]:
        """Those of all pictures so far, each once, upright ones first.

        Args:
            size: Width and height that places are given in.
        """
        seams: list[Seam] = []
        for axis, shares in enumerate(self._least):
            places = np.flatnonzero(shares >= _SHARE)
            first = np.diff(places, prepend=-_APART - 1) > _APART
            step = size[axis] / (len(shares) + 1)
            seams += [Seam(axis, place * step) for place in places[first].tolist()]
        return tuple(seams)


def _jumps(grey: npt.NDArray[np.uint8]) -> Floats:
    """For each step from column to column: share of the rows in which the picture jumps there."""
    steps = np.abs(np.diff(grey.astype(np.int16), axis=1))
    jumps: Floats = (steps > _JUMP).mean(axis=0, dtype=np.float64)
    return jumps
