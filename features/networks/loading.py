"""Loading of transformers' models from folders, complete or not at all."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import MissingExtraError, WeightsMissingError
from theval_datasets.extraction.weights import content_hash
from theval_datasets.utils.optional import install_command

_SHOWN: Final = 3
_PARTS: Final = (".safetensors", ".json", ".jinja", ".model", ".txt")
"""Suffixes of the files in a model's folder that affect features."""


def identity(*folders: Path, extra: str) -> str:
    """Identity of a model for cache keys: hashes of its files, and the version of transformers.

    Args:
        folders: Folder of the model; for an adapter, its own and that of its base.
        extra: Extra that installs transformers.

    Raises:
        MissingExtraError: transformers, which prepares the inputs, is not installed.
    """
    try:
        version = importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError(
            f"transformers is not installed; the extra [{extra}] installs it: "
            f"{install_command(extra)}"
        ) from None
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    parts = [file for file in files if file.is_file() and file.suffix in _PARTS]
    return f"transformers-{version}+{content_hash(*parts)}"


def check(folder: Path, kinds: Sequence[str]) -> None:
    """Check that a folder holds a model of a certain type in whole files, which is quick: no weights are read.

    Args:
        folder: Folder with config.json and weights.
        kinds: Permitted values of `model_type` in config.json.

    Raises:
        WeightsMissingError: It holds another model, or a file is damaged or incomplete.
    """
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise WeightsMissingError(
            f"expected the configuration of a model in {folder / 'config.json'}, got a damaged file; "
            "fetch the model again"
        ) from None
    if kind not in kinds:
        raise WeightsMissingError(
            f"expected a model of type {' or '.join(kinds)} in {folder}, got {kind!r}"
        )
    for file in sorted(folder.glob("*.safetensors")):
        expected, n_bytes = _stated_size(file), file.stat().st_size
        if n_bytes != expected:
            stated = "weights in safetensors" if expected is None else f"{expected} bytes"
            raise WeightsMissingError(
                f"the weights in {file} are damaged or incomplete: expected {stated}, got {n_bytes} "
                "bytes; fetch the model again"
            )


def _stated_size(file: Path) -> int | None:
    """Size of a file in bytes according to its own header; None if it is not in safetensors."""
    with file.open("rb") as stream:
        n_header = int.from_bytes(stream.read(8), "little")
        if n_header > file.stat().st_size:
            return None
        try:
            header = json.loads(stream.read(n_header))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError):
            return None
    return 8 + n_header + max(ends, default=0)


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
    from safetensors import SafetensorError

    check(folder, kinds)
    try:
        with quiet():
            net, report = model.from_pretrained(
                str(folder),
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsMissingError(f"the model in {folder} cannot be loaded: {reason}") from None
    if lacking := sorted(report["missing_keys"]):
        raise WeightsMissingError(
            f"the weights in {folder} are not complete: {len(lacking)} are missing, such as "
            f"{', '.join(lacking[:_SHOWN])}"
        )
    return net.eval()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress transformers' progress bars, reports and warnings: what was loaded is checked here."""
    from transformers.utils import logging

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
