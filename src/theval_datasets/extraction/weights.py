"""Model weights that no package carries: what there is, where it lies, how to get it.

Looked for in `THEVAL_MODELS` first, then in the user's cache. Downloads come from the publisher,
only over http(s), are checked against the known SHA-256 and put in place whole.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import logging
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import yaml

from theval_datasets.errors import UnknownNameError, UnsafePathError, WeightsMissingError
from theval_datasets.utils.archives import extract
from theval_datasets.utils.files import atomic_write, sha256_file
from theval_datasets.utils.progress import progress
from theval_datasets.utils.records import from_plain

_log = logging.getLogger(__name__)

_BLOCK: Final = 1 << 20
_TIMEOUT: Final = 60.0
_UNPACKED: Final = (".onnx",)


@dataclass(frozen=True, slots=True)
class Weights:
    """A set of weights.

    Attributes:
        name: Short name.
        file: Where it lies below `THEVAL_MODELS` or the cache: a file, or the folder of an archive.
        used_by: What needs it, for people.
        url: The publisher's address.
        sha256: Of what the address gives.
        n_bytes: Size of what the address gives.
        license: The publisher's terms.
        archive: Whether it is a zip whose ONNX files are unpacked into the folder.
    """

    name: str
    file: str
    used_by: str
    url: str
    sha256: str
    n_bytes: int
    license: str
    archive: bool = False


@functools.cache
def registry() -> dict[str, Weights]:
    """All known weights by name."""
    text = (importlib.resources.files(__package__ or "") / "weights.yaml").read_text("utf-8")
    plain = yaml.safe_load(text)
    entries = [from_plain(Weights, item, f"weights.yaml[{i}]") for i, item in enumerate(plain)]
    return {entry.name: entry for entry in entries}


def folders() -> list[Path]:
    """Where weights are looked for, in this order; downloads go to the last."""
    chosen = os.environ.get("THEVAL_MODELS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [*([Path(chosen)] if chosen else []), cache / "theval-datasets" / "models"]


def find(weights: Weights) -> Path | None:
    """Where the weights lie; None if they are not here. A folder without files does not count."""
    for folder in folders():
        path = folder / weights.file
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            return path
    return None


def content_hash(*files: Path) -> str:
    """Hex SHA-256 of files' bytes, one after another as given, for cache keys.

    Each file is read once as long as its size and time stay what they are.
    """
    found = hashlib.sha256()
    for file in files:
        status = file.stat()
        found.update(_hash_of(str(file.resolve()), status.st_size, status.st_mtime_ns).encode())
    return found.hexdigest()


def content_hash_begins(file: Path, digits: str) -> bool:
    """Whether a file's SHA-256 begins with these hex digits, which its publisher put in its name."""
    return sha256_file(file).startswith(digits)


@functools.cache
def _hash_of(path: str, size: int, modified: int) -> str:  # noqa: ARG001  # part of the key
    return sha256_file(Path(path))


def locate(name: str) -> Path:
    """Where weights lie, without fetching anything.

    Raises:
        UnknownNameError: There are no such weights.
        WeightsMissingError: They are not here; says where they were looked for and how to get them.
    """
    weights = _known(name)
    path = find(weights)
    if path is None:
        looked = " or ".join(str(folder / weights.file) for folder in folders())
        raise WeightsMissingError(
            f"The weights {name} are not here (looked for {looked}). Get them with "
            f"`theval-data models fetch {name}` ({weights.license}), or put them there."
        )
    return path


def locate_or_fetch(name: str) -> Path:
    """Where weights lie, fetched on first use; offline (`HF_HUB_OFFLINE=1`) nothing is fetched.

    Raises:
        WeightsMissingError: They are not here and cannot be had.
    """
    weights = _known(name)
    found = find(weights)
    if found is not None or os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        return found or locate(name)
    return fetch(weights)


def try_to_fetch(name: str) -> None:
    """Like `locate_or_fetch`, for a run that goes on without: logs why they cannot be had."""
    try:
        locate_or_fetch(name)
    except WeightsMissingError as error:
        warn_once(str(error))


@functools.cache
def warn_once(text: str) -> None:
    """Log a warning, once a process: several extractors may lack the same."""
    _log.warning("%s", text)


def fetch(weights: Weights) -> Path:
    """Download weights from their publisher, check them, and put them in place whole.

    Raises:
        WeightsMissingError: They cannot be had, or what came is not what was published.
    """
    target = folders()[-1] / weights.file
    target.parent.mkdir(parents=True, exist_ok=True)
    if not weights.archive:
        with atomic_write(target) as stream:
            _download(weights, stream)
        return target
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as temporary:
        packed = Path(temporary) / "archive.zip"
        with packed.open("wb") as stream:
            _download(weights, stream)
        unpacked = Path(temporary) / "unpacked"
        extract(packed, unpacked, _UNPACKED)
        if target.is_dir():
            shutil.rmtree(target)
        unpacked.replace(target)
    return target


def _download(weights: Weights, stream: IO[bytes]) -> None:
    if urllib.parse.urlsplit(weights.url).scheme not in ("http", "https"):
        raise UnsafePathError(f"expected an http(s) address for {weights.name}: {weights.url!r}")
    found = hashlib.sha256()
    size = 0
    try:
        with (
            urllib.request.urlopen(weights.url, timeout=_TIMEOUT) as answer,  # noqa: S310  # checked
            progress(weights.n_bytes, weights.name, unit="B") as bar,
        ):
            while block := answer.read(_BLOCK):
                size += len(block)
                if size > weights.n_bytes:
                    break
                found.update(block)
                stream.write(block)
                bar.update(len(block))
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsMissingError(
            f"The weights {weights.name} cannot be fetched from {weights.url}: {reason}. "
            f"Put them at {folders()[0] / weights.file} by hand, or try again."
        ) from None
    if size != weights.n_bytes or found.hexdigest() != weights.sha256:
        raise WeightsMissingError(
            f"{weights.url} gave other bytes than were published: expected {weights.n_bytes} with "
            f"SHA-256 {weights.sha256}, got {size} with {found.hexdigest()}. Nothing was kept."
        )


def _known(name: str) -> Weights:
    if name not in registry():
        raise UnknownNameError("weights", name, registry())
    return registry()[name]
