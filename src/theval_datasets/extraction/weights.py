"""Model weights: the registry, their places on this machine, and downloads.

Weights are searched for in `THEVAL_MODELS`, then in the user's cache, then where their publisher's
library keeps its downloads (the caches of the Hub and of torch). Downloads come from the publisher
over http(s) only, are checked against the known SHA-256, and appear in their place only when complete.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import importlib.util
import logging
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final, Literal

from theval_datasets.errors import UnknownNameError, UnsafePathError, WeightsMissingError
from theval_datasets.utils.archives import extract
from theval_datasets.utils.files import atomic_write, sha256_file
from theval_datasets.utils.progress import progress
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import read_yaml

_log = logging.getLogger(__name__)

Kind = Literal["url", "zip", "hub", "folder", "package"]

_BLOCK: Final = 1 << 20
_TIMEOUT: Final = 60.0
_UNPACKED: Final = (".onnx",)
_HEX_DIGITS: Final = 64
_HUB: Final = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Weights:
    """A set of weights published by a third party.

    Attributes:
        name: Short name, as listed by `theval-data models`.
        kind: `url`: one file; `zip`: an archive whose ONNX files are unpacked into a folder; `hub`:
            files of a repository at the Hugging Face Hub; `folder`: a folder that the user fills;
            `package`: part of a Python package.
        source: Address of the file or archive, id of the repository, address of a page with
            instructions, or name of the package's module.
        used_by: Purpose, for people.
        license: The publisher's terms.
        path: Path below `THEVAL_MODELS` or the user's cache: of a file (`url`), else of a folder; its
            last part may be ``*``, any name. "" for a package.
        files: Glob patterns of the files that make a folder complete; ``a|b`` is either. If a
            repository has only one, that file is used instead of the folder.
        further: Patterns of further files to fetch from a repository.
        sha256: Hex SHA-256 of the download, or its first digits; "" if unknown.
        n_bytes: Size of the download in bytes, exact if the whole SHA-256 is known; None if unknown.
        gated: Whether the repository's terms must be accepted and a token is needed.
        instructions: Instructions for weights that cannot be fetched, for people.
        folder: Folder that is searched first; None for none.
    """

    name: str
    kind: Kind
    source: str
    used_by: str
    license: str
    path: str = ""
    files: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    sha256: str = ""
    n_bytes: int | None = None
    gated: bool = False
    instructions: str = ""
    folder: str | None = field(default=None, compare=False)

    @property
    def url(self) -> str:
        """The publisher's address; "" for a package."""
        if self.kind == "package":
            return ""
        return f"{_HUB}/{self.source}" if self.kind == "hub" else self.source

    @property
    def can_be_fetched(self) -> bool:
        """Whether `fetch` can download them."""
        return self.kind in ("url", "zip", "hub")

    @property
    def remedy(self) -> str:
        """How to get them, in a clause that begins with a verb."""
        if not self.can_be_fetched:
            places = " or ".join(str(folder / self.path) for folder in folders())
            return self.instructions.replace("FOLDER", places)
        terms = f"accept its terms at {self.url}, set HF_TOKEN, and " if self.gated else ""
        if registry().get(self.name) == self:
            return f"{terms}run `theval-data models fetch {self.name}`"
        return f"{terms}name the extractor in --features to fetch them from {self.url}"


@functools.cache
def registry() -> dict[str, Weights]:
    """All known weights by name: those that extractors and measures use by default.

    Examples:
        >>> registry()["retinaface"].license
        'MIT'
    """
    plain = read_yaml(importlib.resources.files(__package__ or "") / "weights.yaml")
    entries = [from_plain(Weights, item, f"weights.yaml[{i}]") for i, item in enumerate(plain)]
    return {entry.name: entry for entry in entries}


def known(name: str) -> Weights:
    """Weights of the registry.

    Raises:
        UnknownNameError: There are no weights of this name.

    Examples:
        >>> known("buffalo_l").kind
        'zip'
    """
    if name not in registry():
        raise UnknownNameError("weights", name, registry())
    return registry()[name]


def from_repository(name: str, repository: str, folder: str | None = None) -> Weights:
    """Like `known`, but from another repository of the Hub that holds the same kind of model.

    Args:
        name: Name of the weights in the registry.
        repository: Id at the Hub, such as ``Systran/faster-whisper-base``.
        folder: Folder that is searched first; None for none.

    Examples:
        >>> from_repository("whisper", "Systran/faster-whisper-tiny").path
        'whisper/faster-whisper-tiny'
    """
    entry = replace(known(name), folder=folder)
    if repository == entry.source:
        return entry
    path = f"{entry.path.rpartition('/')[0]}/{repository.rpartition('/')[2]}"
    return replace(
        entry, name=repository, source=repository, path=path, sha256="", n_bytes=None,
        license="see its page",
    )  # fmt: skip


