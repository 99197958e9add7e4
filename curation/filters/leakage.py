"""Leakage: clips or people that are also in another set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.features.people.pack import similarity

from ..duplicates.matching import FingerprintIndex
from ..duplicates.recordings import RecordingFilter
from .base import Clip, Features, UndecidedError, Verdict, keep, reject, undecided


@dataclass(frozen=True)
class Leakage(RecordingFilter):
    """Keeps clips that are in none of the given reference indexes (see `theval-data index`).

    Attributes:
        people: Whether clips of the same people are rejected too.
        min_cosine: Minimum cosine similarity of the embeddings of one person.
    """

    people: bool = True
    min_cosine: float = 0.4

    signed: ClassVar[frozenset[str]] = frozenset({"min_cosine"})
    shown: ClassVar[Mapping[str, str]] = {"cosine": "min_cosine", **RecordingFilter.shown}
    decides: ClassVar[Mapping[str, str]] = {"leaked-person": "cosine", **RecordingFilter.decides}
    renamed: ClassVar[Mapping[str, str]] = {"same": "min_cosine", **RecordingFilter.renamed}

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints and embeddings."""
        return (Fingerprints(), *((Arcface(),) if self.people else ()))

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip with the references with similar pictures, and its people with all people."""
        index = FingerprintIndex()
        indexed = [reference for reference in references if len(reference.prints.frames)]
        for reference in indexed:
            index.add(reference.prints)
        known = _Known.of(references) if self.people else None
        return [self._judge(features, index, indexed, known) for _, features in clips]

    def _judge(
        self,
        features: Features,
        index: FingerprintIndex,
        indexed: Sequence[Any],
        known: _Known | None,
    ) -> Verdict:
        if not indexed and known is None:
            return keep()
        try:
            prints = self.prints(features)
            nobody = known is None or features.empty("arcface") is not None
            embeddings = None if nobody else features.values("arcface")["person_embedding"]
        except UndecidedError as absent:
            return undecided(absent.what)
        nearest = self.nearest(index, prints)
        if nearest.twin is not None:
            return reject("leaked-clip", of=indexed[nearest.twin].clip_id, **nearest.measured)
        if known is None or embeddings is None:
            return keep(picture=nearest.picture, cosine=None)
        if known.people.shape[1] != embeddings.shape[1]:
            return undecided("other-pack")
        alike = similarity(embeddings, known.people).max(axis=0)
        best = int(np.argmax(alike))
        measured = {"picture": nearest.picture, "cosine": float(alike[best])}
        if alike[best] >= self.min_cosine:
            return reject("leaked-person", of=known.clip_ids[best], **measured)
        return keep(**measured)


@dataclass(frozen=True, slots=True)
class _Known:
    """The people of other sets: embeddings (n, dim), and the clip of each."""

    people: npt.NDArray[np.float32]
    clip_ids: Sequence[str]

    @classmethod
    def of(cls, references: Sequence[Any]) -> _Known | None:
        """None without people; of length 0 if embeddings are of several models."""
        seen = [reference for reference in references if reference.people.size]
        if not seen:
            return None
        if len({reference.people.shape[1] for reference in seen}) > 1:
            return cls(np.zeros((0, 0), np.float32), ())
        ids = [reference.clip_id for reference in seen for _ in reference.people]
        return cls(np.concatenate([reference.people for reference in seen]), ids)
