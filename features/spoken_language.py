"""Spoken language, detected by Whisper."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.errors import AbsentError, WeightsMissingError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, content_hash, from_repository, need
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FloatArray
from theval_datasets.utils.optional import available, require

from .vad import Vad

_FILE: Final = "model.bin"
_LEAST: Final = 1.0  # minimum length of speech, seconds
_UNSURE: Final = 0.5


@dataclass(frozen=True)
class SpokenLanguage(Extractor):
    """The most probable language of the speech segments of `vad`, and its probability.

    Speech is concatenated without pauses, and processed in parts of half a minute until a language has a
    probability above one half. The model is a multilingual Whisper in CTranslate2's format.

    Attributes:
        model: Id of the model at the Hub.
        parts: Maximum number of parts of half a minute.
        folder: Folder that is searched first for the model; not part of the cache key.
    """

    model: str = "Systran/faster-whisper-small"
    parts: int = 2
    folder: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "spoken_language"
    source: ClassVar[str] = (
        "Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision (2022)"
    )
    extra: ClassVar[str | None] = "language"
    imports: ClassVar[tuple[str, ...]] = ("faster_whisper",)
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("language", "<U3", (), "Code (ISO 639) of the most probable language in Whisper."),
        Column("probability", "float64", (), "Probability of that language.", low=0, high=1),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def needs(self) -> Sequence[Extractor]:
        """Speech segments."""
        return (Vad(),)

    def parameters(self) -> dict[str, Any]:
        """All parameters except the folder."""
        return {"model": self.model, "parts": self.parts}

    def weights(self) -> Sequence[Weights]:
        """The Whisper model."""
        return (from_repository("whisper", self.model, self.folder),)

    def fetch_own_weights(self) -> None:
        """Download the model from the Hub, if the package that runs it is installed."""
        if available("faster_whisper"):
            super().fetch_own_weights()

    def weights_id(self) -> str:
        """Hash of the model, and version of faster-whisper, which computes the spectrogram."""
        require("faster_whisper", extra="language")
        version = importlib.metadata.version("faster-whisper")
        (folder,) = map(need, self.weights())
        return f"faster-whisper-{version}+{content_hash(folder / _FILE)}"

    def setup(self) -> Any:
        """Load the model for one thread, so that values do not depend on the number of cores."""
        whisper = require("faster_whisper", extra="language").WhisperModel
        (folder,) = map(need, self.weights())
        loaded = whisper(
            str(folder),
            device="cpu",
            compute_type="float32",
            cpu_threads=1,
            local_files_only=True,
        )
        if not loaded.model.is_multilingual:
            raise WeightsMissingError(f"expected a multilingual model, got {self.model}")
        return loaded

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Detect the language of the speech."""
        speech = _speech(clip.audio(), clip.feature(Vad())["segments"])
        if len(speech) < _LEAST * SAMPLE_RATE:
            raise AbsentError("little-speech", f"{len(speech) / SAMPLE_RATE:.2f} s of speech")
        language, probability, _ = model.detect_language(
            audio=speech,
            language_detection_segments=self.parts,
            language_detection_threshold=_UNSURE,
        )
        return {
            "language": np.array(language, "<U3"),
            "probability": np.array(float(probability)),
        }, {}


def _speech(audio: Audio, segments: Any) -> FloatArray:
    """Concatenated samples of the segments."""
    edges = np.rint((segments - audio.start) * SAMPLE_RATE).astype(np.int64).clip(0)
    parts = [audio.samples[begin:end] for begin, end in edges.tolist()]
    return np.concatenate([np.zeros(0, np.float32), *parts])
