"""ArcFace embeddings, one per person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.extraction.extractor import ClipInputs, Column
from theval_datasets.extraction.outcomes import Values

from .faces import Faces
from .people.embedding_extractor import EmbeddingExtractor
from .people.identity import person_embeddings


@dataclass(frozen=True)
class Arcface(EmbeddingExtractor):
    """Mean direction of each person's embeddings; the clip's embedding is that of the main person.

    Faces are aligned by their five points and embedded once a second and at the start of every track (see
    `faces`). Embeddings and means have length 1. Pictures of people do not count as people. The dimension
    is that of the pack.
    """

    name: ClassVar[str] = "arcface"
    version: ClassVar[int] = 2
    source: ClassVar[str] = (
        "Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition (2019)"
    )
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "embedding",
            "float32",
            ("dim",),
            "Embedding of the person who takes up most of the clip, of length 1.",
            low=-1,
            high=1,
        ),
        Column("person", "int32", ("person",), "Number of each person, as in `faces`.", low=0),
        Column(
            "person_embedding",
            "float32",
            ("person", "dim"),
            "Mean embedding of each person, of length 1.",
            low=-1,
            high=1,
        ),
        Column("n_embedded", "int32", ("person",), "Number of embeddings in each mean.", low=1),
    )

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Average over each person."""
        people, means, counts = person_embeddings(clip.feature(Faces()))
        return {
            "embedding": means[int(np.argmin(people))],
            "person": people,
            "person_embedding": means,
            "n_embedded": counts,
        }, {}
