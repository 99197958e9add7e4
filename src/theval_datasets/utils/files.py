"""Atomic writes, hashes, and paths confined to a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from theval_datasets.errors import StorageError, UnsafePathError

_NAME_LENGTH: Final = 120
_NAME_BYTES: Final = 180
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_STORAGE: Final = _FULL | {errno.EROFS, errno.EIO}
"""Error numbers that mean a fault of the storage."""
_IN_WORDS: Final = re.compile(
    rf"\[Errno ({'|'.join(str(number) for number in sorted(_STORAGE))})\]"
    "|No space left on device|Disk quota exceeded|Read-only file system|File too large"
)
_LONGEST_NAME: Final = 255
"""Longest file name of common file systems, in bytes."""


def storage_error(error: BaseException | str, place: Path) -> StorageError | None:
    """The `StorageError` for an error that the storage caused; None for any other error.

    Args:
        error: An exception, which is examined with its causes, or the message of a program.
        place: File or folder that was being written.

    Examples:
        >>> storage_error(ValueError("not a number"), Path("out"))
        >>> storage_error(OSError(28, "No space left on device"), Path("out")).__class__.__name__
        'StorageError'
    """
    if isinstance(error, str):
        return _full(place, error) if _IN_WORDS.search(error) else None
    seen: list[BaseException] = []
    rest: list[BaseException | None] = [error]
    while rest:
        cause = rest.pop()
        if cause is None or any(cause is other for other in seen):
            continue
        seen.append(cause)
        if isinstance(cause, StorageError):
            return cause
        number = cause.errno if isinstance(cause, OSError) else None
        if number in _STORAGE or (number is None and _IN_WORDS.search(str(cause))):
            return _full(place, getattr(cause, "strerror", None) or str(cause))
        wrapped = getattr(cause, "exc_info", None)
        rest += [wrapped[1] if wrapped else None, cause.__cause__, cause.__context__]
    return None


def disk_fault(error: Exception) -> StorageError | None:
    """The error that ends a run, if work on an item failed because a disk is full or read-only.

    Other errors of reading and writing, such as a file with damaged blocks, belong to the item.

    Example:
        >>> disk_fault(OSError(5, "Input/output error"))
        >>> disk_fault(OSError(30, "Read-only file system", "out/a")).__class__.__name__
        'StorageError'
    """
    if isinstance(error, StorageError):
        return error
    if isinstance(error, OSError) and error.errno in _FULL | {errno.EROFS}:
        return storage_error(error, Path(str(error.filename2 or error.filename or ".")))
    return None


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn errors in a block that the storage caused into a `StorageError` that names `place`.

    Raises:
        StorageError: If the place is full or read-only.
    """
    try:
        yield
    except Exception as error:
        if fault := storage_error(error, place):
            raise fault from None
        raise


