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

from ..duplicates.face_index import FaceIndex
from ..duplicates.matching import Nearest, Prints
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
        """Compare each clip with the references with similar pictures, and its people with all people.

        References that hold no clip judge nothing.
        """
        indexed = [reference for reference in references if len(reference)]
        known = _Known.of(indexed) if self.people else None
        if not indexed:
            return [keep()] * len(clips)
        verdicts: dict[int, Verdict] = {}
        prints: dict[int, Prints] = {}
        faces: dict[int, npt.NDArray[np.float32]] = {}
        for i, (_, features) in enumerate(clips):
            try:
                own = self.prints(features)
                if known is not None and features.empty("arcface") is None:
                    faces[i] = features.values("arcface")["person_embedding"]
            except UndecidedError as absent:
                verdicts[i] = undecided(absent.what)
            else:
                prints[i] = own
        near = [self.near(reference.recordings, list(prints.values())) for reference in indexed]
        alike = {} if known is None else known.nearest(faces)
        for number, i in enumerate(prints):
            twin, nearest = _nearest([those.nearest(number) for those in near])
            if nearest.twin is not None:
                leaked = indexed[twin].clip_ids[nearest.twin]
                verdicts[i] = reject("leaked-clip", of=leaked, **nearest.measured)
            elif known is None or i not in faces:
                verdicts[i] = keep(picture=nearest.picture, cosine=None)
            elif i not in alike:
                verdicts[i] = undecided("other-pack")
            else:
                clip_id, cosine = alike[i]
                measured = {"picture": nearest.picture, "cosine": cosine}
                same = cosine >= self.min_cosine
                verdicts[i] = (
                    reject("leaked-person", of=clip_id, **measured) if same else keep(**measured)
                )
        return [verdicts[i] for i in range(len(clips))]


def _nearest(results: Sequence[Nearest]) -> tuple[int, Nearest]:
    """The first result that is the same recording, or else the most similar one, and its number."""

    def order(number: int) -> tuple[bool, float, int]:
        result = results[number]
        return result.twin is None, 1.0 if result.picture is None else result.picture, number

    best = min(range(len(results)), key=order)
    return best, results[best]


@dataclass(frozen=True, slots=True)
class _Known:
    """The people of other sets: embeddings (n, dim), and the clip of each."""

    people: npt.NDArray[np.float32]
    clip_ids: Sequence[str]

    @classmethod
    def of(cls, references: Sequence[Any]) -> _Known | None:
        """None without people; of length 0 if embeddings are of several models."""
        seen = [reference for reference in references if len(reference.people)]
        if not seen:
            return None
        if len({reference.people.shape[1] for reference in seen}) > 1:
            return cls(np.zeros((0, 0), np.float32), ())
        ids = [reference.clip_ids[n] for reference in seen for n in reference.people_clips.tolist()]
        return cls(np.concatenate([reference.people for reference in seen]), ids)

    def nearest(self, faces: Mapping[int, npt.NDArray[np.float32]]) -> dict[int, tuple[str, float]]:
        """The clip with the most similar face, and the cosine, of each clip with comparable ones.

        Args:
            faces: Number of a clip to the embeddings of its people, (n, dim).
        """
        known = {i: own for i, own in faces.items() if own.shape[1] == self.people.shape[1]}
        if not known:
            return {}
        numbers, cosines = FaceIndex(self.people).nearest(np.concatenate(list(known.values())))
        nearest: dict[int, tuple[str, float]] = {}
        end = 0
        for i, own in known.items():
            begin, end = end, end + len(own)
            number, cosine = min(
                zip(numbers[begin:end].tolist(), cosines[begin:end].tolist(), strict=True),
                key=lambda pair: (-pair[1], pair[0]),
            )
            nearest[i] = self.clip_ids[number], cosine
        return nearest
