"""Near-duplicate clips within a set."""

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
    """Keeps the best of clips that are the same recording.

    The best clip has the most pixels per frame; among equals the highest frame rate; then the largest file,
    which is the longest or the least compressed; then the first `clip_id`. A clip with the pictures of a
    kept clip and another sound is kept too, and names that clip in `same_picture`.
    """

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints."""
        return (Fingerprints(),)

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip, the best first, with the kept clips that have similar pictures."""
        index = FingerprintIndex()
        kept: list[str] = []
        verdicts: dict[str, Verdict] = {}
        for clip, features in sorted(clips, key=lambda pair: _worst_last(pair[0])):
            verdicts[clip.clip_id] = self._judge(clip, features, index, kept)
        return [verdicts[clip.clip_id] for clip, _ in clips]

    def _judge(
        self, clip: Clip, features: Features, index: FingerprintIndex, kept: list[str]
    ) -> Verdict:
        try:
            prints = self.prints(features)
        except UndecidedError as absent:
            return undecided(absent.what)
        nearest = self.nearest(index, prints)
        if nearest.twin is not None:
            return reject("duplicate", of=kept[nearest.twin], **nearest.measured)
        alike = nearest.same_picture
        same_picture = {} if alike is None else {"same_picture": kept[alike]}
        kept.append(clip.clip_id)
        index.add(prints)
        return keep(**nearest.measured, **same_picture)


def _worst_last(clip: Clip) -> tuple[float, float, int, str]:
    media = clip.media
    return (-media.width * media.height, -(media.fps or 0.0), -media.n_bytes, clip.clip_id)
