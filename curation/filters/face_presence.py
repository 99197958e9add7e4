"""Share of a clip in which a face is visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.faces import Faces
from theval_datasets.features.people.summary import together

from .base import Clip, Features, Filter, Verdict, keep, reject


@dataclass(frozen=True)
class FacePresence(Filter):
    """Keeps clips that show a face in nearly every sampled frame.

    Attributes:
        min_ratio: Minimum share of the sampled frames with a person's face.
    """

    min_ratio: float = 0.95

    shown: ClassVar[Mapping[str, str]] = {"ratio": "min_ratio"}
    decides: ClassVar[Mapping[str, str]] = {"no-face": "ratio", "face-absent": "ratio"}

    def needs(self) -> Sequence[Extractor]:
        """Tracks."""
        return (Faces(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the tracks of `faces`."""
        if features.empty("faces"):
            return reject("no-face", ratio=0.0)
        ratio = together(features.values("faces"), 1)
        return keep(ratio=ratio) if ratio >= self.min_ratio else reject("face-absent", ratio=ratio)
