"""Suppression of messages that native libraries print to stderr."""

from __future__ import annotations

import os
import sys


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
