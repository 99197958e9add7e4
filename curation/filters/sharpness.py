"""Sharpness of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.picture import Picture

from .base import Clip, Features, Filter, Verdict, keep, reject


@dataclass(frozen=True)
class Sharpness(Filter):
    """Keeps clips that are not blurred.

    Attributes:
        min_sharpness: Minimum of the median variance of the Laplacian of the 360-line picture, grey levels².
    """

    min_sharpness: float = 20.0

    shown: ClassVar[Mapping[str, str]] = {"sharpness": "min_sharpness"}
    decides: ClassVar[Mapping[str, str]] = {"blurred": "sharpness"}
    renamed: ClassVar[Mapping[str, str]] = {"least": "min_sharpness"}

    def needs(self) -> Sequence[Extractor]:
        """Sharpness."""
        return (Picture(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the median over the clip."""
        value = float(np.median(features.values("picture")["sharpness"]))
        return (
            keep(sharpness=value)
            if value >= self.min_sharpness
            else reject("blurred", sharpness=value)
        )
