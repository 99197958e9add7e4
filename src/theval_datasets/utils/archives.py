"""Files of a release in folders and zip archives, read by name; nothing leaves its place.

An archive is untrusted: names that lead out, links, encrypted or too large members and archives
that unpack to far more than they hold are refused before a byte of them is read. What systems leave
beside files (hidden ones, `__MACOSX`) is passed over.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from theval_datasets.errors import InputError, UnsafePathError

from .files import atomic_write, inside
from .progress import progress

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

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """A stream of its bytes.

        Raises:
            InputError: If it cannot be read, or is damaged.
        """
        try:
            if self.packed:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.name) as stream:
                    yield stream
            else:
                with self.path.open("rb") as stream:
                    yield stream
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InputError(f"{self.name} in {self.path.name} cannot be read: {error}") from None

    def read(self, limit: int = LARGEST_MEMBER) -> bytes:
        """Its bytes.

        Raises:
            InputError: If there are more than `limit`, whatever the archive announces.
        """
        try:
            with self.open() as stream:
                found = stream.read(limit + 1)
        except OSError as error:
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
        found = [
            ReleaseFile(path.relative_to(place).as_posix(), path, False)
            for path in place.rglob("*")
            if path.is_file() and path.resolve().is_relative_to(root)
        ]
    else:
        found = [ReleaseFile(member.filename, place, True) for member in _members(place)]
    return sorted((one for one in found if _is_wanted(one, suffixes)), key=lambda one: one.name)


def extract(archive: Path, folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Unpack files with certain suffixes of a zip; what is there already is not written again.

    Every file is written whole or not at all. Returns their paths below `folder`, by name.

    Raises:
        InputError, UnsafePathError: Before anything is written, if a member is not to be trusted
            or the disk has no room.
    """
    members = {one.filename: one for one in _members(archive)}
    files = files_of(archive, suffixes)
    paths = {file.name: inside(folder, file.name) for file in files}
    lacking = [file for file in files if not _is_there(paths[file.name], members[file.name])]
    folder.mkdir(parents=True, exist_ok=True)
    needed = sum(members[file.name].file_size for file in lacking)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{archive.name} unpacks to {needed} bytes, but {folder} has room for {free}: "
            "choose a place on another disk"
        )
    with progress(len(lacking), f"unpack {archive.name}", unit="file") as bar:
        for file in lacking:
            with file.open() as stream, atomic_write(paths[file.name]) as out:
                shutil.copyfileobj(stream, out)
            bar.update()
    return list(paths.values())


def locate(folder: Path, *names: str) -> Path | None:
    """The first of some folders or zips (``image`` also means ``image.zip``) that is there."""
    for name in names:
        for path in (folder / name, folder / f"{name}.zip"):
            if path.exists():
                return path
    return None


def _is_wanted(file: ReleaseFile, suffixes: Collection[str]) -> bool:
    path = PurePosixPath(file.name)
    litter = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in suffixes and not litter


def _is_there(path: Path, member: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != member.file_size:
        return False
    found = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found = zlib.crc32(block, found)
    return found == member.CRC


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
