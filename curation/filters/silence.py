"""Share of a clip that is silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.audio_levels import AudioLevels

from .base import Clip, Features, Filter, Verdict, keep, reject


@dataclass(frozen=True)
class Silence(Filter):
    """Keeps clips with sound throughout.

    Attributes:
        max_share: Maximum share of the track below the level of silence of `audio_levels`.
    """

    max_share: float = 0.5

    shown: ClassVar[Mapping[str, str]] = {"silence": "max_share"}
    decides: ClassVar[Mapping[str, str]] = {"silent": "silence"}

    def needs(self) -> Sequence[Extractor]:
        """Levels."""
        return (AudioLevels(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the share of silent windows of 50 ms."""
        nothing = features.empty("audio_levels")
        if nothing:
            return reject(nothing, silence=1.0)
        share = features.number("audio_levels", "silence_share")
        return keep(silence=share) if share <= self.max_share else reject("silent", silence=share)
