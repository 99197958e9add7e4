"""Motion of the picture."""

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
        min_motion: Minimum mean change between samples half a second apart, in grey levels, that counts
            as motion.
        min_moving: Minimum share of samples with motion.
    """

    min_motion: float = 0.25
    min_moving: float = 0.5

    shown: ClassVar[Mapping[str, str]] = {"moving": "min_moving", "motion": "min_motion"}
    decides: ClassVar[Mapping[str, str]] = {"static": "moving"}
    renamed: ClassVar[Mapping[str, str]] = {"least": "min_motion", "share": "min_moving"}

    def needs(self) -> Sequence[Extractor]:
        """Changes of the picture."""
        return (Picture(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the changes between samples."""
        motion = features.values("picture")["motion"]
        if not len(motion):
            return undecided("single-frame")
        moving = float((motion >= self.min_motion).mean())
        measured = {"moving": moving, "motion": float(np.median(motion))}
        return keep(**measured) if moving >= self.min_moving else reject("static", **measured)
