"""Files of a release in folders and zip archives, read by name and unpacked safely.

An archive is untrusted input. Before anything is written, these are refused: names that lead out of the
archive, are too long or contradict each other, links, encrypted or too large members, and archives with
an implausible compression ratio. Hidden files and `__MACOSX` folders are skipped.
"""

from __future__ import annotations

import contextlib
import lzma
import shutil
import stat
import struct
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

_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    IndexError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""Exceptions that `zipfile` raises for damaged or unsupported archives."""
LARGEST_MEMBER: Final = 256 << 20
LARGEST_TOTAL: Final = 64 << 30
MOST_MEMBERS: Final = 200_000
MOST_RATIO: Final = 200
_SMALL: Final = 1 << 20
"""Bytes up to which `MOST_RATIO` does not apply."""
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 1024


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a release.

    Attributes:
        name: Path inside its folder or archive, with ``/``.
        path: Path of the file, or of the archive that holds it.
        packed: Whether it is in an archive.
    """

    name: str
    path: Path
    packed: bool

    @property
    def stem(self) -> str:
        """The name without folders and suffix."""
        return PurePosixPath(self.name).stem

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file as a stream of bytes.

        Raises:
            InputError: If it cannot be read, or is damaged.
        """
        with contextlib.ExitStack() as stack:
            try:
                stream: IO[bytes]
                if self.packed:
                    archive = stack.enter_context(zipfile.ZipFile(self.path))
                    stream = stack.enter_context(archive.open(self.name))
                else:
                    stream = stack.enter_context(self.path.open("rb"))
            except _UNREADABLE as error:
                raise self._damaged(error) from None
            try:
                yield stream
            except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
                raise self._damaged(error) from None

    def read(self, limit: int = LARGEST_MEMBER) -> bytes:
        """The file's bytes.

        Raises:
            InputError: If there are more than `limit` bytes, whatever size the archive states, or the
                file cannot be read.
        """
        try:
            with self.open() as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            raise self._damaged(error) from None
        if len(data) > limit:
            raise InputError(f"{self.name} in {self.path.name} has more than {limit} bytes")
        return data

    def _damaged(self, error: BaseException) -> InputError:
        return InputError(f"{self.name} in {self.path.name} cannot be read: {error}")


def files_of(place: Path, suffixes: Collection[str]) -> list[ReleaseFile]:
    """Files with certain suffixes in a folder (with its sub-folders) or a zip; sorted by name.

    Raises:
        InputError, UnsafePathError: If the archive is damaged or unsafe.
    """
    if place.is_dir():
        root = place.resolve()
        files = [
            ReleaseFile(path.relative_to(place).as_posix(), path, False)
            for path in place.rglob("*")
            if path.is_file() and path.resolve().is_relative_to(root)
        ]
    else:
        files = [ReleaseFile(member.filename, place, True) for member in _members(place)]
    return sorted(
        (file for file in files if _is_wanted(file, suffixes)), key=lambda file: file.name
    )


def extract(archive: Path, folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Unpack files with certain suffixes of a zip; files that already exist are not written again.

    Every file is written atomically. Returns their paths below `folder`, sorted by name.

    Raises:
        InputError, UnsafePathError: Before anything is written, if a member is unsafe or the disk has
            no room; later, if a member is damaged.
        StorageError: If the folder cannot be written.
    """
    members = {member.filename: member for member in _members(archive)}
    files = files_of(archive, suffixes)
    paths = {file.name: inside(folder, file.name) for file in files}
    for path in paths.values():
        if path.is_dir():
            raise InputError(f"{path} is a folder, but {archive.name} holds a file of that name")
    missing = [file for file in files if not _is_there(paths[file.name], members[file.name])]
    needed = sum(members[file.name].file_size for file in missing)
    existing = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise InputError(
            f"{archive.name} unpacks to {needed} bytes, but {folder} has room for {free}: "
            "choose a place on another disk"
        )
    with progress(len(missing), f"unpack {archive.name}", unit="file") as bar:
        for file in missing:
            with file.open() as stream, atomic_write(paths[file.name]) as out:
                shutil.copyfileobj(stream, out)
            bar.update()
    return list(paths.values())


def locate(folder: Path, *names: str) -> Path | None:
    """The first folder or zip that exists, by name; ``image`` also stands for ``image.zip``.

    Examples:
        >>> Path("image.zip").touch()
        >>> locate(Path(), "picture", "image").name
        'image.zip'
    """
    for name in names:
        for path in (folder / name, folder / f"{name}.zip"):
            if path.exists():
                return path
    return None


def _is_wanted(file: ReleaseFile, suffixes: Collection[str]) -> bool:
    path = PurePosixPath(file.name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in suffixes and not hidden


def _is_there(path: Path, member: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != member.file_size:
        return False
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum == member.CRC


def _members(path: Path) -> list[zipfile.ZipInfo]:
    """The files in an archive, after checking all members."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            files = [member for member in members if not member.is_dir()]
    except _UNREADABLE as error:
        raise InputError(f"{path.name} is not a zip archive that can be read: {error}") from None
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{path.name} has {len(members)} members; at most {MOST_MEMBERS} are read")
    for fault in _faults(files):
        raise UnsafePathError(f"{path.name}: {fault}; nothing was unpacked")
    total = sum(member.file_size for member in files)
    largest = min(LARGEST_TOTAL, max(_SMALL, MOST_RATIO * path.stat().st_size))
    if total > largest:
        raise InputError(f"{path.name} unpacks to {total} bytes; at most {largest} are read")
    return files


def _faults(files: list[zipfile.ZipInfo]) -> Iterator[str]:
    paths: set[PurePosixPath] = set()
    for member in files:
        name = member.filename
        path = PurePosixPath(name)
        if "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts or ":" in name:
            yield f"the member {name!r} leads out of the archive"
        longest = max((len(part.encode()) for part in path.parts), default=0)
        if not longest or longest > _LONGEST_NAME or len(name.encode()) > _LONGEST_PATH:
            yield (
                f"the member {name[:60]!r}… has a path of {len(name.encode())} bytes and a name of "
                f"{longest}; at most {_LONGEST_PATH} and {_LONGEST_NAME} are possible"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            yield f"the member {name!r} is a link"
        if member.flag_bits & 1:
            yield f"the member {name!r} is encrypted"
        if member.file_size > LARGEST_MEMBER:
            yield f"the member {name!r} has {member.file_size} bytes"
        if member.file_size > max(_SMALL, MOST_RATIO * member.compress_size):
            yield f"the member {name!r} unpacks to {member.file_size} bytes from {member.compress_size}"
        if path in paths:
            yield f"the member {name!r} occurs twice"
        paths.add(path)
    for path in paths:
        for above in path.parents:
            if above in paths:
                yield f"the member {above.as_posix()!r} is a file, and a folder in {path.as_posix()!r}"
