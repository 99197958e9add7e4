"""Identity consistency of a clip with its own reference frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.extraction.extractor import ClipInputs, Column
from theval_datasets.extraction.outcomes import Values

from .faces import Faces
from .people import identity as _identity
from .people.embedding_extractor import EmbeddingExtractor


@dataclass(frozen=True)
class Identity(EmbeddingExtractor):
    """Identity consistency of the people of a clip with a reference frame of the clip itself.

    The reference is the frame nearest to the middle among the sampled frames (one per second) that show the
    most people; it is not compared with itself. It depends on the clip alone: the reference frame that
    curation chooses depends on the recipe, which is not in a feature's cache key. For a portrait, or that
    frame, use `people.identity.against_portrait`. See `people.identity` for the matching.
    """

    name: ClassVar[str] = "identity"
    version: ClassVar[int] = 2
    source: ClassVar[str] = "THQA-MT, equation 4"
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "identity_consistency",
            "float64",
            (),
            "Mean cosine similarity of the subjects' faces, once a second, to the reference.",
            low=-1,
            high=1,
        ),
        Column(
            "identity_coverage",
            "float64",
            (),
            "Share of pairs of subject and frame with a face.",
            low=0,
            high=1,
        ),
        Column(
            "subjects",
            "int32",
            (),
            "Number of people in the reference frame, without pictures of people.",
            low=1,
        ),
        Column("reference_time", "float64", (), "Time of the reference frame.", unit="s", low=0),
    )

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Compare every sampled frame with the reference."""
        sightings = _identity.sightings_of(clip.feature(Faces()))
        score, time = _identity.against_itself(sightings)
        return {
            "identity_consistency": np.array(score.consistency),
            "identity_coverage": np.array(score.coverage),
            "subjects": np.array(score.subjects, np.int32),
            "reference_time": np.array(time),
        }, {}
