"""Standard output for results alone, and standard error without the messages of native libraries."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def silence_native_chatter() -> None:
    """Discard writes to file descriptor 2, and keep Python's own stderr.

    MediaPipe, TensorFlow Lite and decord print messages there that no user can act on. The environment
    variable `THEVAL_NATIVE_LOGS` keeps them, for debugging native code.
    """
    if os.environ.get("THEVAL_NATIVE_LOGS"):
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


@contextmanager
def results_only() -> Iterator[None]:
    """Redirect standard output to standard error within the block.

    Standard output is for a command's result, which may be JSON. Ray, torch and native libraries may
    print there, also past Python's own stream.
    """
    sys.stdout.flush()
    with contextlib.ExitStack() as undo, contextlib.redirect_stdout(sys.stderr):
        with contextlib.suppress(OSError):  # where a descriptor is closed nothing can be printed
            saved = os.dup(1)
            undo.callback(os.close, saved)
            os.dup2(2, 1)
            undo.callback(os.dup2, saved, 1)
        yield
