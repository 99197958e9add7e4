"""Loading of transformers' models from folders, complete or not at all."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from theval_datasets.errors import WeightsMissingError
from theval_datasets.utils.optional import require

_SHOWN = 3


def loaded(model: Any, folder: Path, kinds: Sequence[str], **options: Any) -> Any:
    """A model for inference, with weights of safetensors only.

    Args:
        model: Class of transformers.
        folder: Folder with config.json and weights.
        kinds: The values of `model_type` in config.json that the class can load.
        options: Further arguments of `from_pretrained`.

    Raises:
        WeightsMissingError: The folder holds another model, or some of its weights are missing, which
            transformers would leave random.
    """
    kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    if kind not in kinds:
        raise WeightsMissingError(
            f"expected a model of type {' or '.join(kinds)} in {folder}, got {kind!r}"
        )
    try:
        with quiet():
            net, report = model.from_pretrained(
                str(folder),
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, RuntimeError, ValueError, _broken()) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsMissingError(f"the model in {folder} cannot be loaded: {reason}") from None
    if lacking := sorted(report["missing_keys"]):
        raise WeightsMissingError(
            f"the weights in {folder} are not complete: {len(lacking)} are missing, such as "
            f"{', '.join(lacking[:_SHOWN])}"
        )
    return net.eval()


def _broken() -> type[Exception]:
    """Exception of safetensors for a damaged file."""
    error: type[Exception] = require("safetensors", extra="evaltalker").SafetensorError
    return error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress transformers' progress bars, reports and warnings: what was loaded is checked here."""
    logging = require("transformers.utils.logging", extra="evaltalker")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