def folders() -> list[Path]:
    """Folders that are searched for weights, in this order; downloads go to the last one.

    Examples:
        >>> folders()[-1].parts[-2:]
        ('theval-datasets', 'models')
    """
    chosen = os.environ.get("THEVAL_MODELS")
    return [*([Path(chosen)] if chosen else []), _user_cache() / "theval-datasets" / "models"]


def places(weights: Weights) -> list[Path]:
    """All paths that are searched for weights, in order; none for a package."""
    if weights.kind == "package":
        return []
    candidates = [Path(weights.folder)] if weights.folder else []
    candidates += [root / weights.path for root in folders()]
    if weights.kind == "url":
        torch_home = os.environ.get("TORCH_HOME") or _user_cache() / "torch"
        candidates.append(Path(torch_home) / "hub" / "checkpoints" / Path(weights.path).name)
    if weights.kind == "hub":
        cached = _in_hub_cache(weights)
        candidates += [cached] if cached else []
    return candidates


def find(weights: Weights) -> Path | None:
    """Path of weights; None if they are not on this machine, or incomplete.

    Returns:
        The file; the folder if there are several files, or of the package.
    """
    if weights.kind == "package":
        spec = importlib.util.find_spec(weights.source)
        return Path(spec.origin).parent if spec and spec.origin else None
    for place in places(weights):
        for path in _expanded(place):
            if weights.kind == "url" and path.is_file():
                return path
            if weights.kind != "url" and _is_complete(path, weights.files):
                return path / weights.files[0] if _is_single(weights) else path
    return None


def need(weights: Weights) -> Path:
    """Path of weights that must be present; see `find`.

    Raises:
        WeightsMissingError: They are missing; the message names the searched paths and the remedy.
    """
    path = find(weights)
    if path is None:
        looked = " or ".join(map(str, places(weights))) or f"the package {weights.source}"
        files = ", ".join(weights.files).replace("|", " or ")
        within = f" with {files}" if files else ""
        by_hand = "; or put them there" if weights.can_be_fetched else ""
        raise WeightsMissingError(
            f"The weights {weights.name} are not on this machine (looked for {looked}{within}). "
            f"To get them ({_terms(weights)}), {weights.remedy}{by_hand}."
        )
    return path


def need_all(several: Sequence[Weights]) -> list[Path]:
    """Paths of several weights that must all be present; see `find`.

    Raises:
        WeightsMissingError: Some are missing; the message names the searched paths and the remedy of each.
    """
    paths: list[Path] = []
    missing: list[str] = []
    for weights in several:
        try:
            paths.append(need(weights))
        except WeightsMissingError as error:
            missing.append(str(error))
    if missing:
        raise WeightsMissingError(" ".join(missing))
    return paths


def _terms(weights: Weights) -> str:
    """Publisher, size and licence."""
    size = f"{size_text(weights.n_bytes)}, " if weights.n_bytes else ""
    publisher = f"from {weights.url}, " if weights.url else ""
    return f"{publisher}{size}licence: {weights.license}"


def size_text(n_bytes: int) -> str:
    """A size in kB, MB or GB.

    Examples:
        >>> size_text(106_679), size_text(5_905_440), size_text(8_650_000_000)
        ('107 kB', '6 MB', '8.7 GB')
    """
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.0f} kB"
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def fetch(weights: Weights, token: str | None = None) -> Path:
    """Download weights from their publisher, check them, and move them into place when complete.

    Args:
        weights: Weights of a kind that can be fetched.
        token: Token of the Hub; None for `HF_TOKEN` or that of the login. It is never logged.

    Returns:
        Path of the weights, as `find` returns it.

    Raises:
        WeightsMissingError: The download failed, or differs from what was published.
    """
    if not weights.can_be_fetched:
        raise WeightsMissingError(
            f"The weights {weights.name} cannot be downloaded automatically: {weights.remedy}."
        )
    if weights.kind == "hub":
        return _fetch_from_hub(weights, token)
    target = folders()[-1] / weights.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if weights.kind == "url":
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


