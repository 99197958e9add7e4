"""Limits of work: the number of workers, and the time that an item may take."""

from __future__ import annotations

import math
import os
from typing import Final

TIME_LIMIT: Final = 100.0
"""Default limit of the time that work on a file may take, as a multiple of the duration of its media."""
_LEAST_TIME: Final = 1800.0
"""Seconds that work on any file may take, loading of models included."""
_LOW_RATE: Final = 25_000.0
"""Bytes per second of media of a low rate: durations estimated with it are long ones."""


def default_workers() -> int:
    """Number of cores that this process may use.

    Examples:
        >>> default_workers() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def time_allowed(n_bytes: int, factor: float) -> float:
    """Time limit for work on a media file; generous, so that only what hangs exceeds it.

    The duration is estimated from the size of the file, since headers can be wrong.

    Args:
        n_bytes: Size of the file.
        factor: Limit as a multiple of the duration; 0 for no limit.

    Returns:
        Seconds, at least 1800.

    Example:
        >>> time_allowed(0, 100.0), time_allowed(0, 0)
        (1800.0, inf)
    """
    return max(_LEAST_TIME, factor * n_bytes / _LOW_RATE) if factor else math.inf
