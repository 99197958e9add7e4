"""Keeps what native libraries print to stderr out of the user's sight."""

from __future__ import annotations

import os
import sys


def silence_native_chatter() -> None:
    """Send file descriptor 2 to nowhere, and Python's own stderr where it went before.

    MediaPipe, TensorFlow Lite and decord write there what no user can act on. `THEVAL_NATIVE_LOGS`
    keeps it, for those who look for a crash in native code.
    """
    if os.environ.get("THEVAL_NATIVE_LOGS"):
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
