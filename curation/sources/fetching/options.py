"""Options of fetching, and their translation to parameters of yt-dlp."""

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
"""JavaScript runtimes that run YouTube's code without access to files and network; the first installed
one is used. yt-dlp also supports `quickjs` and `bun`, which have to be named."""


_LOWEST: Final[Mapping[str, float]] = {
    "max_height": 16,
    "max_bytes": 1,
    "min_free": 0,
    "min_seconds": 0,
    "per_hour": 1,
    "rate_limit": 1,
    "retries": 0,
    "sleep": 0,
    "sleep_requests": 0,
}


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Options of fetching, given by the user at the command line, never by a manifest or a recipe.

    Attributes:
        retry: Try again to fetch sources that failed before.
        max_height: Maximum video height in pixels; the best format up to it is chosen.
        per_hour: Maximum number of videos per hour; YouTube allows guests about 300. Default: no
            limit.
        sleep: Pause between two videos in seconds, randomly extended to up to twice as long.
        sleep_requests: Pause between two requests for formats in seconds.
        retries: Number of repetitions of a broken or refused request, with growing pauses.
        rate_limit: Maximum download speed in bytes per second. Default: no limit.
        max_bytes: Maximum size of a video in bytes.
        cookies: File of cookies in Netscape format.
        cookies_from_browser: Browser whose cookies are used, such as ``firefox``.
        player_client: YouTube clients to identify as, separated by commas, by their names in yt-dlp.
        js_runtime: JavaScript runtime for YouTube. Default: deno, or node 22 or later.
        allow_private_addresses: Allow addresses of the local network.
        min_seconds: Minimum length in seconds; videos that the site lists as shorter are not fetched.
        min_free: Minimum free disk space in bytes.

    Raises:
        InputError: There is no such file of cookies, or a number is too small.
    """

    retry: bool = False
    max_height: int = 1080
    per_hour: int | None = None
    sleep: float = 0.0
    sleep_requests: float = 0.0
    retries: int = 5
    rate_limit: int | None = None
    max_bytes: int = 16 << 30
    cookies: Path | None = None
    cookies_from_browser: str | None = None
    player_client: str | None = None
    js_runtime: str | None = None
    allow_private_addresses: bool = False
    min_seconds: float = 0.0
    min_free: int = 1 << 30

    def __post_init__(self) -> None:
        if self.cookies is not None and not self.cookies.is_file():
            raise InputError(f"there is no file of cookies {self.cookies}")
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and not value >= lowest:
                raise InputError(f"expected {name} of at least {lowest}, got {value}")

    def runtimes(self) -> dict[str, dict[str, str]]:
        """JavaScript runtimes to use, each with its path if one was given."""
        if self.js_runtime is None:
            return {name: {} for name in SANDBOXED}
        name, _, path = self.js_runtime.partition(":")
        return {name.lower(): {"path": path} if path else {}}


def parameters(
    options: FetchOptions, *, proxy: str, no_ffmpeg: str, extractors: tuple[str, ...]
) -> dict[str, Any]:
    """Parameters of yt-dlp's `YoutubeDL`.

    Args:
        options: Options of the user.
        proxy: Address of the guard, through which all connections go.
        no_ffmpeg: Empty folder, in place of the folder of ffmpeg.
        extractors: Names of the allowed extractors of yt-dlp.
    """
    given: dict[str, Any] = {
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
        "remote_components": [],  # no code is downloaded: the extra installs yt-dlp-ejs
    }
    if options.cookies is not None:
        given["cookiefile"] = str(options.cookies)
    if options.cookies_from_browser is not None:
        browser, _, profile = options.cookies_from_browser.partition(":")
        given["cookiesfrombrowser"] = (browser.lower(), profile or None, None, None)
    if options.player_client is not None:
        clients = [name.strip() for name in options.player_client.split(",") if name.strip()]
        given["extractor_args"] = {"youtube": {"player_client": clients}}
    return given


def runtimes_here(wanted: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, bool]]:
    """The JavaScript runtimes that yt-dlp finds, in its order.

    Args:
        wanted: Options by name of the runtime, such as its path; see `FetchOptions.runtimes`.

    Returns:
        Version by name of the runtime, and whether yt-dlp supports it.

    Raises:
        InputError: yt-dlp does not support such a runtime.
    """
    import yt_dlp  # noqa: F401  # registers them
    from yt_dlp.globals import supported_js_runtimes

    known = supported_js_runtimes.value
    installed: dict[str, tuple[str, bool]] = {}
    for name, about in wanted.items():
        if name not in known:
            raise InputError(
                f"expected a JavaScript runtime of yt-dlp ({', '.join(known)}), got {name!r}"
            )
        runtime = known[name](path=about.get("path")).info
        if runtime is not None:
            installed[name] = (runtime.version, bool(runtime.supported))
    return installed


def _format() -> str:
    """H.264 or VP9 before AV1, and AV1 only if it can be decoded here."""
    plain = "bv*[vcodec!^=av01]+ba/b[vcodec!^=av01]"
    return f"{plain}/bv*+ba/b" if _decodes_av1() else plain


def _decodes_av1() -> bool:
    import av

    try:
        return bool(av.codec.Codec("libdav1d", "r"))  # FFmpeg's native decoder needs a GPU
    except ValueError:
        return False


class _Logger:
    """Forwards yt-dlp's messages to our log; errors are raised as exceptions anyway."""

    def debug(self, message: str) -> None:
        _log.debug("%s", message)

    def info(self, message: str) -> None:
        _log.debug("%s", message)

    def warning(self, message: str) -> None:
        _log.info("%s", message)

    def error(self, message: str) -> None:
        _log.info("%s", message)
