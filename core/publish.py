"""Pushes a built dataset to the Hub: one commit on the expected parent, then the tag.

What is at the Hub is looked at first (`plan_push`), so that nothing is sent that would be refused;
then everything is sent (`push_release`). Stopped at any point and run again, it goes on: large files
that are there already are not sent twice, and a commit without its tag gets it. Tokens come from
where `huggingface_hub` looks for them and from nowhere else.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets._hub_errors import said_plainly
from theval_datasets.errors import InputError, PublishError
from theval_datasets.files import inside, sha256_file
from theval_datasets.info import CARD_NAME, INFO_NAME, FileInfo, Info, parse_version, read_info
from theval_datasets.progress import shown

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.hf_api import RepoFile

_log = logging.getLogger(__name__)

_KIND: Final = "dataset"
_GIT_FILES: Final = (".gitattributes", ".gitignore")
_MEDIA: Final = ("Audio(", "Image(", "Video(", "Mesh(", "Pdf(", "Nifti(")


@dataclass(frozen=True)
class PushPlan:
    """What a push would do.

    Attributes:
        repo_id: ``OWNER/NAME`` at the Hub.
        folder: Of the release.
        info: What the release says of itself.
        parent: Commit that the branch `main` is at; None if there is no such repository yet.
        previous: Version that is there; None if there is none.
        private: Whether the repository is, or would be, private.
        add: Path to size and hash of the files to send.
        delete: Files of the previous version that this one does not have.
        unchanged: Files that are there as they are here.
        committed: Whether the Hub holds this very version, only without its tag.
        notes: What is worth knowing, in sentences.
    """

    repo_id: str
    folder: Path
    info: Info
    parent: str | None
    previous: str | None
    private: bool
    add: Mapping[str, FileInfo]
    delete: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    committed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """Name of the tag: ``vX.Y.Z``."""
        return f"v{self.info.version}"


@dataclass
class _Remote:
    """A repository as it is at the Hub."""

    sha: str
    private: bool
    files: dict[str, RepoFile]
    tags: list[str]
    info: Info | None = None
    info_bytes: bytes = b""
    versions: list[str] = field(default_factory=list)


def media_configs(info: Info) -> list[str]:
    """Configs with columns that hold pictures, sound, video or meshes."""
    return [
        name
        for name, config in info.configs.items()
        if any(kind in column.type for column in config.columns for kind in _MEDIA)
    ]


def plan_push(folder: Path, repo_id: str, *, private: bool | None = None) -> PushPlan:
    """Look at the Hub and say what a push would do; nothing is changed there.

    Args:
        folder: Of a release; that it is sound is for the caller to check.
        repo_id: ``OWNER/NAME``.
        private: Whether a new repository is private; by default if it holds media.

    Raises:
        InputError: If the folder is no release, or `repo_id` is not a name.
        PublishError: If the release cannot go there, or the Hub does not answer.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"{repo_id!r} is no name of a repository: {error}") from None
    if repo_id.count("/") != 1:
        raise InputError(f"expected OWNER/NAME, such as theval/thqa-mt, got {repo_id!r}")
    info = read_info(folder)
    media = media_configs(info)
    remote = _look(HfApi(), repo_id)
    said = (folder / INFO_NAME).read_bytes()
    local = {
        **info.files,
        INFO_NAME: FileInfo(hashlib.sha256(said).hexdigest(), len(said)),
    }
    notes = []
    if repo_id != info.dataset:
        notes.append(f"the card's examples load {info.dataset}, not {repo_id}")
    if remote is None:
        hidden = bool(media) if private is None else private
        return PushPlan(repo_id, folder, info, None, None, hidden, local, notes=tuple(notes))
    committed = remote.info_bytes == said
    _refuse(repo_id, info, remote, committed=committed)
    if media and not remote.private and private is not False:
        raise PublishError(
            f"{repo_id} is public, and this version carries media ({', '.join(media)}). "
            "Make it private in its settings, or give --public if the media may be seen by all."
        )
    if private is not None and private != remote.private:
        notes.append(
            f"{repo_id} is {'private' if remote.private else 'public'} and stays so: "
            "its visibility is changed in its settings"
        )
    same = {name for name, one in local.items() if _same(folder, name, one, remote.files.get(name))}
    before = {*remote.info.files} if remote.info else set()
    foreign = set(remote.files) - before - {*local, INFO_NAME, CARD_NAME, *_GIT_FILES}
    if foreign:
        notes.append(f"left alone, no version lists them: {', '.join(sorted(foreign))}")
    return PushPlan(
        repo_id=repo_id,
        folder=folder,
        info=info,
        parent=remote.sha,
        previous=remote.info.version if remote.info else None,
        private=remote.private,
        add={name: one for name, one in local.items() if name not in same},
        delete=tuple(sorted((before - set(local)) & set(remote.files))),
        unchanged=tuple(sorted(same)),
        committed=committed,
        notes=tuple(notes),
    )


