"""Resolution of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import Clip, Features, Filter, Verdict, keep, reject


@dataclass(frozen=True)
class Resolution(Filter):
    """Keeps clips whose shorter side is long enough.

    Attributes:
        min_side: Minimum length of the shorter side in pixels; 1080 for "1080p", landscape or portrait.
    """

    min_side: int = 512

    shown: ClassVar[Mapping[str, str]] = {"side": "min_side"}
    decides: ClassVar[Mapping[str, str]] = {"low-resolution": "side"}

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the probed size."""
        side = min(clip.media.width, clip.media.height)
        return keep(side=side) if side >= self.min_side else reject("low-resolution", side=side)
