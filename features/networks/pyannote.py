"""Models of pyannote.audio 3, loaded from files.

pyannote.audio 3 itself cannot download with today's huggingface-hub, so it is given files that are
already here. Checkpoints are read without running what they hold: torch is told of the few harmless
classes that pyannote puts in them.
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
    """What values depend on: the checkpoints, and pyannote.audio's version."""
    import importlib.metadata

    version = importlib.metadata.version("pyannote.audio")
    return f"pyannote.audio-{version}+{content_hash(*files)}"


def load(file: Path) -> Any:
    """A model, ready for inference."""
    torch = require("torch", extra="diarization")
    with quiet():
        audio = require("pyannote.audio", extra="diarization")
        task = require("pyannote.audio.core.task", extra="diarization")
        version = torch.torch_version.TorchVersion
        known = [version, task.Specifications, task.Problem, task.Resolution]
        with torch.serialization.safe_globals(known):
            model = audio.Model.from_pretrained(str(file))
    if model is None:
        raise WeightsMissingError(f"{file} is no checkpoint of pyannote.audio")
    return model.eval().to(torch.device(chosen_device("diarization")))


def file_of(audio: Audio) -> dict[str, Any]:
    """A track as pyannote takes it."""
    torch = require("torch", extra="diarization")
    return {"waveform": torch.from_numpy(audio.samples.copy())[None], "sample_rate": SAMPLE_RATE}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress prints and deprecation warnings of pyannote's dependencies."""
    with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere):
            yield
