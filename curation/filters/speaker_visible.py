"""Clips in which the person who is heard is in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import UNAVAILABLE
from theval_datasets.features.active_speaker import ActiveSpeaker

from .base import Clip, Features, Filter, UndecidedError, Verdict, keep, reject


@dataclass(frozen=True)
class SpeakerVisible(Filter):
    """Keeps clips in which a visible person speaks for most of the speech.

    LR-ASD tells whether a person speaks while there is speech, not whose voice it is: somebody who moves the
    lips under another person's voice counts as speaking.

    Attributes:
        min_visible: Minimum share of the speech during which a visible person speaks. Single speakers of
            real clips have 0.78 to 1.0, speech over still faces has 0.01 to 0.05.
        required: Whether clips are undecided where LR-ASD is not installed; else they pass.
    """

    min_visible: float = 0.5
    required: bool = True

    shown: ClassVar[Mapping[str, str]] = {"speaker_visible": "min_visible"}
    decides: ClassVar[Mapping[str, str]] = {"speaker-not-visible": "speaker_visible"}

    def needs(self) -> Sequence[Extractor]:
        """Who speaks."""
        return (ActiveSpeaker(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the share of `active_speaker`; clips without face, sound or speech are rejected."""
        absent = features.empty("active_speaker")
        if absent:
            return reject(absent, speaker_visible=None)
        try:
            visible = features.number("active_speaker", "speaker_visible")
        except UndecidedError as missing:
            if missing.reason == "no-speech":
                return reject("no-speech", speaker_visible=None)
            if not self.required and missing.reason in UNAVAILABLE:
                return keep(speaker_visible=None)
            raise
        if visible < self.min_visible:
            return reject("speaker-not-visible", speaker_visible=visible)
        return keep(speaker_visible=visible)
