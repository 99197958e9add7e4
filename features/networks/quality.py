"""What both definitions of THEval's quality metrics share."""

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
        fps: Frames a second to score; None for every frame, as the paper does.
    """

    fps: float | None = None

    extra: ClassVar[str | None] = "iqa"
    imports: ClassVar[tuple[str, ...]] = ("pyiqa", "torch")
    networks: ClassVar[Mapping[str, Name]]
    """The network of each metric."""

    def __post_init__(self) -> None:
        if self.fps is not None and self.fps <= 0:
            raise InputError(f"expected frames a second above 0, got {self.fps}")

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
    """Pictures on their way through one network.

    Args:
        scorer: The network.
        size: Pictures that go through together, whatever batches frames come in.
    """

    def __init__(self, scorer: Scorer, size: int = BATCH) -> None:
        self._scorer = scorer
        self._size = size
        self._waiting: list[Pixels] = []
        self._scores: list[npt.NDArray[np.float64]] = []

    def add(self, picture: Pixels) -> None:
        """Take the next picture: red, green, blue, uint8, (height, width, 3)."""
        self._waiting.append(picture)
        if len(self._waiting) == self._size:
            self._flush()

    def done(self) -> npt.NDArray[np.float64]:
        """The scores of all pictures in order, in the network's unit, (n,)."""
        self._flush()
        return np.concatenate(self._scores) if self._scores else np.zeros(0)

    def _flush(self) -> None:
        if self._waiting:
            self._scores.append(self._scorer.score(self._together(self._waiting)))
            self._waiting = []

    def _together(self, pictures: list[Pixels]) -> list[Pixels]:
        """What is done to pictures that go through together: nothing."""
        return pictures
