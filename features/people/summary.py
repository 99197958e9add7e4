"""Summary of the people of a clip for filters: sizes, positions and presence, from `faces`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values

from .grouping import KINDS

_PERSON = KINDS.index("person")


@dataclass(frozen=True, slots=True)
class Person:
    """A person of a clip; pictures of people, and faces detected for a moment only, are left out.

    Attributes:
        number: Number of the person, as in `faces`.
        samples: (n,): indices of the sampled frames that show the face, ascending.
        boxes: (n, 4): left, top, right, bottom in each, as shares of the frame's width and height.
        aspect: Width of the frame divided by its height.
    """

    number: int
    samples: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    aspect: float

    @property
    def height(self) -> float:
        """Median height of the face, as a share of the frame's."""
        return float(np.median(self.boxes[:, 3] - self.boxes[:, 1]))

    @property
    def margin(self) -> float:
        """Distance of the face from the nearest border of the frame, in face heights.

        It is the tenth percentile over the samples; negative where the face is cut off.
        """
        nearest = np.minimum(self.boxes[:, :2], 1 - self.boxes[:, 2:])
        nearest = (nearest * (self.aspect, 1)).min(axis=1)  # in heights of the frame
        return float(np.percentile(nearest / (self.boxes[:, 3] - self.boxes[:, 1]), 10))


def people(faces: Values) -> list[Person]:
    """The people of a clip, the main person first.

    Examples:
        >>> faces = {"track": np.array([0, 0]), "sample": np.array([0, 1])}
        >>> faces |= {"track_kind": np.array([0]), "track_person": np.array([0])}
        >>> faces |= {"box": np.array([[10, 10, 30, 40]] * 2)}
        >>> faces |= {"width": np.array(100), "height": np.array(100)}
        >>> round(people(faces)[0].height, 2)
        0.3
    """
    kinds = faces["track_kind"][faces["track"]]
    owner = faces["track_person"][faces["track"]]
    width, height = float(faces["width"]), float(faces["height"])
    persons = []
    for number in range(int(owner.max()) + 1):
        own = np.flatnonzero((owner == number) & (kinds == _PERSON))
        if not len(own):
            continue
        samples, first = np.unique(faces["sample"][own].astype(np.int64), return_index=True)
        boxes = faces["box"][own][first].astype(np.float64) / ([width, height] * 2)
        persons.append(Person(number, samples, boxes, width / height))
    return persons


def together(faces: Values, count: int) -> float:
    """Share of the sampled frames that show at least `count` people."""
    shown = np.zeros(len(faces["time"]), np.int64)
    for person in people(faces):
        shown[person.samples] += 1
    return float((shown >= count).mean())
