"""What a Hub keeps: repositories with commits, branches and tags, and large files by their hash."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Blob:
    """A file of a commit; `sha256` is set if it is a large file, kept apart."""

    data: bytes
    sha256: str | None = None

    @property
    def pointer(self) -> bytes:
        """What git holds of it."""
        if self.sha256 is None:
            return self.data
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
            f"size {len(self.data)}\n"
        ).encode()

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.pointer) + self.pointer).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid

    def plain(self, path: str) -> dict[str, Any]:
        by_name: dict[str, Any] = {
            "type": "file", "path": path, "size": len(self.data), "oid": self.oid,
        }  # fmt: skip
        if self.sha256 is not None:
            size = len(self.pointer)
            by_name["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": size}
        return by_name


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    files: dict[str, Blob]


@dataclass
class Repo:
    """A repository of a dataset."""

    name: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    ever: list[Commit] = field(default_factory=list)

    def add(self, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        parent = self.branches.get(branch)
        parts = [self.name, parent, title, len(self.commits)]
        tree = {path: blob.oid for path, blob in sorted(files.items())}
        oid = hashlib.sha1(json.dumps([parts, tree]).encode()).hexdigest()
        commit = Commit(oid, parent, title, files)
        self.commits[oid] = commit
        self.branches[branch] = oid
        self.ever.append(commit)
        return commit

    def squash(self, branch: str, title: str) -> None:
        """One commit is left of a branch; those before a tag stay."""
        files = self.commits[self.branches.pop(branch)].files
        self.add(branch, title, files)
        reached: set[str] = set()
        for oid in (*self.branches.values(), *self.tags.values()):
            at: str | None = oid
            while at is not None and at not in reached:
                reached.add(at)
                at = self.commits[at].parent
        self.commits = {oid: item for oid, item in self.commits.items() if oid in reached}

    def at(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag or an id."""
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(oid)

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]


@dataclass
class Store:
    """All of it.

    Attributes:
        repos: By their names.
        large: Uploaded large files by SHA-256, in a commit or not yet.
        lfs_names: Which files are large.
        loses: Paths that a commit leaves out silently, as a faulty server would.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    lfs_names: re.Pattern[str] = re.compile(r"\.(parquet|png|mp4|wav|glb)$")
    loses: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create(self, name: str, *, private: bool = False) -> Repo:
        repo = Repo(name, private)
        repo.add("main", "initial commit", {".gitattributes": Blob(b"*.parquet filter=lfs\n")})
        self.repos[name] = repo
        return repo

    def commit(self, repo: Repo, branch: str, lines: list[dict[str, Any]]) -> Commit:
        """Apply the operations of a commit; all or none.

        Raises:
            StaleError: If the header names another parent than the branch's head.
            ValueError: For a large file that was never uploaded, or an unknown operation.
        """
        header = lines[0]["value"]
        head = repo.commits[repo.branches[branch]]
        if header.get("parentCommit") not in (None, head.oid):
            raise StaleError
        files = dict(head.files)
        for line in lines[1:]:
            value = line["value"]
            path = value["path"]
            if path in self.loses:
                continue
            if line["key"] == "file":
                import base64

                files[path] = Blob(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if len(self.large.get(value["oid"], b"")) != value["size"]:
                    raise ValueError(f"{path} was not uploaded")
                files[path] = Blob(self.large[value["oid"]], value["oid"])
            elif line["key"] == "deletedFile":
                del files[path]
            else:
                raise ValueError(line["key"])
        return repo.add(branch, header["summary"], files)


class StaleError(Exception):
    """Somebody else was faster."""


def tree(files: dict[str, Blob], below: str, recursive: bool) -> list[dict[str, Any]] | None:
    """Entries below a folder, folders included; None if there is no such folder."""
    prefix = f"{below}/" if below else ""
    inside = {p: b for p, b in files.items() if p.startswith(prefix)}
    if below and not inside:
        return None
    by_name: dict[str, dict[str, Any]] = {}
    for path, blob in sorted(inside.items()):
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts)):
            folder = prefix + "/".join(parts[:depth])
            if recursive or depth == 1:
                by_name.setdefault(folder, folder_entry(folder))
        if recursive or len(parts) == 1:
            by_name[path] = blob.plain(path)
    return list(by_name.values())


def folder_entry(path: str) -> dict[str, Any]:
    oid = hashlib.sha1(path.encode()).hexdigest()
    return {"type": "directory", "path": path, "oid": oid, "size": 0}


def card_data(files: dict[str, Blob]) -> dict[str, Any]:
    """The YAML at the top of the card."""
    text = files["README.md"].data.decode() if "README.md" in files else ""
    result = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return yaml.safe_load(result[1]) if result else {}
