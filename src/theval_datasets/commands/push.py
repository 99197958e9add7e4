"""`theval-data push`: publishes a built dataset to the Hub, as one commit with a tag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theval_datasets.errors import PublishError
from theval_datasets.utils.report import Report

from .options import Folder
from .verify import verify

if TYPE_CHECKING:
    from theval_datasets.hub.publish import PushPlan


@dataclass(frozen=True)
class PushReport(Report):
    """Result of a push or a dry run.

    Attributes:
        plan: Files to send and to delete.
        commit: Commit of the tag; None for a dry run.
    """

    plan: PushPlan
    commit: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        from theval_datasets.hub.publish import as_plain

        return {**as_plain(self.plan), "dry_run": self.commit is None, "commit": self.commit}

    def table(self) -> list[dict[str, Any]]:
        """One row per file that is sent or deleted."""
        sent = [
            {"file": name, "action": "send", "bytes": file.n_bytes}
            for name, file in self.plan.add.items()
        ]
        gone = [{"file": name, "action": "delete", "bytes": None} for name in self.plan.delete]
        return [*sent, *gone]

    def to_text(self) -> str:
        """For people."""
        plan = self.plan
        seen = "private" if plan.private else "public"
        where = (
            f"new, {seen}" if plan.parent is None else f"{seen}, at {plan.previous or 'nothing'}"
        )
        lines = [f"{plan.info.dataset} {plan.info.version} -> {plan.repo_id} ({where})"]
        if plan.published:
            lines.append(f"  already published: nothing to send, {plan.tag} is set")
        elif plan.committed and not (plan.add or plan.delete):
            lines.append(f"  the files are already there; only the tag {plan.tag} is missing")
        lines += [f"  send   {name} ({file.n_bytes} bytes)" for name, file in plan.add.items()]
        lines += [f"  delete {name}" for name in plan.delete]
        if plan.unchanged:
            lines.append(f"  {len(plan.unchanged)} files are unchanged")
        lines += [f"  note: {note}" for note in plan.notes]
        if self.commit is None and not plan.published:
            size = sum(file.n_bytes for file in plan.add.values())
            lines.append(f"would send {size / 1e6:.2f} MB and set {plan.tag}; nothing was changed")
        else:
            lines.append(f"{plan.tag} is {self.commit or plan.published}")
            lines.append(f'load it: load_dataset("{plan.repo_id}", revision="{plan.tag}")')
        if plan.outlived:
            lines.append(
                f"clips that were taken down may still be available in {', '.join(plan.outlived)} "
                "and in the history. To keep only the newest version, irreversibly, run in Python:"
            )
            lines += [f"  {line}" for line in forgetting(plan.repo_id, plan.tag)]
        return "\n".join(lines)


def forgetting(repo_id: str, tag: str) -> list[str]:
    """Lines of Python that remove all versions of a dataset from the Hub but one."""
    return [
        "from huggingface_hub import HfApi",
        f'api, repo = HfApi(), {{"repo_id": "{repo_id}", "repo_type": "dataset"}}',
        "for ref in api.list_repo_refs(**repo).tags: api.delete_tag(**repo, tag=ref.name)",
        "api.super_squash_history(**repo)",
        f'api.create_tag(**repo, tag="{tag}")',
        "tree = api.list_repo_tree(**repo, recursive=True)",
        'kept = {entry.lfs.sha256 for entry in tree if getattr(entry, "lfs", None)}',
        "unused = [file for file in api.list_lfs_files(**repo) if file.file_oid not in kept]",
        "api.permanently_delete_lfs_files(**repo, lfs_files=unused)",
    ]


def push(
    folder: Folder,
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME")],
    *,
    private: Annotated[bool | None, typer.Option("--private/--public")] = None,
    allow_public_faces: bool = False,
    dry_run: bool = False,
) -> PushReport:
    """Check a built dataset and publish it: one commit, then the tag vX.Y.Z.

    Args:
        folder: Folder of a built dataset, such as ``out/theval/thqa-mt``.
        repo_id: Name of the repository at the Hub, which is created if it does not exist.
        private: Visibility of a new repository. Default: private if the dataset shows people.
        allow_public_faces: Allow media and face embeddings of people in a public repository.
        dry_run: Report what would be sent, without changing anything at the Hub.

    Raises:
        InputError: If the folder is not a built dataset or `repo_id` is not a repository name.
        PublishError: If the dataset does not pass verification, its version is not newer than the
            published one, its tag exists, it would show people publicly, or the Hub refuses.
    """
    from theval_datasets.hub.publish import plan_push, push_release

    folder = Path(folder)
    checked = verify(folder)
    faults = [f"{check.name}: {check.detail}" for check in checked.checks if not check.ok]
    if faults:
        raise PublishError(
            f"{folder} was changed since it was built and is not pushed: {'; '.join(faults)}. "
            "Build it again."
        )
    plan = plan_push(folder, repo_id, private=private, allow_public_faces=allow_public_faces)
    return PushReport(plan) if dry_run else PushReport(plan, push_release(plan))
