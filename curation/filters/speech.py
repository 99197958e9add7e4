"""Share of speech in a clip, and its signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.speech_stats import SpeechStats

from .base import Clip, Features, Filter, UndecidedError, Verdict, keep, reject


@dataclass(frozen=True)
class Speech(Filter):
    """Keeps clips in which somebody speaks for long enough.

    Attributes:
        min_ratio: Minimum share of the audio that is speech.
        max_pause: Maximum length of a pause in seconds; None for no limit.
        min_snr_db: Minimum level of speech above the noise in pauses, in dB; None for no limit. Where it
            is undefined because there are no pauses, or no noise in them, the clip passes.
    """

    min_ratio: float = 0.5
    max_pause: float | None = None
    min_snr_db: float | None = None

    signed: ClassVar[frozenset[str]] = frozenset({"min_snr_db"})
    shown: ClassVar[Mapping[str, str]] = {
        "speech_ratio": "min_ratio",
        "longest_pause": "max_pause",
        "snr_db": "min_snr_db",
    }
    decides: ClassVar[Mapping[str, str]] = {
        "little-speech": "speech_ratio",
        "long-pause": "longest_pause",
        "noisy": "snr_db",
    }

    def needs(self) -> Sequence[Extractor]:
        """Statistics of speech."""
        return (SpeechStats(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the segments of Silero VAD."""
        silent = features.empty("speech_stats")
        if silent:
            return reject(silent, speech_ratio=0.0)
        ratio = features.number("speech_stats", "speech_ratio")
        pause = features.number("speech_stats", "longest_pause")
        snr: float | None
        try:
            snr = features.number("speech_stats", "snr_db")
        except UndecidedError as absent:
            snr = None
            why = absent.reason
        measured = {"speech_ratio": ratio, "longest_pause": pause, "snr_db": snr}
        if ratio < self.min_ratio:
            return reject("little-speech", **measured)
        if self.max_pause is not None and pause > self.max_pause:
            return reject("long-pause", **measured)
        if self.min_snr_db is None or (snr is not None and snr >= self.min_snr_db):
            return keep(**measured)
        if snr is None and why in ("no-silence", "noiseless"):
            return keep(**measured)
        return reject("noisy", **measured)
