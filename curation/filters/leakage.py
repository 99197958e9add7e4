"""Whether a clip, or somebody in it, is in another set already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theval_datasets.curation.alike import Shelf
from theval_datasets.curation.filters._base import (
    Clip,
    Features,
    UndecidedError,
    Verdict,
    keep,
    reject,
    undecided,
)
from theval_datasets.curation.filters._recordings import RecordingFilter
from theval_datasets.features._pack import similarity
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.schema import Extractor


@dataclass(frozen=True)
class Leakage(RecordingFilter):
    """Keeps clips that no given reference index holds (`theval-data index` makes one).

    Attributes:
        people: Whether the same people are leakage too.
        same: Cosine of embeddings from which two faces are one person.
    """

    people: bool = True
    same: float = 0.4

    shown: ClassVar[Mapping[str, str]] = {"cosine": "same", **RecordingFilter.shown}

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints and embeddings."""
        return (Fingerprints(), *((Arcface(),) if self.people else ()))

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip with the references that have a similar picture, and all people."""
        shelf = Shelf()
        shelved = [one for one in references if len(one.prints.frames)]
        for one in shelved:
            shelf.add(one.prints)
        known = [one for one in references if one.people.size] if self.people else []
        return [self._judge(features, shelf, shelved, known) for _, features in clips]

    def _judge(
        self, features: Features, shelf: Shelf, shelved: Sequence[Any], known: Sequence[Any]
    ) -> Verdict:
        if not shelved and not known:
            return keep()
        try:
            prints = self.prints(features)
            nobody = not known or features.empty("arcface") is not None
            embeddings = None if nobody else features.values("arcface")["person_embedding"]
        except UndecidedError as absent:
            return undecided(absent.what)
        found = self.nearest(shelf, prints)
        if found.twin is not None:
            return reject("leaked-clip", of=shelved[found.twin].clip_id, **found.measured)
        cosine: float | None = None
        for one in known:
            if embeddings is None:
                break
            if one.people.shape[1] != embeddings.shape[1]:
                return undecided("other-pack", of=one.clip_id)
            cosine = max(cosine or -1.0, float(similarity(embeddings, one.people).max()))
            if cosine >= self.same:
                return reject("leaked-person", of=one.clip_id, picture=found.picture, cosine=cosine)
        return keep(picture=found.picture, cosine=cosine)
