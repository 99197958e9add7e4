"""Panels: pictures side by side in one frame, such as a driving video and what it drives.

They show in two signs together: there is a seam where an equal division of the frame would have
one, and the faces on both sides of it turn, nod and speak alike.

Measured: of 24,495 pairs of spans of 12 sightings out of clips with nothing in common, one in 10,000
moves alike by more than 0.71, and a driver and its result by 0.85. In frames without panels these
places differ from their surroundings by up to 2.8 times, between panels by 28 times and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

_PARTS: Final = (2, 3, 4)  # panels that a frame may be divided into, across or down
_LINES: Final = 128  # rows or columns that are looked at
_BESIDE: Final = 200  # 1 / share of the frame by which a seam may miss its place
_AROUND: Final = 10  # 1 / share of the frame, on each side, that it is compared with
_STANDS_OUT: Final = 10.0  # times its surroundings …
_LEVELS: Final = 1.0  # … which count as no smoother than this, in grey levels
_ALIKE: Final = 0.75
_LEAST: Final = 12  # sightings at once


@dataclass(frozen=True, slots=True)
class Seam:
    """A straight edge through the whole frame for the whole clip.

    Attributes:
        axis: 0 where it divides left and right, 1 where it divides above and below.
        place: Pixels from the left or from the top.
    """

    axis: int
    place: int


class SeamWatcher:
    """Looks for seams while the frames of a clip come."""

    def __init__(self) -> None:
        self._steps: tuple[Floats, Floats] | None = None
        self._frames = 0

    def look(self, frame: Pixels) -> None:
        """Take the next frame, (height, width, 3); all have one size."""
        green = frame[..., 1]
        across, down = _steps(green), _steps(green.T)
        if self._steps is not None:
            across, down = self._steps[0] + across, self._steps[1] + down
        self._steps = (across, down)
        self._frames += 1

    def seams(self) -> tuple[Seam, ...]:
        """Those of all frames together, so that edges that move count for little."""
        if self._steps is None:
            return ()
        sums = enumerate(self._steps)
        return tuple(Seam(axis, at) for axis, s in sums for at in _places(s / self._frames))


def _steps(grey: Pixels) -> Floats:
    """Mean change from column to column, (width - 1,)."""
    rows = grey[:: max(1, len(grey) // _LINES)].astype(np.int16)
    changes: Floats = np.abs(np.diff(rows, axis=1)).mean(axis=0, dtype=np.float64)
    return changes


def _places(steps: Floats) -> list[int]:
    """The equal divisions at which the mean changes stand out."""
    side = len(steps) + 1
    beside, around = max(2, side // _BESIDE), side // _AROUND
    found = []
    for at in sorted({side * k // parts for parts in _PARTS for k in range(1, parts)}):
        edge = steps[max(0, at - 1 - beside) : at + beside].max(initial=0.0)
        usual = np.median(steps[max(0, at - around) : at + around]) if around else np.inf
        if edge >= _STANDS_OUT * max(float(usual), _LEVELS):
            found.append(at)
    return found


def in_panels(a: Floats, b: Floats, seams: tuple[Seam, ...]) -> bool:
    """Whether two faces are the same motion in two panels.

    Args:
        a: Five points of one face at each moment, (n, 5, 2).
        b: Of the other at the same moments.
        seams: Of the clip.
    """
    if len(a) < _LEAST:
        return False
    places = [points.mean(axis=(0, 1)) for points in (a, b)]
    divided = any(
        min(p[s.axis] for p in places) < s.place < max(p[s.axis] for p in places) for s in seams
    )
    return divided and motion_likeness(a, b) >= _ALIKE


def motion_likeness(a: Floats, b: Floats) -> float:
    """Median correlation, -1 to 1, of six signals of two faces; place, size and camera do not count.

    The signals: where nose and mouth lie in the system of the eyes (2 + 2), the mouth's width
    against the distance of the eyes, and the tilt. One that is constant correlates with nothing.

    Args:
        a: Five points of one face at each moment, (n, 5, 2).
        b: Of the other at the same moments.
    """
    x, y = (s - s.mean(axis=0) for s in (_signals(a), _signals(b)))
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    shared = (x * y).sum(axis=0)
    return float(np.median(np.divide(shared, scale, out=np.zeros(6), where=scale > 1e-12)))


def _signals(points: Floats) -> Floats:
    """(n, 6)."""
    z = points.astype(np.float64) @ np.array((1.0, 1.0j))
    eyes = z[:, 1] - z[:, 0]
    nose, mouth = z[:, 2], (z[:, 3] + z[:, 4]) / 2
    own = [(p - (z[:, 0] + z[:, 1]) / 2) / eyes for p in (nose, mouth)]
    width = np.abs(z[:, 4] - z[:, 3]) / np.abs(eyes)
    columns = [part for p in own for part in (p.real, p.imag)]
    return np.stack([*columns, width, np.angle(eyes)], axis=1)
