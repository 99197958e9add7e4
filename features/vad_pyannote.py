"""Voice activity detection by pyannote's segmentation model, with the columns of `vad`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, fetch_if_missing, from_repository, need
from theval_datasets.media.frames import SAMPLE_RATE
from theval_datasets.utils.optional import require

from .networks import pyannote as _pyannote
from .vad import CHUNK, Vad


@dataclass(frozen=True)
class VadPyannote(Extractor):
    """Speech probability per 32 ms, and segments where the most probable speaker is active.

    Attributes:
        model: Id of the segmentation model at the Hub.
        onset: Activity at which a segment begins.
        offset: Activity below which a segment ends.
        min_duration_on: Minimum length of a segment, in seconds.
        min_duration_off: Length below which a gap is filled, in seconds.
        folder: Folder of the model; not part of the cache key.
        token: Token of the Hub; None for `HF_TOKEN`. It is never stored.
    """

    model: str = _pyannote.SEGMENTATION
    onset: float = 0.5
    offset: float = 0.5
    min_duration_on: float = 0.0
    min_duration_off: float = 0.0
    folder: str | None = field(default=None, compare=False)
    token: str | None = field(default=None, compare=False, repr=False)

    name: ClassVar[str] = "vad_pyannote"
    source: ClassVar[str] = (
        "pyannote.audio (Plaquet and Bredin, Powerset Multi-Class Cross Entropy Loss for "
        "Neural Speaker Diarization, 2023)"
    )
    extra: ClassVar[str | None] = "diarization"
    imports: ClassVar[tuple[str, ...]] = ("pyannote.audio",)
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 0.1
    writes: ClassVar[tuple[Column, ...]] = Vad.writes

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def parameters(self) -> dict[str, Any]:
        """All parameters except folder and token."""
        given = super().parameters()
        return {name: given[name] for name in given if name not in ("folder", "token")}

    def weights(self) -> Sequence[Weights]:
        """The segmentation model."""
        return (from_repository("pyannote-segmentation", self.model, self.folder),)

    def fetch_weights(self) -> None:
        """Download the model from the Hub."""
        for weights in self.weights():
            fetch_if_missing(weights, self.token)

    def weights_id(self) -> str:
        """Hash of the checkpoint."""
        require("pyannote.audio", extra="diarization")
        return _pyannote.identity(*map(need, self.weights()))

    def setup(self) -> Any:
        """Load the model."""
        (checkpoint,) = map(need, self.weights())
        model = _pyannote.load(checkpoint)
        inference = require("pyannote.audio", extra="diarization").Inference
        return inference(model, pre_aggregation_hook=_likeliest)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Process the whole track in pyannote's sliding windows."""
        signal = require("pyannote.audio.utils.signal", extra="diarization")
        audio = clip.audio()
        with _pyannote.quiet():
            scores = model(_pyannote.file_of(audio))
        binarize = signal.Binarize(
            onset=self.onset,
            offset=self.offset,
            min_duration_on=self.min_duration_on,
            min_duration_off=self.min_duration_off,
        )
        length = len(audio.samples) / SAMPLE_RATE
        regions = [(s.start, min(s.end, length)) for s in binarize(scores).get_timeline().support()]
        segments = np.array(regions, dtype=np.float64).reshape(-1, 2)
        window = scores.sliding_window
        at = window.start + window.duration / 2 + window.step * np.arange(len(scores.data))
        middles = (np.arange(-(-len(audio.samples) // CHUNK)) + 0.5) * CHUNK / SAMPLE_RATE
        probability = np.interp(middles, at, scores.data[:, 0]).clip(0.0, 1.0)
        return {
            "probability": probability.astype(np.float32),
            "segments": segments + audio.start,
            "start": np.array(audio.start),
            "end": np.array(audio.end),
            "speech_ratio": np.array((segments[:, 1] - segments[:, 0]).sum() / length),
        }, {}


def _likeliest(scores: Any) -> Any:
    """Activity of the most probable speaker, from the activities of all."""
    return np.max(scores, axis=-1, keepdims=True)
