"""Files of a release in folders and zip archives, read by name; nothing leaves its place.

An archive is untrusted: names that lead out, links, encrypted or too large members and archives
that unpack to far more than they hold are refused before a byte of them is read.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.files import atomic_write, inside

LARGEST_MEMBER: Final = 256 << 20
LARGEST_TOTAL: Final = 64 << 30
MOST_MEMBERS: Final = 200_000
MOST_RATIO: Final = 200
_SMALL: Final = 1 << 20  # members below this may be packed as well as they like


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a release.

    Attributes:
        name: Its path inside its folder or archive, with ``/``.
        path: Its file, or the archive that it is in.
        packed: Whether it is in an archive.
    """

    name: str
    path: Path
    packed: bool

    @property
    def stem(self) -> str:
        """Its name without folders and suffix."""
        return PurePosixPath(self.name).stem

    def read(self, limit: int = LARGEST_MEMBER) -> bytes:
        """Its bytes.

        Raises:
            InputError: If there are more than `limit`, whatever the archive announces.
        """
        try:
            if self.packed:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.name) as stream:
                    found = stream.read(limit + 1)
            else:
                with self.path.open("rb") as stream:
                    found = stream.read(limit + 1)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
            raise InputError(f"{self.name} in {self.path.name} cannot be read: {error}") from None
        if len(found) > limit:
            raise InputError(f"{self.name} in {self.path.name} has more than {limit} bytes")
        return found


def files_of(place: Path, suffixes: Collection[str]) -> list[ReleaseFile]:
    """Files with certain suffixes in a folder (with its sub-folders) or a zip; sorted by name.

    Raises:
        InputError, UnsafePathError: If the archive is damaged or not to be trusted.
    """
    if place.is_dir():
        root = place.resolve()
        return [
            ReleaseFile(path.relative_to(place).as_posix(), path, False)
            for path in sorted(place.rglob("*"))
            if path.suffix.lower() in suffixes
            and path.is_file()
            and path.resolve().is_relative_to(root)
        ]
    found = [
        ReleaseFile(member.filename, place, True)
        for member in _members(place)
        if PurePosixPath(member.filename).suffix.lower() in suffixes
    ]
    return sorted(found, key=lambda file: file.name)


def extract(archive: Path, folder: Path) -> list[Path]:
    """Unpack a zip below a folder; every member whole or not at all.

    Raises:
        InputError, UnsafePathError: Before anything is written, if a member is not to be trusted.
    """
    files = [ReleaseFile(one.filename, archive, True) for one in _members(archive)]
    made = []
    for file in sorted(files, key=lambda one: one.name):
        path = inside(folder, file.name)
        data = file.read()
        with atomic_write(path) as stream:
            stream.write(data)
        made.append(path)
    return made


def locate(folder: Path, *names: str) -> Path | None:
    """The first of some folders or zips (``image`` also means ``image.zip``) that is there."""
    for name in names:
        for path in (folder / name, folder / f"{name}.zip"):
            if path.exists():
                return path
    return None


def _members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path.name} is not a zip archive: {error}") from None
    if len(found) > MOST_MEMBERS:
        raise InputError(f"{path.name} has {len(found)} members; at most {MOST_MEMBERS} are read")
    files = [member for member in found if not member.is_dir()]
    for fault in _faults(files):
        raise UnsafePathError(f"{path.name}: {fault}; nothing of it was unpacked")
    total = sum(member.file_size for member in files)
    if total > LARGEST_TOTAL:
        raise InputError(f"{path.name} unpacks to {total} bytes; at most {LARGEST_TOTAL} are read")
    return files


def _faults(files: list[zipfile.ZipInfo]) -> Iterator[str]:
    seen = set()
    for member in files:
        name = member.filename
        path = PurePosixPath(name)
        if "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts or ":" in name:
            yield f"the member {name!r} leads out of the archive"
        if stat.S_ISLNK(member.external_attr >> 16):
            yield f"the member {name!r} is a link"
        if member.flag_bits & 1:
            yield f"the member {name!r} is encrypted"
        if member.file_size > LARGEST_MEMBER:
            yield f"the member {name!r} has {member.file_size} bytes"
        if member.file_size > max(_SMALL, MOST_RATIO * member.compress_size):
            yield f"the member {name!r} unpacks to {member.file_size} bytes from {member.compress_size}"
        if name in seen:
            yield f"the member {name!r} is there twice"
        seen.add(name)
