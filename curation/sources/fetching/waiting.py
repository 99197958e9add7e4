"""Lengths of pauses: before another attempt, at a server's request, for the hourly quota."""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Final

_LONGEST: Final = 600.0
_HOUR: Final = 3600.0


def back_off(n: int) -> float:
    """Seconds to wait after the `n`-th failed attempt (from 0), in the form that yt-dlp expects.

    Examples:
        >>> [back_off(n) for n in (0, 1, 2, 10)]
        [0.5, 1.0, 2.0, 60.0]
    """
    return min(60.0, 0.5 * 2.0**n)


def pause_before(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait: as requested by the server (`Retry-After`), or growing with each attempt.

    Examples:
        >>> pause_before(0, None), pause_before(0, "7"), pause_before(0, "86400")
        (1.0, 7.0, 600.0)
    """
    wish: float | None = None
    if retry_after is not None:
        if retry_after.strip().isdecimal():
            wish = float(retry_after)
        else:
            with contextlib.suppress(ValueError):
                wish = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    return min(_LONGEST, max(0.0, back_off(attempt + 1) if wish is None else wish))


def pause_for_quota(fetched_at: Iterable[str | None], per_hour: int) -> float:
    """Seconds until another video may be fetched.

    Args:
        fetched_at: Times of earlier attempts, ISO 8601.
        per_hour: Maximum number of attempts per hour.

    Examples:
        >>> pause_for_quota(["2020-01-01T00:00:00+00:00", None], per_hour=1)
        0.0
    """
    now = time.time()
    tried = [datetime.fromisoformat(when).timestamp() for when in fetched_at if when]
    recent = sorted(when for when in tried if when > now - _HOUR)
    if len(recent) < per_hour:
        return 0.0
    return max(1.0, recent[-per_hour] + _HOUR - now)
