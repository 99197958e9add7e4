"""Whether a clip shows or sounds like an earlier one of the set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.fingerprints import Fingerprints

from ..duplicates.matching import FingerprintIndex
from ..duplicates.recordings import RecordingFilter
from .base import Clip, Features, UndecidedError, Verdict, keep, reject, undecided


@dataclass(frozen=True)
class NearDuplicates(RecordingFilter):
    """Keeps the first of clips that resemble each other, in order of `clip_id`."""

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints."""
        return (Fingerprints(),)

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip with those kept before it that have a similar picture."""
        index = FingerprintIndex()
        kept: list[str] = []
        verdicts: list[Verdict] = []
        for clip, features in clips:
            try:
                prints = self.prints(features)
            except UndecidedError as absent:
                verdicts.append(undecided(absent.what))
                continue
            found = self.nearest(index, prints)
            if found.twin is None:
                kept.append(clip.clip_id)
                index.add(prints)
                verdicts.append(keep(**found.measured))
            else:
                verdicts.append(reject("duplicate", of=kept[found.twin], **found.measured))
        return verdicts
