"""Which language is spoken, as Whisper hears it."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.errors import AbsentError, WeightsMissingError
from theval_datasets.extraction import weights as models
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FloatArray
from theval_datasets.utils.optional import available, require

from .vad import Vad

_log = logging.getLogger(__name__)

_FILE: Final = "model.bin"
_NEEDED: Final = ("config.json", _FILE, "tokenizer.json")
_WANTED: Final = (*_NEEDED, "preprocessor_config.json", "vocabulary.*")
_LEAST: Final = 1.0  # seconds of speech
_UNSURE: Final = 0.5


@dataclass(frozen=True)
class SpokenLanguage(Extractor):
    """The likeliest language of the speech that `vad` finds, and how sure the model is.

    The speech is put together without its pauses; half a minute of it is heard, and further ones
    while the model gives no language more than one half. The model is a Whisper of several languages
    in CTranslate2's form. It is looked for as a folder ``whisper/NAME`` below `THEVAL_MODELS` (or the
    user's cache), NAME being the last part of its id, and in the Hub's cache. Source: Radford et al.,
    Robust Speech Recognition via Large-Scale Weak Supervision (2022).

    Attributes:
        model: Id of the model at the Hub.
        parts: Half minutes to hear at most.
        folder: Where the model lies, to look in first; not part of the key.
    """

    model: str = "Systran/faster-whisper-small"
    parts: int = 2
    folder: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "spoken_language"
    extra: ClassVar[str | None] = "language"
    imports: ClassVar[tuple[str, ...]] = ("faster_whisper",)
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("language", "<U3", (), "ISO 639 code of the likeliest language, as Whisper has it."),
        Column("probability", "float64", (), "What the model gives it, 0 to 1."),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def needs(self) -> Sequence[Extractor]:
        """Where speech is."""
        return (Vad(),)

    def parameters(self) -> dict[str, Any]:
        """All but the folder."""
        return {"model": self.model, "parts": self.parts}

    def has_weights(self) -> bool:
        """Whether the model is here."""
        return self._find() is not None

    def fetch_weights(self) -> None:
        """Fetch the model from the Hub."""
        if not available("faster_whisper") or self._find() is not None:
            return
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

        try:
            snapshot_download(self.model, allow_patterns=list(_WANTED))
        except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
            _log.warning("%s cannot be fetched: %s", self.model, str(error).partition("\n")[0])

    def weights_id(self) -> str:
        """Hash of the model, and faster-whisper's version, which makes the spectrogram."""
        require("faster_whisper", extra="language")
        version = importlib.metadata.version("faster-whisper")
        return f"faster-whisper-{version}+{models.content_hash(self._need() / _FILE)}"

    def setup(self) -> Any:
        """Load the model; one thread, so that values do not depend on the machine's cores."""
        whisper = require("faster_whisper", extra="language").WhisperModel
        loaded = whisper(
            str(self._need()),
            device="cpu",
            compute_type="float32",
            cpu_threads=1,
            local_files_only=True,
        )
        if not loaded.model.is_multilingual:
            raise WeightsMissingError(f"{self.model} knows one language only")
        return loaded

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Listen to the speech."""
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

    def _find(self) -> Path | None:
        places = [Path(self.folder)] if self.folder else []
        places += [root / "whisper" / self.model.rpartition("/")[2] for root in models.folders()]
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.model, _FILE)
        places += [Path(cached).parent] if isinstance(cached, str) else []
        whole = (p for p in places if all((p / name).is_file() for name in _NEEDED))
        return next(whole, None)

    def _need(self) -> Path:
        found = self._find()
        if found is None:
            place = models.folders()[0] / "whisper" / self.model.rpartition("/")[2]
            raise WeightsMissingError(
                f"The model {self.model} is not here. With a network it is fetched from the Hub by a "
                f"run that wants it; else put {', '.join(_NEEDED)} and its vocabulary into {place}"
            )
        return found


def _speech(audio: Audio, segments: Any) -> FloatArray:
    """The samples of the segments, one after another."""
    edges = np.rint((segments - audio.start) * SAMPLE_RATE).astype(np.int64).clip(0)
    parts = [audio.samples[begin:end] for begin, end in edges.tolist()]
    return np.concatenate([np.zeros(0, np.float32), *parts])
