"""Files and folders on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.manifest.rows import Source as Origin

from .base import SourceFailure, SourceFile, SourceReader

VIDEO: Final = frozenset([
    ".3gp", ".avi", ".dv", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
])  # fmt: skip
STILL: Final = frozenset([".bmp", ".jpeg", ".jpg", ".png", ".webp"])
AUDIO: Final = frozenset([".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"])
SUFFIXES: Final = VIDEO | STILL | AUDIO
"""Suffixes of media files; the content is checked when a file is opened."""


@dataclass(frozen=True)
class Local(SourceReader):
    """Media files below a folder, or one file.

    Files with a suffix of video, stills or sound are taken, whatever their content: a still is a clip of
    one frame, and sound alone is rejected with that reason. A folder's other files, hidden files and
    linked folders are skipped and counted.

    Attributes:
        place: File or folder.
        root: Folder that has to hold all local sources; if None, any place is allowed and locations are
            left empty.
        leave_out: Folders that are not searched, such as the output folder.

    Raises:
        InputError: If there is no such file or folder.
        UnsafePathError: If it is outside the root.
    """

    place: Path
    root: Path | None = None
    leave_out: Sequence[Path] = ()
    _others: Counter[str] = field(default_factory=Counter, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.place.exists():
            raise InputError(f"there is no file or folder {self.place}")
        if self.root is not None and not _below(self.place, self.root):
            raise UnsafePathError(
                f"{self.place} is not below the root {self.root}; name a root that holds all sources"
            )

    def items(self) -> Iterator[SourceFile | SourceFailure]:
        """The files, sorted by path."""
        base = self.place.resolve()
        group = base.name or "root"
        if self.place.is_file():
            yield self._item(self.place, self.place.name, base.parent.name or "root")
            return
        yield from self._walk(self.place, group)

    def skipped(self) -> dict[str, int]:
        """Number of other files by suffix, of hidden files and linked folders, once `items` has ended."""
        return dict(sorted(self._others.items()))

    def _walk(self, folder: Path, group: str) -> Iterator[SourceFile | SourceFailure]:
        try:
            inside = sorted(folder.iterdir(), key=lambda path: path.name)
        except OSError as error:
            name = folder.relative_to(self.place).as_posix()
            yield _gone(name, group, "unreadable", error.strerror or str(error))
            return
        for path in inside:
            if path.name.startswith("."):
                self._others["hidden"] += 1
            elif path.is_dir():
                if path.is_symlink():
                    self._others["linked folder"] += 1
                elif path.resolve() not in self.leave_out:
                    yield from self._walk(path, group)
            elif path.suffix.lower() in SUFFIXES:
                yield self._item(path, path.relative_to(self.place).as_posix(), group)
            else:
                self._others[_shown(path.suffix.lower() or path.name)] += 1

    def _item(self, path: Path, name: str, group: str) -> SourceFile | SourceFailure:
        if _shown(name) != name:
            return _gone(name, group, "bad-name", "its name is not Unicode text; rename it")
        if self.root is None:
            return SourceFile(path, name, group, Origin(kind="local", location=""))
        if not _below(path, self.root):
            detail = f"it is a link to a file that is not below the root {self.root}"
            return _gone(name, group, "outside-root", detail)
        location = path.absolute().relative_to(self.root.absolute()).as_posix()
        return SourceFile(path, name, group, Origin(kind="local", location=location))


def files_below(folder: Path, suffixes: Container[str]) -> list[Path]:
    """Files of some suffixes that `Local` takes in a folder: neither hidden ones nor those of linked folders.

    Args:
        folder: Folder to search.
        suffixes: Suffixes in small letters, such as `VIDEO`.

    Raises:
        InputError: A folder in it cannot be read, the name of a file is not text, or a file is a broken
            link or no ordinary file.

    Examples:
        >>> for name in ("b.mp4", "a.MP4", ".hidden.mp4", "notes.txt"):
        ...     Path(name).touch()
        >>> [path.name for path in files_below(Path(), VIDEO)]
        ['a.MP4', 'b.mp4']
    """
    paths = []
    for item in Local(folder).items():
        if isinstance(item, SourceFailure):
            raise InputError(f"{folder / item.name} cannot be read: {item.detail}")
        if item.path.suffix.lower() in suffixes:
            if not item.path.is_file():
                raise InputError(f"{item.path} is a broken link or no ordinary file; move it away")
            paths.append(item.path)
    return paths


def _gone(name: str, group: str, reason: str, detail: str) -> SourceFailure:
    name = _shown(name)
    return SourceFailure(name, group, Origin(kind="local", location=name), reason, detail)


def _shown(name: str) -> str:
    """A file's name as text that can be encoded, whatever its bytes."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _below(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())
