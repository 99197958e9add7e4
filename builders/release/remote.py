"""Releases behind URLs: an object store has no renaming, so `info.json` comes last and makes a release.

Nothing that a store holds is replaced: a file that is there is kept if its bytes are the same, so that a
build that was interrupted goes on, and else it ends the build.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from theval_datasets.errors import InputError
from theval_datasets.manifest.info import INFO_NAME, read_info
from theval_datasets.utils.files import inside, sha256_file
from theval_datasets.utils.stores import Location, RemotePath, spool_folder


def put_release(folder: Path, target: RemotePath) -> None:
    """Store the files of a release, `info.json` last.

    Args:
        folder: Folder of the release on this machine.
        target: Its place.

    Raises:
        InputError: There is another file in the place of one of them.
        StorageError: The store cannot be written to.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: path == folder / INFO_NAME):
        _put(path, target / path.relative_to(folder).as_posix())


def _put(file: Path, target: RemotePath) -> None:
    def there() -> bool:
        try:
            with target.open() as stream:
                stored = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            return False
        if stored != sha256_file(file):
            raise InputError(
                f"{target} is there already and is another file than that of this build; it was not "
                "changed. Name another -o, or remove it."
            )
        return True

    target.create(file, there)


@contextmanager
def local_release(folder: Location) -> Iterator[tuple[Path, frozenset[str]]]:
    """The folder of a release on this machine, and the files of its place that it does not list.

    A release behind a URL is copied into a temporary folder: `info.json`, and the files that it lists.

    Raises:
        InputError: It is not a built dataset.
        UnsafePathError: It lists a path that leads out of the folder.
    """
    if isinstance(folder, Path):
        yield folder, frozenset()
        return
    with spool_folder() as copy:
        try:
            (folder / INFO_NAME).download(copy / INFO_NAME)
        except FileNotFoundError as error:
            raise InputError(
                f"{folder} is not a built dataset: it has no {INFO_NAME} ({error})"
            ) from None
        listed = read_info(copy).files
        stored = folder.below()
        for name in listed:
            file = inside(copy, name)
            if name in stored:
                file.parent.mkdir(parents=True, exist_ok=True)
                (folder / name).download(file)
        yield copy, frozenset(stored) - set(listed) - {INFO_NAME}


def transfer_folder(target: RemotePath) -> RemotePath:
    """A place beside a release for shards on their way from other machines, which is this process's own."""
    name = PurePosixPath(target.name).name
    return target.parent / f".{name}.{socket.gethostname()}.{os.getpid()}.shards"
