"""Base of both definitions of THEval's quality metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.weights import Weights, find, known
from theval_datasets.media.frames import FrameRequest

from . import pyiqa as _pyiqa
from .pyiqa import Name, Scorer

BATCH: Final = 8

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class QualityExtractor(Extractor):
    """Base of `iqa` and `iqa_release`.

    Attributes:
        fps: Number of scored frames a second; None for every frame, as in the paper.
    """

    fps: float | None = None

    extra: ClassVar[str | None] = "iqa"
    imports: ClassVar[tuple[str, ...]] = ("pyiqa", "torch")
    networks: ClassVar[Mapping[str, Name]]
    """The network of each metric."""

    def __post_init__(self) -> None:
        if self.fps is not None and self.fps <= 0:
            raise InputError(f"expected fps above 0, got {self.fps}")

    @property
    def frames(self) -> FrameRequest:
        """Whole frames."""
        return FrameRequest(fps=self.fps)

    def weights(self) -> Sequence[Weights]:
        """The networks' states."""
        return [known(name) for name in self.networks.values()]

    def has_weights(self) -> bool:
        """Whether any of the networks has weights on this machine."""
        return any(find(known(name)) for name in self.networks.values())

    def weights_id(self) -> str:
        """Hashes of the networks' weights; `none` for missing ones."""
        return _pyiqa.identity(tuple(self.networks.values()))

    def scorers(self) -> dict[str, Scorer]:
        """The networks that have weights, by metric, loaded."""
        states = _pyiqa.states(tuple(self.networks.values()))
        return {
            metric: Scorer(name, states[name])
            for metric, name in self.networks.items()
            if name in states
        }


class ScoringQueue:
    """A queue of pictures that a network scores in batches.

    Args:
        scorer: Network.
        size: Number of pictures in a batch.
    """

    def __init__(self, scorer: Scorer, size: int = BATCH) -> None:
        self._scorer = scorer
        self._size = size
        self._waiting: list[Pixels] = []
        self._scores: list[npt.NDArray[np.float64]] = []

    def add(self, picture: Pixels) -> None:
        """Add the next picture, uint8 (height, width, 3) in red, green, blue."""
        self._waiting.append(picture)
        if len(self._waiting) == self._size:
            self._flush()

    def done(self) -> npt.NDArray[np.float64]:
        """Scores of all pictures in order: (n,), in the network's unit."""
        self._flush()
        return np.concatenate(self._scores) if self._scores else np.zeros(0)

    def _flush(self) -> None:
        if self._waiting:
            self._scores.append(self._scorer.score(self._together(self._waiting)))
            self._waiting = []

    def _together(self, pictures: list[Pixels]) -> list[Pixels]:
        """The pictures of a batch, unchanged."""
        return pictures
