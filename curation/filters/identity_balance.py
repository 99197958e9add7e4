"""Number of clips per person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.people.pack import similarity

from .base import (
    Clip,
    Features,
    Measured,
    SetFilter,
    UndecidedError,
    Verdict,
    keep,
    reject,
    undecided,
)


@dataclass(frozen=True)
class IdentityBalance(SetFilter):
    """Keeps the first clips of every person, in order of `clip_id`.

    A clip counts for everybody in it. A person is recognised by the mean of the embeddings of the clip in
    which they first appeared. A clip whose people cannot be recognised is kept as long as the set is
    smaller than the quota, since nobody can have exceeded it by then.

    Attributes:
        max_clips: Maximum number of clips of one person.
        min_cosine: Minimum cosine similarity of the embeddings of one person.
    """

    max_clips: int = 200
    min_cosine: float = 0.4

    signed: ClassVar[frozenset[str]] = frozenset({"min_cosine"})
    shown: ClassVar[Mapping[str, str]] = {"clips": "max_clips"}
    decides: ClassVar[Mapping[str, str]] = {"identity-quota": "clips"}
    renamed: ClassVar[Mapping[str, str]] = {"most": "max_clips", "same": "min_cosine"}

    def needs(self) -> Sequence[Extractor]:
        """Embeddings."""
        return (Arcface(),)

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Count everybody's clips."""
        known: list[Any] = []
        counts: list[int] = []
        kept = 0
        verdicts: list[Verdict] = []
        for _, features in clips:
            if features.empty("arcface"):  # nobody is in it
                kept += 1
                verdicts.append(keep())
                continue
            try:
                embeddings = features.values("arcface")["person_embedding"]
            except UndecidedError as absent:
                few = kept < self.max_clips
                kept += few
                verdicts.append(keep() if few else undecided(absent.what))
                continue
            who = []
            for embedding in embeddings:
                alike = similarity(np.stack(known), embedding[None])[:, 0] if known else []
                best = int(np.argmax(alike)) if len(alike) else -1
                if best < 0 or alike[best] < self.min_cosine:
                    known.append(embedding)
                    counts.append(0)
                    best = len(known) - 1
                who.append(best)
            full = [counts[i] for i in who if counts[i] >= self.max_clips]
            measured: Measured = {"identity": str(who[0]), "clips": max(counts[i] for i in who)}
            if full:
                verdicts.append(reject("identity-quota", **measured))
                continue
            for i in set(who):
                counts[i] += 1
            kept += 1
            verdicts.append(keep(**measured))
        return verdicts
