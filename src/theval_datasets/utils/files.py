"""Files written whole or not at all, hashes, and paths that stay where they belong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from theval_datasets.errors import UnsafePathError


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` and rename it into place when the block ends well.

    A reader sees the old file or the whole new one, never a part; a crash leaves the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """An empty file of a name that nobody else has, in the folder of `target` and with its suffix.

    For programs that write to a path. Rename it to `target` once it is complete; what is still there
    when the block ends is removed. The name does not grow with that of `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-", suffix=target.suffix[:16])
    os.fchmod(handle, 0o666 & ~_umask())
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def remove_inside(root: Path, relative: str) -> bool:
    """Remove the file `relative` below `root`; a link is removed itself, never what it points to.

    Args:
        root: The folder to stay in.
        relative: An untrusted path, with ``/`` between its parts.

    Returns:
        Whether there was one.

    Raises:
        UnsafePathError: For a path that leads out of the root, also through a linked folder.
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
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values, equal bytes. Refuses NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def digest(value: Any) -> str:
    """Hex SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def inside(root: Path, relative: str) -> Path:
    """The path `relative` below `root`, refusing anything that leads out of it.

    Args:
        root: The folder to stay in.
        relative: An untrusted path, with ``/`` between its parts.

    Raises:
        UnsafePathError: For an absolute path, ``..``, a NUL, or a link that leads out.
    """
    if "\0" in relative or not relative or Path(relative).is_absolute():
        raise UnsafePathError(f"expected a path below {root}, got {relative!r}")
    base = root.resolve()
    target = (base / relative).resolve()
    if not target.is_relative_to(base) or ".." in Path(relative).parts:
        raise UnsafePathError(f"{relative!r} leads out of {root}; only paths below it are opened")
    return base / relative


def safe_name(text: str, *, limit: int = 120) -> str:
    """`text` as a file or clip name: letters, digits, ``._-`` and ``/`` kept, the rest becomes ``_``."""
    parts = [re.sub(r"[^\w.\-]+", "_", part).strip("._") or "_" for part in text.split("/")]
    return "/".join(part[:limit] for part in parts)
