"""Near-duplicate clips within a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.features.picture import Picture

from ..duplicates.fingerprint_index import FingerprintIndex
from ..duplicates.matching import Prints
from ..duplicates.recordings import RecordingFilter
from .base import Clip, Features, UndecidedError, Verdict, keep, reject, undecided


@dataclass(frozen=True)
class NearDuplicates(RecordingFilter):
    """Keeps the best of clips that are the same recording.

    The best clip has the most pixels per frame; among equals the highest frame rate; then the largest file,
    which is the longest or the least compressed; then the sharpest; then the first `clip_id`. A clip with the pictures of a
    kept clip and another sound is kept too, and names that clip in `same_picture`.
    """

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints, and the sharpness that decides between equal files."""
        return (Fingerprints(), Picture())

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip, the best first, with the kept clips that have similar pictures."""
        verdicts: dict[str, Verdict] = {}
        names: list[str] = []
        prints: list[Prints] = []
        for clip, features in sorted(clips, key=lambda pair: _worst_last(*pair)):
            try:
                prints.append(self.prints(features))
            except UndecidedError as absent:
                verdicts[clip.clip_id] = undecided(absent.what)
            else:
                names.append(clip.clip_id)
        near = self.near(FingerprintIndex(prints), prints)
        kept = np.zeros(len(names), bool)
        for number, name in enumerate(names):
            nearest = near.nearest(number, kept)
            if nearest.twin is not None:
                verdicts[name] = reject("duplicate", of=names[nearest.twin], **nearest.measured)
                continue
            alike = nearest.same_picture
            same_picture = {} if alike is None else {"same_picture": names[alike]}
            kept[number] = True
            verdicts[name] = keep(**nearest.measured, **same_picture)
        return [verdicts[clip.clip_id] for clip, _ in clips]


def _worst_last(clip: Clip, features: Features) -> tuple[float, float, int, float, str]:
    media = clip.media
    try:
        sharpness = float(np.median(features.values("picture")["sharpness"]))
    except UndecidedError:
        sharpness = 0.0
    rate = media.fps or 0.0
    return (-media.width * media.height, -rate, -media.n_bytes, -sharpness, clip.clip_id)
