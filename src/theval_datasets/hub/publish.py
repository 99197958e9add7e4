"""Pushes a built dataset to the Hub: one commit on the expected parent, then the tag.

The repository is read first (`plan_push`), so that nothing is sent that would be refused; then
everything is sent (`push_release`). A push that was interrupted can be run again: large files that
are already there are not sent twice, a commit without its tag gets it, and a version that is already
there is left unchanged. Tokens are read by `huggingface_hub` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import InputError, PublishError
from theval_datasets.manifest.info import (
    CARD_NAME,
    INFO_NAME,
    ConfigInfo,
    FileInfo,
    Info,
    parse_version,
    read_info,
    shown_of_people,
)
from theval_datasets.utils.files import inside, sha256_file

from .client import (
    KIND,
    Remote,
    files_at,
    hub_errors,
    is_same,
    read_repository,
    versions_with,
)

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

_GIT_FILES: Final = (".gitattributes", ".gitignore")
_HELD_BACK: Final = (
    "{repo_id} is public, or would be, and this version may show or identify people, by "
    "{columns}. Nothing was sent. Push it to a private repository; or build it without them "
    "(--anonymise, --without arcface, --config); or give --allow-public-faces if all who are shown "
    "agreed."
)


@dataclass(frozen=True)
class PushPlan:
    """The effects of a push.

    Attributes:
        repo_id: ``OWNER/NAME`` at the Hub.
        folder: Folder of the release.
        info: Its `info.json`.
        parent: Commit of the branch `main`; None if there is no such repository yet.
        previous: Version at `main`; None if there is none.
        private: Whether the repository is, or would be, private.
        add: Size and hash of the files to send, by path.
        delete: Files of the previous version that this one does not have.
        unchanged: Files that are the same at the Hub.
        committed: Whether `main` already holds this version, without its tag.
        published: Commit of the tag, if the Hub holds this version completely; else None.
        notes: Remarks for the user, in sentences.
        outlived: Tags of versions that may still hold clips that this one's tombstones took down.
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
    published: str | None = None
    notes: tuple[str, ...] = ()
    outlived: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """Name of the tag: ``vX.Y.Z``."""
        return f"v{self.info.version}"


def _has_values(folder: Path, config: ConfigInfo, column: str) -> bool:
    """Whether a column has a value; bytes of pictures and videos are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split in config.splits.values():
        for name in split.files:
            file = pq.ParquetFile(inside(folder, name))
            kind, column_path = file.schema_arrow.field(column).type, column
            if pa.types.is_struct(kind):  # bytes and path: the path is enough
                column_path += f".{kind.field(kind.num_fields - 1).name}"
            for batch in file.iter_batches(columns=[column_path], batch_size=1024):
                if batch.column(0).null_count < len(batch):
                    return True
    return False


def plan_push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    allow_public_faces: bool = False,
) -> PushPlan:
    """Plan a push; the Hub is read, but not changed.

    Args:
        folder: Folder of a release, which the caller has verified.
        repo_id: ``OWNER/NAME``.
        private: Visibility of a new repository; private by default if people are shown.
        allow_public_faces: Allow media and embeddings of people in a public repository.

    Raises:
        InputError: If the folder is not a release, or `repo_id` is not a repository name.
        PublishError: If the release may not be pushed there, or the Hub does not answer.
    """
    from huggingface_hub import HfApi

    _check_name(repo_id)
    info = read_info(folder)
    people = shown_of_people(
        info, lambda config, column: _has_values(folder, info.configs[config], column)
    )
    api = HfApi()
    remote = read_repository(api, repo_id)
    info_bytes = (folder / INFO_NAME).read_bytes()
    local = {
        **info.files,
        INFO_NAME: FileInfo(hashlib.sha256(info_bytes).hexdigest(), len(info_bytes)),
    }
    notes = []
    if repo_id != info.dataset:
        notes.append(f"the card's examples load {info.dataset}, not {repo_id}")
    hidden = remote.private if remote else bool(people) if private is None else private
    if people and not hidden and not allow_public_faces:
        raise PublishError(_HELD_BACK.format(repo_id=repo_id, columns=", ".join(people)))
    if remote is None:
        if people and private is None:
            notes.append(f"private, because these may show people: {', '.join(people)}")
        return PushPlan(repo_id, folder, info, None, None, hidden, local, notes=tuple(notes))
    outlived = tuple(
        versions_with(api, repo_id, remote, {stone.clip_id for stone in info.tombstones})
    )
    plan = PushPlan(
        repo_id=repo_id,
        folder=folder,
        info=info,
        parent=remote.sha,
        previous=remote.info.version if remote.info else None,
        private=remote.private,
        add={},
        unchanged=tuple(sorted(local)),
        notes=tuple(notes),
        outlived=outlived,
    )
    if f"v{info.version}" in remote.tags:
        published = _published(api, repo_id, remote, folder, info, local)
        return replace(plan, published=published)
    committed = remote.info_bytes == info_bytes
    _refuse(repo_id, info, remote, committed=committed)
    if private is not None and private != remote.private:
        notes.append(
            f"{repo_id} is {'private' if remote.private else 'public'} and stays so: "
            "its visibility is changed in its settings"
        )
    same = {
        name for name, file in local.items() if is_same(folder, name, file, remote.files.get(name))
    }
    before = set(remote.info.files) if remote.info else set()
    foreign = set(remote.files) - before - {*local, INFO_NAME, CARD_NAME, *_GIT_FILES}
    if foreign:
        notes.append(f"left unchanged, since no version lists them: {', '.join(sorted(foreign))}")
    return replace(
        plan,
        add={name: file for name, file in local.items() if name not in same},
        delete=tuple(sorted((before - set(local)) & set(remote.files))),
        unchanged=tuple(sorted(same)),
        committed=committed,
        notes=tuple(notes),
    )


def _check_name(repo_id: str) -> None:
    """Refuse what is not ``OWNER/NAME``."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"{repo_id!r} is not the name of a repository: {error}") from None
    if repo_id.count("/") != 1:
        raise InputError(f"expected OWNER/NAME, such as theval/thqa-mt, got {repo_id!r}")


