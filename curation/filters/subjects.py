"""Number of people in a clip, and their visibility."""

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
    """Keeps clips with a certain number of people, all of whom are visible.

    Attributes:
        min_people: Minimum number of people.
        max_people: Maximum number of people; None for no limit.
        min_visible: Minimum share of the sampled frames in which all of them are visible.
    """

    min_people: int = 1
    max_people: int | None = None
    min_visible: float = 0.8

    shown: ClassVar[Mapping[str, str]] = {
        "subjects": "min_people,max_people",
        "all_visible": "min_visible",
    }
    decides: ClassVar[Mapping[str, str]] = {
        "too-few-people": "subjects",
        "too-many-people": "subjects",
        "not-all-visible": "all_visible",
    }
    renamed: ClassVar[Mapping[str, str]] = {
        "least": "min_people",
        "most": "max_people",
        "visible": "min_visible",
    }

    def __post_init__(self) -> None:
        check_range("the range of people", self.min_people, self.max_people)

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
        if count < self.min_people:
            return reject("too-few-people", **measured)
        if self.max_people is not None and count > self.max_people:
            return reject("too-many-people", **measured)
        return (
            keep(**measured)
            if visible >= self.min_visible
            else reject("not-all-visible", **measured)
        )
