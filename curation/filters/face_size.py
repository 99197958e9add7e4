"""Size of faces, and their distance from the frame's border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.faces import Faces
from theval_datasets.features.people.summary import people

from .base import Clip, Features, Filter, Verdict, check_range, keep, reject


@dataclass(frozen=True)
class FaceSize(Filter):
    """Keeps clips whose faces are large enough and within the frame.

    Attributes:
        min_height: Minimum height of the smallest face, as a share of the frame's height.
        min_pixels: Minimum height of the smallest face, in pixels.
        max_height: Maximum height of the largest face, as a share of the frame's height; None for no
            limit.
        min_margin: Minimum distance from the nearest border of the frame, in heights of the face; if
            negative, faces may be cut off by that much.
    """

    min_height: float = 0.1
    min_pixels: int = 64
    max_height: float | None = None
    min_margin: float = 0.0

    signed: ClassVar[frozenset[str]] = frozenset({"min_margin"})
    shown: ClassVar[Mapping[str, str]] = {
        "height": "min_height,max_height",
        "pixels": "min_pixels",
        "margin": "min_margin",
    }
    decides: ClassVar[Mapping[str, str]] = {
        "small-face": "height,pixels",
        "large-face": "height",
        "cut-face": "margin",
    }

    def __post_init__(self) -> None:
        check_range("the range of heights", self.min_height, self.max_height)

    def needs(self) -> Sequence[Extractor]:
        """Boxes."""
        return (Faces(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the median height of each face."""
        if features.empty("faces"):
            return reject("no-face")
        visible = people(features.values("faces"))
        heights = [person.height for person in visible]
        pixels = min(heights) * clip.media.height
        margin = min(person.margin for person in visible)
        measured = {"height": min(heights), "pixels": pixels, "margin": margin}
        if min(heights) < self.min_height or pixels < self.min_pixels:
            return reject("small-face", **measured)
        if self.max_height is not None and max(heights) > self.max_height:
            return reject("large-face", **measured)
        return keep(**measured) if margin >= self.min_margin else reject("cut-face", **measured)