def push_release(plan: PushPlan) -> str:
    """Carry out a plan.

    Returns:
        The commit of the tag.

    Raises:
        PublishError: If the Hub refuses, somebody else committed meanwhile, or a local file changed.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    if plan.published is not None:
        return plan.published
    api = HfApi()
    parent = plan.parent or _create(api, plan)
    with hub_errors(plan.repo_id):
        added = [
            CommitOperationAdd(name, str(inside(plan.folder, name))) for name in sorted(plan.add)
        ]
    deleted = [CommitOperationDelete(name) for name in plan.delete]
    oid = parent
    if added or deleted:
        with hub_errors(plan.repo_id):
            api.preupload_lfs_files(plan.repo_id, added, repo_type=KIND, free_memory=False)
        _check_sent(plan, added)
        with hub_errors(plan.repo_id):
            made = api.create_commit(
                plan.repo_id,
                [*added, *deleted],
                commit_message=f"{plan.info.dataset} {plan.info.version}",
                repo_type=KIND,
                parent_commit=parent,
            )
        oid = str(made.oid)
    _check_there(api, plan, oid)
    try:
        with hub_errors(plan.repo_id):
            api.create_tag(plan.repo_id, tag=plan.tag, revision=oid, repo_type=KIND)
    except PublishError as error:
        raise PublishError(
            f"{plan.repo_id} now holds version {plan.info.version}, at {oid[:12]}, but the tag "
            f"{plan.tag} is not set; push again to set it. {error}"
        ) from None
    return oid


def _published(
    api: HfApi,
    repo_id: str,
    remote: Remote,
    folder: Path,
    info: Info,
    local: Mapping[str, FileInfo],
) -> str:
    """The commit of this version's tag, whose files must all equal the local ones.

    Raises:
        PublishError: If the tag holds something else.
    """
    tag = f"v{info.version}"
    commit = remote.tags[tag]
    files = files_at(api, repo_id, commit)
    differing = [
        name for name, file in local.items() if not is_same(folder, name, file, files.get(name))
    ]
    if differing:
        raise PublishError(
            f"{repo_id} already has the tag {tag}, with other files ({', '.join(differing[:3])}, …), and "
            "a published version never changes. Build with a higher --version."
        )
    return commit


def _refuse(repo_id: str, info: Info, remote: Remote, *, committed: bool) -> None:
    """Raise for a repository that must not be overwritten."""
    if remote.info is None:
        others = set(remote.files) - {CARD_NAME, *_GIT_FILES}
        if others:
            raise PublishError(
                f"{repo_id} holds {len(others)} files, but no {INFO_NAME}: it is not a dataset that "
                "this package pushed. Nothing was overwritten; choose another repository."
            )
    elif remote.info.dataset != info.dataset:
        raise PublishError(f"{repo_id} holds {remote.info.dataset}, and this is {info.dataset}")
    if committed:
        return
    present = [remote.info.version] if remote.info else []
    present += [name[1:] for name in remote.tags if name.startswith("v") and _is_version(name[1:])]
    highest = max(present, key=parse_version, default=None)
    if highest is not None and parse_version(info.version) <= parse_version(highest):
        raise PublishError(
            f"{repo_id} is already at version {highest}, got the older version {info.version}: "
            "build with a higher --version."
        )


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except InputError:
        return False
    return True


def _create(api: HfApi, plan: PushPlan) -> str:
    with hub_errors(plan.repo_id):
        api.create_repo(plan.repo_id, private=plan.private or None, repo_type=KIND)
        return str(api.repo_info(plan.repo_id, repo_type=KIND).sha)


def _check_sent(plan: PushPlan, added: Sequence[CommitOperationAdd]) -> None:
    """Raise if a file changed between the checks and the upload."""
    for operation in added:
        expected = plan.add[operation.path_in_repo]
        if sha256_file(inside(plan.folder, operation.path_in_repo)) != expected.sha256 or (
            operation.upload_info.size != expected.n_bytes
        ):
            raise PublishError(
                f"{operation.path_in_repo} changed while it was being pushed; nothing was committed. "
                "Build again, and push when nothing writes to the folder."
            )


def _check_there(api: HfApi, plan: PushPlan, oid: str) -> None:
    """Raise if a file of the commit differs from the local one; the tag is set after this check."""
    files = files_at(api, plan.repo_id, oid)
    local = {**plan.info.files, INFO_NAME: plan.add.get(INFO_NAME)}
    for name, file in local.items():
        if file is not None and not is_same(plan.folder, name, file, files.get(name)):
            raise PublishError(
                f"after the commit {oid[:12]}, {name} in {plan.repo_id} differs from the local file; "
                f"the tag {plan.tag} was not set"
            )


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
        "add": {name: file.n_bytes for name, file in plan.add.items()},
        "delete": list(plan.delete),
        "unchanged": list(plan.unchanged),
        "notes": list(plan.notes),
        "outlived": list(plan.outlived),
    }
