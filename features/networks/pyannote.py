"""Models of pyannote.audio 3, loaded from files.

pyannote.audio 3 cannot download with current versions of huggingface-hub, so local files are passed to it.
Checkpoints are read without executing code in them: only the few harmless classes that pyannote stores are
allowed.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import content_hash
from theval_datasets.media.frames import SAMPLE_RATE, Audio
from theval_datasets.utils.optional import require

from .device import chosen_device

SEGMENTATION: Final = "pyannote/segmentation-3.0"
EMBEDDING: Final = "pyannote/wespeaker-voxceleb-resnet34-LM"


def identity(*files: Path) -> str:
    """Identity of the models for cache keys: hashes of the checkpoints, and pyannote.audio's version."""
    import importlib.metadata

    version = importlib.metadata.version("pyannote.audio")
    return f"pyannote.audio-{version}+{content_hash(*files)}"


def load(file: Path) -> Any:
    """Load a model for inference."""
    torch = require("torch", extra="diarization")
    with quiet():
        audio = require("pyannote.audio", extra="diarization")
        task = require("pyannote.audio.core.task", extra="diarization")
        version = torch.torch_version.TorchVersion
        known = [version, task.Specifications, task.Problem, task.Resolution]
        with torch.serialization.safe_globals(known):
            model = audio.Model.from_pretrained(str(file))
    if model is None:
        raise WeightsMissingError(f"expected a checkpoint of pyannote.audio, got {file}")
    return model.eval().to(torch.device(chosen_device("diarization")))


def file_of(audio: Audio) -> dict[str, Any]:
    """A track in pyannote's input format."""
    torch = require("torch", extra="diarization")
    return {"waveform": torch.from_numpy(audio.samples.copy())[None], "sample_rate": SAMPLE_RATE}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress prints and deprecation warnings of pyannote's dependencies."""
    with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere):
            yield
