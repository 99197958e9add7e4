"""State of a dataset's repository at the Hub; requests with explained errors and redacted logs."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from theval_datasets.errors import InputError, PublishError
from theval_datasets.manifest.info import INFO_NAME, FileInfo, Info, read_info
from theval_datasets.utils.files import inside
from theval_datasets.utils.progress import shown
from theval_datasets.utils.text import redact_logs

from .errors import explain

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_log = logging.getLogger(__name__)

KIND: Final = "dataset"


@dataclass
class Remote:
    """State of a repository at the Hub.

    Attributes:
        sha: Commit of the branch `main`.
        private: Whether access is restricted.
        files: Size and hash by path, at `main`.
        tags: Commit by tag.
        info: Parsed `info.json` of `main`; None if it has none.
        info_bytes: Bytes of that file.
    """

    sha: str
    private: bool
    files: dict[str, RepoFile]
    tags: dict[str, str]
    info: Info | None = None
    info_bytes: bytes = b""


def read_repository(api: HfApi, repo_id: str) -> Remote | None:
    """State of a repository; None if it does not exist or this token may not read it.

    Raises:
        PublishError: If the Hub does not answer, or its `info.json` is not that of a dataset.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    with hub_errors(repo_id):
        try:
            about = api.repo_info(repo_id, repo_type=KIND)
        except RepositoryNotFoundError:
            return None
        refs = api.list_repo_refs(repo_id, repo_type=KIND)
    files = files_at(api, repo_id, str(about.sha))
    tags = {tag.name: str(tag.target_commit) for tag in refs.tags}
    remote = Remote(str(about.sha), bool(about.private), files, tags)
    if INFO_NAME in files:
        try:
            remote.info_bytes, remote.info = info_at(api, repo_id, str(about.sha))
        except InputError as error:
            raise PublishError(
                f"{repo_id} holds an {INFO_NAME} that is not a dataset's: {error}"
            ) from None
    return remote


def files_at(api: HfApi, repo_id: str, revision: str) -> dict[str, RepoFile]:
    """Size and hash of the files of a revision, by path.

    Raises:
        PublishError: If the Hub does not answer.
    """
    from huggingface_hub.hf_api import RepoFile

    with hub_errors(repo_id):
        entries = api.list_repo_tree(repo_id, recursive=True, revision=revision, repo_type=KIND)
        return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def versions_with(api: HfApi, repo_id: str, remote: Remote, gone: Collection[str]) -> list[str]:
    """Tags of versions that lack a tombstone of a clip, and may therefore still contain it.

    Args:
        api: Client of the Hub.
        repo_id: Id of the repository.
        remote: State of the repository.
        gone: Ids of clips that were taken down.

    Raises:
        PublishError: If the Hub does not answer.
    """
    tags = []
    for tag in remote.tags if gone else ():
        try:
            _, info = info_at(api, repo_id, tag)
        except InputError:
            continue  # not a version of a dataset
        if not {stone.clip_id for stone in info.tombstones}.issuperset(gone):
            tags.append(tag)
    return sorted(tags)


def info_at(api: HfApi, repo_id: str, revision: str) -> tuple[bytes, Info]:
    """Bytes of a revision's `info.json`, and the file parsed.

    Raises:
        InputError: If it has none, or one that is not a dataset's.
        PublishError: If the Hub does not answer.
    """
    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory(prefix="theval-push-") as scratch:
        with hub_errors(repo_id):
            try:
                path = api.hf_hub_download(
                    repo_id, INFO_NAME, repo_type=KIND, revision=revision, local_dir=scratch
                )
            except EntryNotFoundError:
                raise InputError(f"{repo_id} has no {INFO_NAME} at {revision}") from None
        return Path(path).read_bytes(), read_info(Path(scratch))


def is_same(folder: Path, name: str, here: FileInfo, there: RepoFile | None) -> bool:
    """Whether a file at the Hub equals the local file: by SHA-256 if large, else by git's hash."""
    if there is None or there.size != here.n_bytes:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == here.sha256)
    data = inside(folder, name).read_bytes()
    name_of = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return bool(there.blob_id == name_of.hexdigest())


@contextmanager
def hub_errors(repo_id: str) -> Iterator[None]:
    """A session in which errors of the Hub's client are raised with an explanation.

    Raises:
        PublishError: For every error of the Hub or of the connection to it.
    """
    from huggingface_hub.errors import HTTPError

    with hub_session():
        try:
            yield
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            _log.debug("%s: %s", repo_id, type(error).__name__)
            raise PublishError(explain(error, repo_id)) from None


@contextmanager
def hub_session() -> Iterator[None]:
    """Redact logs of the Hub's client; show its progress bars only if this package shows any."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    redact_logs("huggingface_hub", "httpx", "httpx2", "httpcore", "hf_xet")
    if shown() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
