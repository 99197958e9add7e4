"""Who the people look like: one ArcFace embedding a person."""

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
    """The mean direction of each person's embeddings; the clip's is that of the main person.

    Each embedding is of a face aligned by its five points, once a second and at every begin of a
    track (see `faces`), and has length 1, as the means have. Pictures of people are no people. The
    dimension is the pack's.
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
        Column("person", "int32", ("person",), "Numbers of the people, as in `faces`.", low=0),
        Column(
            "person_embedding",
            "float32",
            ("person", "dim"),
            "The mean embedding of each person, of length 1.",
            low=-1,
            high=1,
        ),
        Column("n_embedded", "int32", ("person",), "Embeddings that went into each mean.", low=1),
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
