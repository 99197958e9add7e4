"""Number of clips per person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.arcface import Arcface

from ..duplicates.face_index import people_of
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
        embeddings: dict[int, npt.NDArray[np.float32]] = {}
        absent: dict[int, str] = {}
        for i, (_, features) in enumerate(clips):
            if features.empty("arcface"):
                continue  # nobody is in it
            try:
                embeddings[i] = features.values("arcface")["person_embedding"]
            except UndecidedError as error:
                absent[i] = error.what
        people = people_of(list(embeddings.values()), self.min_cosine)
        who = dict(zip(embeddings, people, strict=True))
        counts: Counter[int] = Counter()
        kept = 0
        verdicts: list[Verdict] = []
        for i in range(len(clips)):
            measured: Measured = {}
            if i in absent and kept >= self.max_clips:
                verdicts.append(undecided(absent[i]))
                continue
            if i in who:
                most = max(counts[person] for person in who[i])
                measured = {"identity": str(who[i][0]), "clips": most}
                if most >= self.max_clips:
                    verdicts.append(reject("identity-quota", **measured))
                    continue
                counts.update(set(who[i]))
            kept += 1
            verdicts.append(keep(**measured))
        return verdicts