def _full(place: Path, reason: str | None) -> StorageError:
    folder = next((parent for parent in (place, *place.parents) if parent.is_dir()), Path())
    free = shutil.disk_usage(folder).free
    return StorageError(
        f"{place} cannot be written: {' '.join(str(reason).split())[:200]} ({free:,} bytes are free in "
        f"{folder}). Free some space or name another place, then run the same command again to continue."
    )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` for a new file, renamed to `path` when the block succeeds.

    A reader sees the old file or the complete new one, never a part; a crash leaves the old one. Two
    writers never share a temporary file, and its name is short whatever the target's is. It has the
    suffix of `path`, for programs that depend on it.

    Raises:
        StorageError: If the place is full, read-only or may not be written.

    Examples:
        >>> with atomic_path(Path("out/table.csv")) as part:
        ...     _ = part.write_text("a,b")
        >>> Path("out/table.csv").read_text()
        'a,b'
    """
    suffix = path.suffix if len(path.suffix) <= 8 else ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=suffix)
    except OSError as error:
        raise _unwritable(path, error) from None
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("r+b") as stream:
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())
        try:
            part.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from None
    except OSError as error:
        if fault := storage_error(error, path):
            raise fault from None
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return storage_error(error, path) or StorageError(
        f"{path} cannot be written: {error.strerror or error}. Name another place, or change its "
        "permissions."
    )


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A stream of bytes that becomes the file `path` when the block succeeds; see `atomic_path`.

    Raises:
        StorageError: If the place is full, read-only or may not be written.

    Examples:
        >>> with atomic_write(Path("out/table.csv")) as stream:
        ...     _ = stream.write(b"a,b")
        >>> Path("out/table.csv").read_text()
        'a,b'
    """
    with atomic_path(path) as part, part.open("wb") as stream:
        yield stream


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file at `target` atomically: a hard link where that works, else a copy.

    Raises:
        OSError: The source cannot be read, or the disk is full.
        StorageError: The target's folder cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-")
    except OSError as error:
        raise _unwritable(target, error) from None
    with temporary as folder:
        part = Path(folder, "file")
        try:
            part.hardlink_to(source.resolve())
        except OSError:
            shutil.copy2(source, part)
        if target.exists() and target.samefile(part):
            return  # renaming one link of a file over another leaves both
        part.replace(target)


def remove_inside(root: Path, relative: str) -> bool:
    """Remove the file `relative` below `root`; of a link, the link itself, never its target.

    Args:
        root: Folder that the path may not leave.
        relative: Untrusted path, with ``/`` between its parts.

    Returns:
        Whether the file existed.

    Raises:
        UnsafePathError: For a path that leads out of the root, also through a linked folder.

    Examples:
        >>> Path("a.mp4").touch()
        >>> remove_inside(Path(), "a.mp4"), remove_inside(Path(), "a.mp4")
        (True, False)
    """
    name = Path(relative).name
    parent = inside(root, str(Path(relative).parent))
    if not name or "\0" in name or ".." in Path(relative).parts:
        raise UnsafePathError(f"expected a file below {root}, got {relative!r}")
    target = parent / name
    if not target.is_symlink() and not target.is_file():
        return False
    target.unlink()
    return True


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_write(path) as stream:
        stream.write(text.encode())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks.

    Examples:
        >>> sha256_file(Path(os.devnull))[:8]
        'e3b0c442'
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values, equal bytes. Refuses NaN.

    Examples:
        >>> canonical_json({"b": 1, "a": [True, None]})
        '{"a":[true,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a value's canonical JSON.

    Examples:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def inside(root: Path, relative: str) -> Path:
    """The path `relative` below `root`, refusing any path that leads out of it.

    Args:
        root: Folder that the path may not leave.
        relative: Untrusted path, with ``/`` between its parts.

    Raises:
        UnsafePathError: For an absolute path, ``..``, a NUL, a name that no file system holds, or a
            link that leads out or round.

    Examples:
        >>> inside(Path("/data"), "clips/a.mp4").as_posix()
        '/data/clips/a.mp4'
    """
    if "\0" in relative or not relative or Path(relative).is_absolute():
        raise UnsafePathError(f"expected a path below {root}, got {relative!r}")
    try:
        longest = max(len(part.encode()) for part in relative.split("/"))
        base = root.resolve()
        target = (base / relative).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UnsafePathError(f"{relative!r} below {root} is not a path: {error}") from None
    if longest > _LONGEST_NAME:
        raise UnsafePathError(
            f"{relative[:60]!r}… has a name of {longest} bytes; at most {_LONGEST_NAME} are possible"
        )
    if not target.is_relative_to(base) or ".." in Path(relative).parts:
        raise UnsafePathError(f"{relative!r} leads out of {root}; only paths below it are opened")
    return base / relative


def safe_name(text: str) -> str:
    """`text` as a file or clip name, independent of the Unicode form of its accents.

    Composed (NFC). Letters, digits and marks of any script, ``._-`` and ``/`` are kept, every run of
    other characters becomes ``_``. Each part has at most 120 characters and 180 bytes of UTF-8,
    so that a suffix fits a file system's 255.

    Examples:
        >>> safe_name("cafe\u0301: a clip?")
        'caf\u00e9_a_clip'
    """
    parts = [
        _safe_part(part)[:_NAME_LENGTH] for part in unicodedata.normalize("NFC", text).split("/")
    ]
    return "/".join(part.encode()[:_NAME_BYTES].decode(errors="ignore") for part in parts)


def _safe_part(text: str) -> str:
    kept = "".join(c if c in "._-" or c.isalnum() or _is_mark(c) else " " for c in text)
    return re.sub(" +", "_", kept).strip("._") or "_"


def _is_mark(character: str) -> bool:
    """Whether a character belongs to the letter before it, as vowel signs of Indic scripts do."""
    return unicodedata.category(character).startswith("M")
