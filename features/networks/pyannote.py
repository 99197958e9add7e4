"""Models of pyannote.audio 3: where they lie, how they are had, how they are loaded.

The published ones are gated: their terms have to be accepted at the Hub, and a token is needed. A
model is looked for as ``pyannote/NAME/pytorch_model.bin`` below `THEVAL_MODELS` (or the user's
cache), in a folder that is named, and in the Hub's cache. pyannote.audio 3 itself cannot fetch with
today's huggingface-hub, so files are fetched here and given to it. Checkpoints are read without
running what they hold: torch is told of the few harmless classes that pyannote puts in them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction import weights as models
from theval_datasets.media.frames import SAMPLE_RATE, Audio
from theval_datasets.utils.optional import require

from .device import chosen_device

_log = logging.getLogger(__name__)

SEGMENTATION: Final = "pyannote/segmentation-3.0"
EMBEDDING: Final = "pyannote/wespeaker-voxceleb-resnet34-LM"
_FILE: Final = "pytorch_model.bin"


def find(model: str, folder: str | None = None) -> Path | None:
    """The checkpoint of a model on this machine.

    Args:
        model: Its id at the Hub.
        folder: A folder that holds it, to look in before all others.
    """
    places = [Path(folder)] if folder else []
    places += [root / "pyannote" / model.rpartition("/")[2] for root in models.folders()]
    for place in places:
        if (place / _FILE).is_file():
            return place / _FILE
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(model, _FILE)
    return Path(cached) if isinstance(cached, str) else None


def need(model: str, folder: str | None = None) -> Path:
    """Like `find`.

    Raises:
        WeightsMissingError: It is not here; says how to get it.
    """
    found = find(model, folder)
    if found is None:
        name = model.rpartition("/")[2]
        raise WeightsMissingError(
            f"{model} is not here. Accept its terms at https://huggingface.co/{model}, then name "
            f"the extractor in --features with HF_TOKEN set to a token of yours, or put {_FILE} "
            f"into {models.folders()[0] / 'pyannote' / name}"
        )
    return found


def fetch_weights(model: str, folder: str | None = None, token: str | None = None) -> None:
    """Fetch a model from the Hub unless it is here; says what is wrong where it cannot.

    Args:
        model: Its id.
        folder: Where it may lie already.
        token: Of the Hub; None for `HF_TOKEN` or the one that was logged in with. Never logged.
    """
    if find(model, folder) is not None:
        return
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        hf_hub_download(model, _FILE, token=token)
    except GatedRepoError:
        _log.warning(
            "%s is gated: accept its terms at https://huggingface.co/%s with the account of your "
            "token, and set HF_TOKEN",
            model,
            model,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        _log.warning("%s cannot be fetched: %s", model, str(error).partition("\n")[0])


def identity(*files: Path) -> str:
    """What values depend on: the checkpoints, and pyannote.audio's version."""
    import importlib.metadata

    version = importlib.metadata.version("pyannote.audio")
    return f"pyannote.audio-{version}+{models.content_hash(*files)}"


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
    """Keep the deprecations and prints of pyannote's dependencies to themselves."""
    with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere):
            yield
