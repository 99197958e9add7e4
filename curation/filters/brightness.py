"""Brightness and contrast of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.picture import Picture

from .base import Clip, Features, Filter, Verdict, check_range, keep, reject


@dataclass(frozen=True)
class Brightness(Filter):
    """Keeps clips within a range of brightness.

    Attributes:
        min_brightness: Minimum of the median of mean luma, 0 to 1.
        max_brightness: Maximum of the median of mean luma, 0 to 1.
        min_contrast: Minimum of the median standard deviation of luma, 0 to 0.5.
    """

    min_brightness: float = 0.12
    max_brightness: float = 0.92
    min_contrast: float = 0.05

    shown: ClassVar[Mapping[str, str]] = {
        "brightness": "min_brightness,max_brightness",
        "contrast": "min_contrast",
    }
    decides: ClassVar[Mapping[str, str]] = {
        "dark": "brightness",
        "overexposed": "brightness",
        "flat": "contrast",
    }
    renamed: ClassVar[Mapping[str, str]] = {"least": "min_brightness", "most": "max_brightness"}

    def __post_init__(self) -> None:
        check_range("the range of brightness", self.min_brightness, self.max_brightness)

    def needs(self) -> Sequence[Extractor]:
        """Brightness and contrast."""
        return (Picture(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By medians over the clip."""
        picture = features.values("picture")
        brightness = float(np.median(picture["brightness"]))
        contrast = float(np.median(picture["contrast"]))
        measured = {"brightness": brightness, "contrast": contrast}
        if brightness < self.min_brightness:
            return reject("dark", **measured)
        if brightness > self.max_brightness:
            return reject("overexposed", **measured)
        return keep(**measured) if contrast >= self.min_contrast else reject("flat", **measured)
