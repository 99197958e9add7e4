"""Black bars, panels and burnt-in text in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.faces import Faces
from theval_datasets.features.insets import Insets
from theval_datasets.features.people.grouping import KINDS
from theval_datasets.features.picture import Picture

from .base import Clip, Features, Filter, Verdict, keep, reject


@dataclass(frozen=True)
class Overlays(Filter):
    """Keeps clips whose whole picture is the scene.

    Panels are recognised by a seam between them, by a still or duplicate picture of a person that `faces`
    flags, or by a still face that the border of the picture cuts (`insets`). Text is detected by a
    heuristic, which misses small, moving and transparent text.

    Attributes:
        max_bars: Maximum width of the black bars on two opposite sides together, as a share of the side.
        max_text: Maximum share of the picture under static text.
        panels: Whether panels and inset portraits are allowed.
    """

    max_bars: float = 0.02
    max_text: float = 0.02
    panels: bool = False

    shown: ClassVar[Mapping[str, str]] = {"bars": "max_bars", "text": "max_text"}
    decides: ClassVar[Mapping[str, str]] = {"bars": "bars", "text": "text"}

    def needs(self) -> Sequence[Extractor]:
        """Bars, seams and text, faces that are pictures of people, and such faces at the border."""
        return (Picture(), Faces()) if self.panels else (Picture(), Faces(), Insets())

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the whole clip."""
        picture = features.values("picture")
        left, top, right, bottom = picture["bars"].tolist()
        seams = int(picture["seams"])
        pictures = 0
        if not features.empty("faces"):
            kinds = features.values("faces")["track_kind"]
            flagged = (KINDS.index("still"), KINDS.index("duplicate"))
            pictures = int(np.isin(kinds, flagged).sum())
        if not self.panels:
            pictures += int(features.values("insets")["insets"])
        measured = {
            "bars": float(max(left + right, top + bottom)),
            "text": float(picture["text_share"]),
            "seams": seams,
            "pictures": pictures,
        }
        if measured["bars"] > self.max_bars:
            return reject("bars", **measured)
        if (seams or pictures) and not self.panels:
            return reject("panels", **measured)
        return keep(**measured) if measured["text"] <= self.max_text else reject("text", **measured)
