"""Voice activity detection by the silero-vad package, as in THEval's published code."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known
from theval_datasets.media.frames import SAMPLE_RATE
from theval_datasets.utils.optional import require

from .vad import CHUNK, Vad


@dataclass(frozen=True)
class VadSilero(Extractor):
    """The columns of `vad` by silero-vad 5 in torch: its own model file, its own segments.

    `vad` runs the same model without torch; this extractor serves to show that they agree.
    """

    name: ClassVar[str] = "vad_silero"
    source: ClassVar[str] = "Silero VAD v5"
    extra: ClassVar[str | None] = "release"
    imports: ClassVar[tuple[str, ...]] = ("silero_vad",)
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = Vad.writes

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def weights(self) -> Sequence[Weights]:
        """Silero VAD v5 in torch."""
        return (known("silero-vad-torch"),)

    def weights_id(self) -> str:
        """Version of silero-vad, whose package contains the model."""
        try:
            return f"silero-vad-{importlib.metadata.version('silero-vad')}"
        except importlib.metadata.PackageNotFoundError:
            require("silero_vad", extra="release")
            raise

    def setup(self) -> Any:
        """Load the model."""
        return require("silero_vad", extra="release").load_silero_vad()

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Process the track from its start, with a new state of the model."""
        silero = require("silero_vad", extra="release")
        torch = require("torch", extra="release")
        audio = clip.audio()
        samples = torch.from_numpy(np.pad(audio.samples, (0, -len(audio.samples) % CHUNK)))
        model.reset_states()
        with torch.inference_mode():
            chunks = samples.split(CHUNK)
            probability = [float(model(chunk, SAMPLE_RATE)) for chunk in chunks]
        model.reset_states()
        stamps = silero.get_speech_timestamps(torch.from_numpy(audio.samples.copy()), model)
        spans = np.array([(s["start"], s["end"]) for s in stamps], dtype=np.float64)
        segments = spans.reshape(-1, 2) / SAMPLE_RATE
        length = len(audio.samples) / SAMPLE_RATE
        return {
            "probability": np.array(probability, np.float32),
            "segments": segments + audio.start,
            "start": np.array(audio.start),
            "end": np.array(audio.end),
            "speech_ratio": np.array((segments[:, 1] - segments[:, 0]).sum() / length),
        }, {}
