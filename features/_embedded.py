"""What is worked out from the embeddings of `faces` and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets import schema
from theval_datasets.features._base import Extractor
from theval_datasets.features._pack import need_recogniser
from theval_datasets.features.faces import Faces


@dataclass(frozen=True)
class OfEmbeddings(Extractor):
    """Base of such extractors."""

    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)

    def needs(self) -> Sequence[schema.Extractor]:
        """The embeddings of single faces."""
        return (Faces(),)

    def weights(self) -> str:
        """Nothing of its own: `faces` embeds.

        Raises:
            WeightsMissingError: There is no pack with a recogniser, so `faces` embeds nothing.
        """
        need_recogniser(Faces().pack)
        return ""
