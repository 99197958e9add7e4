"""Files that take long to make, made once for all processes of a test run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """A path, once something is there: the first process that asks makes it, others wait for that.

    Locks, and marks of what is whole, lie in a folder beside that of the path.

    Args:
        path: Of the file or folder to make.
        make: Makes it at the path that it is given.
    """
    marks = path.parent.with_name(f"{path.parent.name}-made")
    marks.mkdir(exist_ok=True)
    whole = marks / path.name
    if not whole.exists():
        with FileLock(f"{whole}.lock"):
            if not whole.exists():
                make(path)
                whole.touch()
    return path
