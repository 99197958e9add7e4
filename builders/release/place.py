"""Atomic placement of a release: it is written beside its place and renamed into it."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from theval_datasets.errors import InputError
from theval_datasets.manifest.info import INFO_NAME
from theval_datasets.utils.locks import is_running

_KINDS: Final = ("part", "old", "clips", "scratch")


def check_place(folder: Path, marker: str = INFO_NAME) -> None:
    """Check that a folder is empty, or holds an earlier output that may be replaced.

    Args:
        folder: Folder to write to.
        marker: File by which an earlier output is recognised.

    Raises:
        InputError: The folder holds other files.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"expected a folder, or nothing, at {folder}, got a file")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        kind = "a built dataset" if marker == INFO_NAME else "an earlier export"
        raise InputError(
            f"{folder} holds something that is not {kind} (no {marker}); "
            "it was not changed. Choose another -o, or move it away."
        )


@contextmanager
def put_in_place(folder: Path, marker: str = INFO_NAME) -> Iterator[Path]:
    """A temporary folder for a release, which replaces `folder` at the end.

    After any failure the old release is unchanged, and the temporary folder is removed.

    Args:
        folder: Place of the release.
        marker: File that a release has; see `check_place`.
    """
    old = _own(folder, "old")
    with _beside(folder, "part") as part:
        try:
            yield part
            check_place(folder, marker)
            if folder.exists():
                folder.rename(old)
            try:
                part.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
        finally:
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def scratch_beside(folder: Path, kind: Literal["clips", "scratch"]) -> Iterator[Path]:
    """A temporary folder on the same disk, which is removed at the end.

    Args:
        folder: Folder of the release.
        kind: Purpose of the folder, part of its name.
    """
    with _beside(folder, kind) as place:
        yield place


@contextmanager
def _beside(folder: Path, kind: str) -> Iterator[Path]:
    """A folder of its own beside `folder`, removed at the end with the parents that it alone needed."""
    above = [place for place in folder.parents if not place.exists()]
    place = _own(folder, kind)
    try:
        place.mkdir(parents=True)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        for parent in above:
            with contextlib.suppress(OSError):  # it holds something
                parent.rmdir()


def sweep(folder: Path) -> None:
    """Remove what builds of this dataset left that were killed on this machine."""
    begin = f".{folder.name}.{socket.gethostname()}."
    for path in sorted(folder.parent.glob(f"{glob.escape(begin)}*")):
        process, _, kind = path.name.removeprefix(begin).partition(".")
        if not process.isdigit() or kind not in _KINDS:
            continue
        if int(process) != os.getpid() and is_running(int(process)):
            continue
        if kind == "old" and not folder.exists():
            path.rename(folder)  # killed between the two renames: this was the release
        else:
            shutil.rmtree(path, ignore_errors=True)


def _own(folder: Path, kind: str) -> Path:
    return folder.parent / f".{folder.name}.{socket.gethostname()}.{os.getpid()}.{kind}"
