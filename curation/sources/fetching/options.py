"""How to fetch, and what that is in yt-dlp's own parameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError

from .waiting import back_off

_log = logging.getLogger(__name__)

SANDBOXED: Final = ("deno", "node")
"""JavaScript runtimes that run YouTube's code without files and network; the first that is here is
taken. yt-dlp knows `quickjs` and `bun` too, which have to be asked for."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch. Given by the user at the command line; never by a manifest or a recipe.

    Attributes:
        max_height: Pixels; the best format up to this height is taken.
        cookies: A file of cookies in Netscape's format.
        cookies_from_browser: A browser to take cookies from, such as ``firefox``, or
            ``firefox:PROFILE``.
        player_client: Which of YouTube's clients to be, with commas, as yt-dlp names them.
        js_runtime: JavaScript runtime for YouTube, as ``NAME`` or ``NAME:PATH``; deno or node if not
            given.
        sleep: Seconds between two videos (up to twice as many, by chance).
        sleep_requests: Seconds between two requests while looking for formats.
        rate_limit: Bytes a second.
        per_hour: Videos an hour; None for no quota. YouTube lets guests have about 300.
        retries: How often a broken or refused request is repeated, with growing pauses.
        max_bytes: The most that one video may have.
        min_seconds: Videos that the site says are shorter are left.
        min_free: Bytes that stay free on the disk.
        allow_private_addresses: Whether addresses of the local network may be fetched from.
        retry: Whether sources that could not be fetched before are tried again.

    Raises:
        InputError: There is no such file of cookies.
    """

    max_height: int = 1080
    cookies: Path | None = None
    cookies_from_browser: str | None = None
    player_client: str | None = None
    js_runtime: str | None = None
    sleep: float = 0.0
    sleep_requests: float = 0.0
    rate_limit: int | None = None
    per_hour: int | None = None
    retries: int = 5
    max_bytes: int = 16 << 30
    min_seconds: float = 0.0
    min_free: int = 1 << 30
    allow_private_addresses: bool = False
    retry: bool = False

    def __post_init__(self) -> None:
        if self.cookies is not None and not self.cookies.is_file():
            raise InputError(f"There is no file of cookies {self.cookies}.")

    def runtimes(self) -> dict[str, dict[str, str]]:
        """JavaScript runtimes to use, each with its path if one was given."""
        if self.js_runtime is None:
            return {name: {} for name in SANDBOXED}
        name, _, path = self.js_runtime.partition(":")
        return {name.lower(): {"path": path} if path else {}}


def parameters(
    options: FetchOptions, *, proxy: str, no_ffmpeg: str, extractors: tuple[str, ...]
) -> dict[str, Any]:
    """What yt-dlp's `YoutubeDL` is made with.

    Args:
        options: The user's.
        proxy: Address of the guard, the only way to the network.
        no_ffmpeg: An empty folder, so that no ffmpeg is found.
        extractors: Which of yt-dlp's extractors may be used, as it names them.
    """
    found: dict[str, Any] = {
        "quiet": True,
        "noprogress": True,
        "no_warnings": False,
        "logger": _Logger(),
        "proxy": proxy,
        "ffmpeg_location": no_ffmpeg,
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "allowed_extractors": list(extractors),
        "extract_flat": "in_playlist",
        "format": _format(),
        "format_sort": [f"res:{options.max_height}", "vcodec:h264", "acodec:aac", "ext:mp4:m4a"],
        "retries": options.retries,
        "fragment_retries": options.retries,
        "extractor_retries": options.retries,
        "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor"), back_off),
        "skip_unavailable_fragments": False,
        "continuedl": True,
        "max_filesize": options.max_bytes,
        "updatetime": False,
        "cachedir": False,
        "socket_timeout": 60,
        "sleep_interval": options.sleep,
        "max_sleep_interval": 2 * options.sleep,
        "sleep_interval_requests": options.sleep_requests,
        "ratelimit": options.rate_limit,
        "js_runtimes": options.runtimes(),
        "remote_components": [],  # nothing that is run is fetched: yt-dlp-ejs comes with the extra
    }
    if options.cookies is not None:
        found["cookiefile"] = str(options.cookies)
    if options.cookies_from_browser is not None:
        browser, _, profile = options.cookies_from_browser.partition(":")
        found["cookiesfrombrowser"] = (browser.lower(), profile or None, None, None)
    if options.player_client is not None:
        clients = [name.strip() for name in options.player_client.split(",") if name.strip()]
        found["extractor_args"] = {"youtube": {"player_client": clients}}
    return found


def runtimes_here(wanted: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, bool]]:
    """The JavaScript runtimes that yt-dlp finds, in its order.

    Args:
        wanted: Name to its path, if one was given; see `FetchOptions.runtimes`.

    Returns:
        Name to version, and whether yt-dlp can use that.

    Raises:
        InputError: yt-dlp knows no such runtime.
    """
    import yt_dlp  # noqa: F401  # registers them
    from yt_dlp.globals import supported_js_runtimes

    known = supported_js_runtimes.value
    found: dict[str, tuple[str, bool]] = {}
    for name, about in wanted.items():
        if name not in known:
            raise InputError(
                f"yt-dlp knows no JavaScript runtime {name!r}; expected one of {', '.join(known)}"
            )
        runtime = known[name](path=about.get("path")).info
        if runtime is not None:
            found[name] = (runtime.version, bool(runtime.supported))
    return found


def _format() -> str:
    """H.264 or VP9 before AV1, and AV1 only if it can be decoded here."""
    plain = "bv*[vcodec!^=av01]+ba/b[vcodec!^=av01]"
    return f"{plain}/bv*+ba/b" if _decodes_av1() else plain


def _decodes_av1() -> bool:
    import av

    try:
        return bool(av.codec.Codec("libdav1d", "r"))  # FFmpeg's own needs a graphics card
    except ValueError:
        return False


class _Logger:
    """yt-dlp's words go to our log; what it calls errors come as exceptions anyway."""

    def debug(self, message: str) -> None:
        _log.debug("%s", message)

    def info(self, message: str) -> None:
        _log.debug("%s", message)

    def warning(self, message: str) -> None:
        _log.info("%s", message)

    def error(self, message: str) -> None:
        _log.info("%s", message)
