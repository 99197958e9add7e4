"""Whether the picture moves at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.picture import Picture

from .base import Clip, Features, Filter, Verdict, keep, reject, undecided


@dataclass(frozen=True)
class Motion(Filter):
    """Keeps clips that are not a static picture.

    Attributes:
        least: Grey levels of mean change from one half second to the next.
        share: Share of the half seconds that have to change by that much.
    """

    least: float = 0.25
    share: float = 0.5

    shown: ClassVar[Mapping[str, str]] = {"moving": "share", "motion": "least"}

    def needs(self) -> Sequence[Extractor]:
        """The picture's numbers."""
        return (Picture(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the changes between samples."""
        motion = features.values("picture")["motion"]
        if not len(motion):
            return undecided("single-frame")
        moving = float((motion >= self.least).mean())
        measured = {"moving": moving, "motion": float(np.median(motion))}
        return keep(**measured) if moving >= self.share else reject("static", **measured)
