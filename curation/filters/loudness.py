"""Loudness and clipping of the sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.audio_levels import AudioLevels

from .base import Clip, Features, Filter, Verdict, check_range, keep, reject


@dataclass(frozen=True)
class LoudnessFilter(Filter):
    """Keeps clips within a range of loudness and with little clipping.

    Attributes:
        min_lufs: Minimum integrated loudness by ITU-R BS.1770, in LUFS.
        max_lufs: Maximum integrated loudness, in LUFS; None for no limit.
        max_clipped: Maximum share of clipped samples.
    """

    min_lufs: float = -45.0
    max_lufs: float | None = None
    max_clipped: float = 0.01

    signed: ClassVar[frozenset[str]] = frozenset({"min_lufs", "max_lufs"})
    shown: ClassVar[Mapping[str, str]] = {"lufs": "min_lufs,max_lufs", "clipped": "max_clipped"}
    decides: ClassVar[Mapping[str, str]] = {
        "too-quiet": "lufs",
        "too-loud": "lufs",
        "clipped": "clipped",
    }

    def __post_init__(self) -> None:
        check_range("the range of loudness", self.min_lufs, self.max_lufs)

    def needs(self) -> Sequence[Extractor]:
        """Levels."""
        return (AudioLevels(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the whole track."""
        nothing = features.empty("audio_levels")
        if nothing:
            return reject(nothing)
        clipped = features.number("audio_levels", "clipped_share")
        if "lufs" not in features.values("audio_levels"):
            return reject("too-quiet", clipped=clipped)
        lufs = features.number("audio_levels", "lufs")
        measured = {"lufs": lufs, "clipped": clipped}
        if lufs < self.min_lufs:
            return reject("too-quiet", **measured)
        if self.max_lufs is not None and lufs > self.max_lufs:
            return reject("too-loud", **measured)
        return keep(**measured) if clipped <= self.max_clipped else reject("clipped", **measured)
