"""Classes of failures to fetch a source: few and stable, so that statistics stay comparable."""

from __future__ import annotations

import re
from typing import Final

TRANSIENT: Final = frozenset({"network", "rate-limited", "bot-check", "no-space", "not-yet"})
"""Temporary reasons, after which another attempt may succeed; the others are permanent."""

_BOT_CHECK: Final = re.compile(
    r"not a bot|captcha|unusual traffic|cloudflare anti-bot", re.IGNORECASE
)
_BY_MESSAGE: Final = tuple(
    (reason, re.compile(pattern, re.IGNORECASE))
    for reason, pattern in (
        ("age", r"confirm your age|age.restricted|inappropriate for some users"),
        ("region", r"(in|from) your (country|region|location)|geo.?restrict|not available in"),
        (
            "private",
            r"private video|members.only|join this channel|requires? payment|log.?in|sign in",
        ),
        ("not-yet", r"premieres? in|will begin in|has not started|is upcoming"),
        ("live", r"live (event|stream)|is live|currently live"),
        ("removed", r"unavailable|removed|deleted|terminated|no longer available|does not exist"),
        (
            "no-format",
            r"requested format|no video formats|drm protected|no formats|no suitable extractor|unsupported url|ffmpeg could not",
        ),
        (
            "network",
            r"timed? ?out|connection|temporary failure|name or service|incomplete|ssl|\d+ bytes read",
        ),
    )
)
_BY_STATUS: Final = {
    401: "private",
    403: "private",
    404: "removed",
    407: "network",
    408: "network",
    410: "removed",
    425: "network",
    429: "rate-limited",
    451: "region",
}


def reason_of(error: BaseException, status: int | None) -> str:
    """The class of a failure.

    Args:
        error: Exception of yt-dlp.
        status: HTTP status of the answer behind it, if there was one.

    Examples:
        >>> reason_of(OSError("timed out"), None), reason_of(OSError("not there"), 404)
        ('network', 'removed')
    """
    kind = type(_innermost(error)).__name__
    if kind == "GeoRestrictedError":
        return "region"
    if kind == "UnsupportedError":
        return "no-format"
    message = str(error)
    if _BOT_CHECK.search(message):
        return "bot-check"
    if status is not None:
        return _BY_STATUS.get(status, "network" if status >= 500 else "unknown")
    for reason, pattern in _BY_MESSAGE:
        if pattern.search(message):
            return reason
    return "network" if isinstance(_innermost(error), OSError) else "unknown"


def _innermost(error: BaseException) -> BaseException:
    """The exception inside yt-dlp's DownloadError."""
    wrapped = getattr(error, "exc_info", None)
    if wrapped and isinstance(wrapped[1], BaseException) and wrapped[1] is not error:
        return _innermost(wrapped[1])
    return error


def status_of(error: BaseException) -> tuple[int | None, str | None]:
    """HTTP status and `Retry-After` of the answer behind an error, if there was one.

    For a lost segment yt-dlp keeps only the message, which is therefore read last.

    Examples:
        >>> status_of(ValueError("HTTP Error 403: Forbidden"))
        (403, None)
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        status = getattr(current, "status", None)
        if isinstance(status, int):
            headers = getattr(getattr(current, "response", None), "headers", None)
            return status, headers.get("Retry-After") if headers is not None else None
        wrapped = getattr(current, "exc_info", None)
        waiting += [
            wrapped[1] if wrapped else None,
            getattr(current, "cause", None),
            current.__cause__,
            current.__context__,
        ]
    message = re.search(r"HTTP Error (\d{3})\b", str(error))
    return (int(message[1]) if message else None), None
