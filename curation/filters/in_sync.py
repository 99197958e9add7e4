"""Clips whose lips and sound are in sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.av_sync import AvSync

from .base import Clip, Features, Filter, Verdict, keep, reject

_PER_CROP: Final = 40.0  # ms


@dataclass(frozen=True)
class InSync(Filter):
    """Keeps clips in which a visible person's lips are in sync with the sound, by SyncNet.

    Attributes:
        min_confidence: Minimum LSE-C.
        max_offset_ms: Maximum time by which the sound is ahead or late, in milliseconds; SyncNet measures
            it in steps of 40. The default is the largest lag that viewers do not notice (ITU-R BT.1359:
            125), in these steps.
    """

    min_confidence: float = 3.0
    max_offset_ms: float = 120.0

    shown: ClassVar[Mapping[str, str]] = {"lse_c": "min_confidence", "offset_ms": "max_offset_ms"}
    decides: ClassVar[Mapping[str, str]] = {"not-in-sync": "lse_c", "sound-off": "offset_ms"}

    def needs(self) -> Sequence[Extractor]:
        """SyncNet's measurement."""
        return (AvSync(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the stretch of a face that is most in sync."""
        nothing = features.empty("av_sync")
        if nothing is not None and nothing != "short-track":
            return reject(nothing)
        confidence = features.number("av_sync", "lse_c")
        offset = abs(features.number("av_sync", "av_offset")) * _PER_CROP
        if confidence < self.min_confidence:
            return reject("not-in-sync", lse_c=confidence, offset_ms=offset)
        if offset > self.max_offset_ms:
            return reject("sound-off", lse_c=confidence, offset_ms=offset)
        return keep(lse_c=confidence, offset_ms=offset)