def push_release(plan: PushPlan) -> str:
    """Do what the plan says.

    Returns:
        The commit that the tag is on.

    Raises:
        PublishError: If the Hub refuses, somebody else committed meanwhile, or a file changed here.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    parent = plan.parent or _create(api, plan)
    added = [
        CommitOperationAdd(name, str(inside(plan.folder, name)))
        for name in sorted(plan.add, key=lambda name: (name == INFO_NAME, name))
    ]
    deleted = [CommitOperationDelete(name) for name in plan.delete]
    oid = parent
    if added or deleted:
        with _hub(plan.repo_id), _bars():
            api.preupload_lfs_files(plan.repo_id, added, repo_type=_KIND, free_memory=False)
        _check_sent(plan, added)
        with _hub(plan.repo_id), _bars():
            made = api.create_commit(
                plan.repo_id,
                [*added, *deleted],
                commit_message=f"{plan.info.dataset} {plan.info.version}",
                repo_type=_KIND,
                parent_commit=parent,
            )
        oid = str(made.oid)
    _check_there(api, plan, oid)
    try:
        with _hub(plan.repo_id):
            api.create_tag(plan.repo_id, tag=plan.tag, revision=oid, repo_type=_KIND)
    except PublishError as error:
        raise PublishError(
            f"{plan.repo_id} holds version {plan.info.version} now, at {oid[:12]}, but the tag "
            f"{plan.tag} is not set; push again to set it. {error}"
        ) from None
    return oid


def _look(api: HfApi, repo_id: str) -> _Remote | None:
    """The repository as it is; None if there is none (or none that this token may see)."""
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    with _hub(repo_id):
        try:
            about = api.repo_info(repo_id, repo_type=_KIND)
        except RepositoryNotFoundError:
            return None
        refs = api.list_repo_refs(repo_id, repo_type=_KIND)
        entries = api.list_repo_tree(repo_id, recursive=True, revision=about.sha, repo_type=_KIND)
        files = {one.path: one for one in entries if isinstance(one, RepoFile)}
    tags = [tag.name for tag in refs.tags]
    remote = _Remote(str(about.sha), bool(about.private), files, tags)
    if INFO_NAME in files:
        with tempfile.TemporaryDirectory(prefix="theval-push-") as scratch, _bars():
            with _hub(repo_id):
                path = api.hf_hub_download(
                    repo_id, INFO_NAME, repo_type=_KIND, revision=about.sha, local_dir=scratch
                )
            remote.info_bytes = Path(path).read_bytes()
            try:
                remote.info = read_info(Path(scratch))
            except InputError as error:
                raise PublishError(
                    f"{repo_id} holds an {INFO_NAME} of something else: {error}"
                ) from None
    return remote


def _refuse(repo_id: str, info: Info, remote: _Remote, *, committed: bool) -> None:
    """Raise for what must not be overwritten."""
    tag = f"v{info.version}"
    if tag in remote.tags:
        raise PublishError(
            f"{repo_id} has the tag {tag} already, and a published version never changes. "
            f"Build with a higher --version."
        )
    if remote.info is None:
        others = set(remote.files) - {CARD_NAME, *_GIT_FILES}
        if others:
            raise PublishError(
                f"{repo_id} holds {len(others)} files, but no {INFO_NAME}: it is not a dataset that "
                "this package pushed. Nothing is overwritten; choose another repository."
            )
    elif remote.info.dataset != info.dataset:
        raise PublishError(f"{repo_id} holds {remote.info.dataset}, and this is {info.dataset}")
    if committed:
        return
    there = [remote.info.version] if remote.info else []
    there += [name[1:] for name in remote.tags if name.startswith("v") and _is_version(name[1:])]
    highest = max(there, key=parse_version, default=None)
    if highest is not None and parse_version(info.version) <= parse_version(highest):
        raise PublishError(
            f"{repo_id} is at version {highest} already, and this is {info.version}: "
            "versions only grow. Build with a higher --version."
        )


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except InputError:
        return False
    return True


def _same(folder: Path, name: str, here: FileInfo, there: RepoFile | None) -> bool:
    """Whether a file at the Hub is the one here: by SHA-256 if it is large, else by git's hash."""
    if there is None or there.size != here.n_bytes:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == here.sha256)
    data = inside(folder, name).read_bytes()
    name_of = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return bool(there.blob_id == name_of.hexdigest())


