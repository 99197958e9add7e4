"""How many people a clip shows, and whether all are there all the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.faces import Faces
from theval_datasets.features.people.summary import together

from .base import Clip, Features, Filter, Verdict, check_range, keep, reject


@dataclass(frozen=True)
class Subjects(Filter):
    """Keeps clips with a number of people, all of whom are visible.

    Attributes:
        least: People.
        most: People; None for no limit.
        visible: Share of the sampled frames in which all of them have to be seen.
    """

    least: int = 1
    most: int | None = None
    visible: float = 0.8

    shown: ClassVar[Mapping[str, str]] = {"subjects": "least,most", "all_visible": "visible"}

    def __post_init__(self) -> None:
        check_range("the range of people", self.least, self.most)

    def needs(self) -> Sequence[Extractor]:
        """Tracks and people."""
        return (Faces(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the people of `faces`."""
        if features.empty("faces"):
            return reject("no-face", subjects=0)
        faces = features.values("faces")
        count = int(faces["n_subjects"])
        visible = together(faces, count)
        measured = {"subjects": count, "all_visible": visible}
        if count < self.least:
            return reject("too-few-people", **measured)
        if self.most is not None and count > self.most:
            return reject("too-many-people", **measured)
        return (
            keep(**measured) if visible >= self.visible else reject("not-all-visible", **measured)
        )