def fetch_if_missing(weights: Weights, token: str | None = None) -> Path | None:
    """Fetch missing weights for a run that can do without them; a failure is only logged.

    Nothing is fetched offline (`HF_HUB_OFFLINE=1`).

    Args:
        weights: Weights to fetch.
        token: Token of the Hub; None for `HF_TOKEN`.

    Returns:
        Path of the weights; None if they are still missing.
    """
    try:
        path = find(weights)
        if path is None and weights.can_be_fetched:
            path = need(weights) if _is_offline() else fetch(weights, token)
    except WeightsMissingError as error:
        warn_once(str(error))
        return None
    return path


@functools.cache
def warn_once(text: str) -> None:
    """Log a warning once per process, since several extractors may lack the same weights."""
    _log.warning("%s", text)


def content_hash(*files: Path) -> str:
    """Hex SHA-256 of the SHA-256 of files in the given order, for cache keys.

    A file is read again only if its size or time of change differs.

    Examples:
        >>> _ = Path("a.onnx").write_bytes(b"weights")
        >>> len(content_hash(Path("a.onnx")))
        64
    """
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(_hash_of(str(file.resolve()), status.st_size, status.st_mtime_ns).encode())
    return digest.hexdigest()


@functools.cache
def _hash_of(path: str, size: int, modified: int) -> str:  # noqa: ARG001  # part of the key
    return sha256_file(Path(path))


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", "")


def _expanded(place: Path) -> Iterator[Path]:
    """The path itself, or the folders that match its last part ``*``, sorted."""
    if place.name != "*":
        yield place
    elif place.parent.is_dir():
        yield from sorted(path for path in place.parent.iterdir() if path.is_dir())


def _is_complete(folder: Path, files: tuple[str, ...]) -> bool:
    """Whether a folder has a file for every pattern."""
    return folder.is_dir() and all(
        any(path.is_file() for either in pattern.split("|") for path in folder.glob(either))
        for pattern in files
    )


def _is_single(weights: Weights) -> bool:
    return weights.kind == "hub" and len(weights.files) == 1


def _in_hub_cache(weights: Weights) -> Path | None:
    """The folder of a repository in the Hub's own cache; None if its first file is not there."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(weights.source, weights.files[0])
    return Path(cached).parent if isinstance(cached, str) else None


def _fetch_from_hub(weights: Weights, token: str | None) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        if _is_single(weights):
            path = Path(hf_hub_download(weights.source, weights.files[0], token=token))
        else:
            wanted = [*weights.files, *weights.further]
            path = Path(snapshot_download(weights.source, allow_patterns=wanted, token=token))
    except GatedRepoError:
        raise WeightsMissingError(
            f"{weights.source} is gated: accept its terms at {weights.url} with the account of "
            f"your token, and set HF_TOKEN."
        ) from None
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        terms = f"Accept its terms at {weights.url} and set HF_TOKEN. " if weights.gated else ""
        raise WeightsMissingError(
            f"The weights {weights.name} could not be downloaded from {weights.url}: {reason}. "
            f"{terms}Try again with a connection, or put {', '.join(weights.files)} into "
            f"{folders()[0] / weights.path} by hand."
        ) from None
    if weights.sha256 and not sha256_file(path).startswith(weights.sha256):
        path.unlink()
        raise WeightsMissingError(
            f"{weights.url} gave other bytes for {path.name} than were published: expected a "
            f"SHA-256 that begins with {weights.sha256}. Nothing was kept."
        )
    return path


def _download(weights: Weights, stream: IO[bytes]) -> None:
    if urllib.parse.urlsplit(weights.url).scheme not in ("http", "https"):
        raise UnsafePathError(f"expected an http(s) address for {weights.name}: {weights.url!r}")
    exact = len(weights.sha256) == _HEX_DIGITS
    expected = weights.n_bytes or 0
    limit = expected if exact else 2 * expected
    digest = hashlib.sha256()
    size = 0
    try:
        with (
            urllib.request.urlopen(weights.url, timeout=_TIMEOUT) as answer,  # noqa: S310  # checked
            progress(expected, weights.name, unit="B") as bar,
        ):
            while block := answer.read(_BLOCK):
                size += len(block)
                if size > limit:
                    break
                digest.update(block)
                stream.write(block)
                bar.update(len(block))
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsMissingError(
            f"The weights {weights.name} could not be downloaded from {weights.url}: {reason}. "
            f"Put them at {folders()[0] / weights.path} by hand, or try again."
        ) from None
    whole = size == expected if exact else size <= limit
    if not (whole and digest.hexdigest().startswith(weights.sha256)):
        raise WeightsMissingError(
            f"{weights.url} gave other bytes than were published: expected {expected} with "
            f"SHA-256 {weights.sha256}, got {size} with {digest.hexdigest()}. Nothing was kept."
        )