def _create(api: HfApi, plan: PushPlan) -> str:
    with _hub(plan.repo_id):
        api.create_repo(plan.repo_id, private=plan.private or None, repo_type=_KIND)
        return str(api.repo_info(plan.repo_id, repo_type=_KIND).sha)


def _check_sent(plan: PushPlan, added: Sequence[CommitOperationAdd]) -> None:
    """Nothing may have changed between the checks and the upload."""
    for one in added:
        wanted = plan.add[one.path_in_repo]
        if sha256_file(inside(plan.folder, one.path_in_repo)) != wanted.sha256 or (
            one.upload_info.size != wanted.n_bytes
        ):
            raise PublishError(
                f"{one.path_in_repo} changed while it was being pushed; nothing was committed. "
                "Build again, and push when nothing writes to the folder."
            )


def _check_there(api: HfApi, plan: PushPlan, oid: str) -> None:
    """Every file must be at the Hub as it is here before the tag says so."""
    from huggingface_hub.hf_api import RepoFile

    with _hub(plan.repo_id):
        entries = api.list_repo_tree(plan.repo_id, recursive=True, revision=oid, repo_type=_KIND)
        files = {one.path: one for one in entries if isinstance(one, RepoFile)}
    local = {**plan.info.files, INFO_NAME: plan.add.get(INFO_NAME)}
    for name, one in local.items():
        if one is not None and not _same(plan.folder, name, one, files.get(name)):
            raise PublishError(
                f"{plan.repo_id} does not hold {name} as it is here after the commit {oid[:12]}; "
                f"the tag {plan.tag} was not set"
            )


@contextmanager
def _hub(repo_id: str) -> Iterator[None]:
    """Turn what the Hub's client raises into a sentence, without addresses that carry rights."""
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        _log.debug("%s: %s", repo_id, type(error).__name__)
        raise PublishError(said_plainly(error, repo_id)) from None


@contextmanager
def _bars() -> Iterator[None]:
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


def as_plain(plan: PushPlan) -> dict[str, Any]:
    """A plan for ``--json``."""
    return {
        "repo_id": plan.repo_id,
        "dataset": plan.info.dataset,
        "version": plan.info.version,
        "tag": plan.tag,
        "private": plan.private,
        "new": plan.parent is None,
        "parent": plan.parent,
        "previous": plan.previous,
        "add": {name: one.n_bytes for name, one in plan.add.items()},
        "delete": list(plan.delete),
        "unchanged": list(plan.unchanged),
        "notes": list(plan.notes),
    }
