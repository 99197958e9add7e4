"""Base of extractors that compute from the embeddings of `faces` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor

from ..faces import Faces
from .pack import need_recogniser


@dataclass(frozen=True)
class EmbeddingExtractor(Extractor):
    """Base of extractors that compute from the embeddings of `faces` alone."""

    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)

    def needs(self) -> Sequence[Extractor]:
        """Embeddings of single faces."""
        return (Faces(),)

    def weights_id(self) -> str:
        """No weights of its own: `faces` computes the embeddings.

        Raises:
            WeightsMissingError: There is no pack with a recogniser, without which `faces` has none.
        """
        need_recogniser(Faces().pack)
        return ""
