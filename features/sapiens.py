"""Human body features: the encoder of Sapiens on sampled frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.errors import InputError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, content_hash, known, need
from theval_datasets.media.frames import FrameRequest, Frames

from .networks.device import Precision
from .networks.sapiens import (
    EXTRA,
    WEIGHTS,
    Backend,
    Pixels,
    Sapiens2Encoder,
    SapiensEncoder,
    Vectors,
)

BATCH: Final = 4


@dataclass(frozen=True)
class Sapiens(Extractor):
    """Features of a pretrained Sapiens encoder, mean over each frame and over frames.

    One frame a second is sampled, as in EvalTalker. The backend `sapiens` is Sapiens-2B, used by EvalTalker;
    `sapiens2` is its successor Sapiens2-1B, with another licence and other features: vectors of the two
    cannot be compared.

    Attributes:
        fps: Number of sampled frames a second; None for every frame.
        backend: Generation of the encoder.
        precision: Precision of matrix products. `bfloat16` is several times faster on CUDA.
    """

    fps: float | None = 1.0
    backend: Backend = "sapiens"
    precision: Precision = "bfloat16"

    name: ClassVar[str] = "sapiens"
    source: ClassVar[str] = (
        "Khirodkar et al., Sapiens: Foundation for Human Vision Models (2024), as in EvalTalker (2025), "
        "section 4.2"
    )
    extra: ClassVar[str | None] = EXTRA
    imports: ClassVar[tuple[str, ...]] = ("torch",)
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 0.5
    memory: ClassVar[int] = 9 << 30
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "embedding",
            "float32",
            ("dim",),
            "Sapiens features, mean over each sampled frame and over the frames.",
        ),
        Column("n_frames", "int32", (), "Number of sampled frames.", low=1),
    )

    def __post_init__(self) -> None:
        if self.fps is not None and self.fps <= 0:
            raise InputError(f"expected fps above 0, got {self.fps}")
        if self.backend not in WEIGHTS:
            raise InputError(f"expected a backend of {', '.join(WEIGHTS)}, got {self.backend!r}")

    @property
    def frames(self) -> FrameRequest:
        """Whole frames, sampled."""
        return FrameRequest(fps=self.fps)

    def weights(self) -> Sequence[Weights]:
        """The encoder's weights."""
        return (known(WEIGHTS[self.backend]),)

    def weights_id(self) -> str:
        """Hash of the weights, and of the processor's configuration where there is one."""
        (place,) = map(need, self.weights())
        files = [place] if place.is_file() else sorted(p for p in place.iterdir() if p.is_file())
        return content_hash(*files)

    def setup(self) -> SapiensEncoder | Sapiens2Encoder:
        """Load the encoder."""
        (place,) = map(need, self.weights())
        make = SapiensEncoder if self.backend == "sapiens" else Sapiens2Encoder
        return make(place, self.precision)

    def open(self, clip: ClipInputs, model: Any) -> _Mean:
        """Begin the mean over the frames."""
        return _Mean(model)


class _Mean:
    """Mean of the features of frames, which are embedded in batches of constant size."""

    def __init__(self, model: SapiensEncoder | Sapiens2Encoder) -> None:
        self._model = model
        self._waiting: list[Pixels] = []
        self._sum: Vectors | float = 0.0
        self._n_frames = 0

    def update(self, batch: Frames) -> None:
        for frame in batch.pixels:
            self._waiting.append(frame)
            if len(self._waiting) == BATCH:
                self._flush()

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        self._flush()
        return {
            "embedding": np.asarray(self._sum / self._n_frames, np.float32),
            "n_frames": np.array(self._n_frames, np.int32),
        }, {}

    def _flush(self) -> None:
        if self._waiting:
            self._sum = self._sum + self._model.embed(self._waiting).sum(axis=0)
            self._n_frames += len(self._waiting)
            self._waiting = []
