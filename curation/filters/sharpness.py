"""How sharp the picture is."""

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
        least: Median variance of the Laplacian of the 360-line picture, grey levels².
    """

    least: float = 20.0

    shown: ClassVar[Mapping[str, str]] = {"sharpness": "least"}

    def needs(self) -> Sequence[Extractor]:
        """The picture's numbers."""
        return (Picture(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the median over the clip."""
        value = float(np.median(features.values("picture")["sharpness"]))
        return keep(sharpness=value) if value >= self.least else reject("blurred", sharpness=value)
