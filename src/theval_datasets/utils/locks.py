"""Locks of output folders, so that one command at a time writes to a folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import filelock

from theval_datasets.errors import InputError

from .files import write_text

LOCK_NAME: Final = ".lock"
_HOLDER_NAME: Final = ".lock.json"


@contextmanager
def locked(folder: Path, command: str) -> Iterator[None]:
    """Hold the lock of an output folder, which is created if needed.

    The operating system releases the lock of a process that dies, so no lock outlives its holder.

    Args:
        folder: Output folder.
        command: Name of the command, for the error messages of others.

    Raises:
        InputError: Another process holds the lock (the message names it), or the folder cannot be
            written to.
    """
    created = not folder.exists()
    lock = filelock.FileLock(folder / LOCK_NAME, timeout=0)
    holder = folder / _HOLDER_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        about = {
            "command": command,
            "host": platform.node(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_text(holder, json.dumps(about) + "\n")
    except filelock.Timeout:
        raise InputError(
            f"{folder} is being written to by {_holder(holder)}. Wait for it to end, or name "
            "another folder with -o."
        ) from None
    except OSError as error:
        lock.release()
        raise InputError(f"{folder} cannot be written to: {error.strerror or error}") from None
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        if created and {path.name for path in folder.iterdir()} <= {LOCK_NAME}:
            with contextlib.suppress(OSError):
                (folder / LOCK_NAME).unlink(missing_ok=True)
                folder.rmdir()
        lock.release()


def _holder(path: Path) -> str:
    """Description of the process that holds a lock."""
    try:
        about: Any = json.loads(path.read_bytes())
        return f"{about['command']} (process {about['pid']} on {about['host']}, since {about['since']})"
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "another process"


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine.

    Examples:
        >>> is_running(os.getpid())
        True
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
