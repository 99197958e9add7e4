"""Portraits: a few square crops around the face of each of the most prominent people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import Frames

from .summary import people

SAMPLES: Final = 4
"""Number of portraits of each person."""
_MOST: Final = 8  # largest number of people

Pixels = npt.NDArray[np.uint8]
Box = npt.NDArray[np.float64]


class Portraits:
    """Shows the portraits of a clip to a network that classifies pictures.

    Four sighted frames of each person are looked at, in the middles of four equal parts of the sightings: what kind
    of picture it is does not change within a shot, and a mean levels out blinks and blur. Pictures of people, and
    all but the eight most prominent people, are left out.

    Args:
        faces: Values of the extractor `faces`.
        sides: Side of the square around a face, in longer sides of its box.
        classify: Returns probabilities (n, kinds) for n portraits of any size. It sees each portrait when its
            frame comes, so that none is kept: those of eight people in a picture of 1080×1920 have 110 MB.
        columns: Returns the columns of the people for their mean probabilities, (people, kinds).
    """

    def __init__(
        self,
        faces: Values,
        sides: float,
        classify: Callable[[Sequence[Pixels]], npt.NDArray[Any]],
        columns: Callable[[npt.NDArray[np.float64]], Values],
    ) -> None:
        self._sides = sides
        self._classify = classify
        self._columns = columns
        self._wanted: dict[int, list[tuple[int, Box]]] = {}
        self._probabilities: list[npt.NDArray[Any]] = []
        self._owners: list[int] = []
        for person in people(faces)[:_MOST]:
            for i in middles(len(person.samples), SAMPLES):
                frame = int(faces["frame"][person.samples[i]])
                self._wanted.setdefault(frame, []).append((person.number, person.boxes[i]))

    def update(self, batch: Frames) -> None:
        """Take the next frames, at full size."""
        for frame, index in zip(batch.pixels, batch.indices.tolist(), strict=True):
            for number, box in self._wanted.get(index, ()):
                (found,) = self._classify([square_around(frame, box, self._sides)])
                self._probabilities.append(found)
                self._owners.append(number)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        """Numbers of the people as in `faces`, ascending, in the column `person`; and the columns of each.

        Raises:
            AbsentError: There are no portraits.
        """
        if not self._owners:
            raise AbsentError("no-face", "none of the frames with a face can be read again")
        probabilities = np.array(self._probabilities)
        persons, owner = np.unique(np.array(self._owners, np.int32), return_inverse=True)
        mean = [probabilities[owner == i].mean(axis=0) for i in range(len(persons))]
        return {"person": persons} | self._columns(np.array(mean, np.float64)), {}


def middles(n: int, parts: int) -> list[int]:
    """Indices of the middles of equal parts of a sequence.

    Args:
        n: Length of the sequence.
        parts: Number of parts.

    Returns:
        Ascending indices, `parts` or, in a shorter sequence, `n`.

    Examples:
        >>> middles(40, 4), middles(5, 4), middles(2, 4)
        ([5, 15, 25, 35], [0, 1, 3, 4], [0, 1])
    """
    return sorted({(2 * i + 1) * n // (2 * parts) for i in range(parts)} if n else ())


def square_around(frame: Pixels, box: Box, sides: float) -> Pixels:
    """The square around a face, moved into the frame where it reaches beyond.

    Args:
        frame: uint8 (height, width, 3).
        box: (4,): left, top, right, bottom of the face, as shares of the frame's width and height.
        sides: Side of the square, in longer sides of the box.

    Returns:
        uint8 (side, side, 3), side being at most the frame's shorter side; a view of the frame.

    Examples:
        >>> frame = np.arange(100, dtype=np.uint8)[None, :, None].repeat(50, axis=0).repeat(3, axis=2)
        >>> crop = square_around(frame, np.array((0.2, 0.4, 0.3, 0.6)), sides=2)
        >>> crop.shape, int(crop[0, 0, 0])
        ((20, 20, 3), 15)
        >>> square_around(frame, np.array((0.9, 0, 1, 1)), sides=2).shape
        (50, 50, 3)
    """
    height, width = frame.shape[:2]
    left, top, right, bottom = (box * (width, height, width, height)).tolist()
    side = max(1, min(round(sides * max(right - left, bottom - top)), height, width))
    x0 = min(max(0, round((left + right - side) / 2)), width - side)
    y0 = min(max(0, round((top + bottom - side) / 2)), height - side)
    return frame[y0 : y0 + side, x0 : x0 + side]
