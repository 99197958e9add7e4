"""Base of extractors that use only the face detector of `faces`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.weights import Weights

from ..faces import Faces


@dataclass(frozen=True)
class DetectionExtractor(Extractor):
    """Base of extractors that use only the face detector of `faces`, whose weights they share."""

    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)
    default_enabled: ClassVar[bool] = False

    def weights(self) -> Sequence[Weights]:
        """Weights of `faces`."""
        return Faces().weights()

    def has_weights(self) -> bool:
        """Whether the weights of `faces` are on this machine."""
        return Faces().has_weights()

    def fetch_weights(self) -> None:
        """Download missing weights of `faces`."""
        Faces().fetch_weights()

    def weights_id(self) -> str:
        """Identity of the model of `faces`."""
        return Faces().weights_id()

    def setup(self) -> Any:
        """Load the detector, without the recogniser."""
        return Faces().setup()[0]
