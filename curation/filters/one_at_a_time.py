"""Clips in which people speak one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.active_speaker import ActiveSpeaker

from .base import Clip, Features, Filter, UndecidedError, Verdict, keep, reject


@dataclass(frozen=True)
class OneAtATime(Filter):
    """Keeps clips in which hardly ever several visible people speak at once.

    Only visible people count; voices that overlap off-screen are what `speakers` measures.

    Attributes:
        max_at_once: Maximum share of the speech during which several visible people speak.
    """

    max_at_once: float = 0.1

    shown: ClassVar[Mapping[str, str]] = {"speaking_at_once": "max_at_once"}
    decides: ClassVar[Mapping[str, str]] = {"several-at-once": "speaking_at_once"}

    def needs(self) -> Sequence[Extractor]:
        """Who speaks."""
        return (ActiveSpeaker(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the share of `active_speaker`; without face, sound or speech nobody speaks at once."""
        if features.empty("active_speaker"):
            return keep(speaking_at_once=0.0)
        try:
            speaking_at_once = features.number("active_speaker", "speaking_at_once")
        except UndecidedError as missing:
            if missing.reason == "no-speech":
                return keep(speaking_at_once=0.0)
            raise
        return (
            reject("several-at-once", speaking_at_once=speaking_at_once)
            if speaking_at_once > self.max_at_once
            else keep(speaking_at_once=speaking_at_once)
        )
