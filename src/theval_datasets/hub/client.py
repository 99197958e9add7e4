"""A dataset's repository as it is at the Hub, and what asking for it raises, in plain words."""

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

from .errors import said_plainly

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_log = logging.getLogger(__name__)

KIND: Final = "dataset"


@dataclass
class Remote:
    """A repository as it is at the Hub.

    Attributes:
        sha: Commit that the branch `main` is at.
        private: Whether only some may read it.
        files: Path to size and hash.
        tags: Names.
        info: What its `info.json` says; None if it has none.
        info_bytes: That file as it is.
    """

    sha: str
    private: bool
    files: dict[str, RepoFile]
    tags: list[str]
    info: Info | None = None
    info_bytes: bytes = b""


def look(api: HfApi, repo_id: str) -> Remote | None:
    """The repository as it is; None if there is none (or none that this token may see).

    Raises:
        PublishError: If the Hub does not answer, or `info.json` there is not a dataset's.
    """
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    with answers(repo_id):
        try:
            about = api.repo_info(repo_id, repo_type=KIND)
        except RepositoryNotFoundError:
            return None
        refs = api.list_repo_refs(repo_id, repo_type=KIND)
        entries = api.list_repo_tree(repo_id, recursive=True, revision=about.sha, repo_type=KIND)
        files = {one.path: one for one in entries if isinstance(one, RepoFile)}
    tags = [tag.name for tag in refs.tags]
    remote = Remote(str(about.sha), bool(about.private), files, tags)
    if INFO_NAME in files:
        try:
            remote.info_bytes, remote.info = _said_at(api, repo_id, str(about.sha))
        except InputError as error:
            raise PublishError(
                f"{repo_id} holds an {INFO_NAME} of something else: {error}"
            ) from None
    return remote


def versions_with(api: HfApi, repo_id: str, remote: Remote, gone: Collection[str]) -> list[str]:
    """Tags of versions that have no tombstone for some clip, and may therefore still hold it.

    Args:
        api: Asks the Hub.
        repo_id: The repository.
        remote: As it is there.
        gone: Ids of clips that were taken down.

    Raises:
        PublishError: If the Hub does not answer.
    """
    found = []
    for tag in remote.tags if gone else ():
        try:
            _, info = _said_at(api, repo_id, tag)
        except InputError:
            continue  # of something else
        if not {stone.clip_id for stone in info.tombstones}.issuperset(gone):
            found.append(tag)
    return sorted(found)


def _said_at(api: HfApi, repo_id: str, revision: str) -> tuple[bytes, Info]:
    """`info.json` of a revision as it is, and what it says.

    Raises:
        InputError: If it has none, or one of something else.
    """
    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory(prefix="theval-push-") as scratch, own_bars():
        with answers(repo_id):
            try:
                path = api.hf_hub_download(
                    repo_id, INFO_NAME, repo_type=KIND, revision=revision, local_dir=scratch
                )
            except EntryNotFoundError:
                raise InputError(f"{repo_id} has no {INFO_NAME} at {revision}") from None
        return Path(path).read_bytes(), read_info(Path(scratch))


def is_same(folder: Path, name: str, here: FileInfo, there: RepoFile | None) -> bool:
    """Whether a file at the Hub is the one here: by SHA-256 if it is large, else by git's hash."""
    if there is None or there.size != here.n_bytes:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == here.sha256)
    data = inside(folder, name).read_bytes()
    name_of = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return bool(there.blob_id == name_of.hexdigest())


@contextmanager
def answers(repo_id: str) -> Iterator[None]:
    """Turn what the Hub's client raises into a sentence, without addresses that carry rights.

    Raises:
        PublishError: For what went wrong at the Hub or on the way to it.
    """
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        _log.debug("%s: %s", repo_id, type(error).__name__)
        raise PublishError(said_plainly(error, repo_id)) from None


@contextmanager
def own_bars() -> Iterator[None]:
    """The Hub's own progress bars, if this package shows any."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
