"""Fetching through yt-dlp's Python API: listing, formats, resuming, waiting; every failure is data.

yt-dlp gets no ffmpeg and no way to the network but the guard. Streams that come apart are joined
here, from local files.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import logging
import re
import shutil
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from theval_datasets.curation.sources._guard import Guard, is_public
from theval_datasets.curation.sources._join import join_streams, suffix_of
from theval_datasets.curation.sources._ledger import Entry, Ledger
from theval_datasets.curation.sources._reasons import reason_of, status_of
from theval_datasets.errors import InputError, MediaError, UnsafePathError
from theval_datasets.files import sha256_file
from theval_datasets.manifest import FileStamp, Source
from theval_datasets.optional import require

_log = logging.getLogger(__name__)

FETCHED: Final = "sources"
_PROTOCOLS: Final = frozenset({"http", "https", "m3u8", "m3u8_native", "http_dash_segments"})
_LONGEST_WAIT: Final = 600.0
_HOUR: Final = 3600.0
_LOOKUP_BYTES: Final = 128 << 20
"""What pages and playlists may have: yt-dlp holds them in memory."""
_SMUGGLE: Final = "__youtubedl_smuggle"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch. Given by the user at the command line; never by a manifest or a recipe.

    Attributes:
        max_height: Pixels; the best format up to this height is taken.
        cookies: A file of cookies in Netscape's format.
        cookies_from_browser: A browser to take cookies from, such as ``firefox``.
        player_client: Which of YouTube's clients to be.
        sleep: Seconds between two videos (up to twice as many, by chance).
        sleep_requests: Seconds between two requests while looking for formats.
        rate_limit: Bytes a second.
        per_hour: Videos an hour; None for no quota. YouTube lets guests have about 300.
        retries: How often a broken or refused request is repeated, with growing pauses.
        max_bytes: The most that one video may have.
        min_free: Bytes that stay free on the disk.
        allow_private_addresses: Whether addresses of the local network may be fetched from.
        retry: Whether sources that could not be fetched before are tried again.
    """

    max_height: int = 1080
    cookies: Path | None = None
    cookies_from_browser: str | None = None
    player_client: str | None = None
    sleep: float = 0.0
    sleep_requests: float = 0.0
    rate_limit: int | None = None
    per_hour: int | None = None
    retries: int = 5
    max_bytes: int = 16 << 30
    min_free: int = 1 << 30
    allow_private_addresses: bool = False
    retry: bool = False


def check_url(url: str) -> str:
    """The address, if it is one that may be fetched.

    Raises:
        UnsafePathError: It is not http(s), or carries something for yt-dlp itself.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnsafePathError(f"expected an http(s) address, got {url!r}")
    if _SMUGGLE in url or any(ord(char) < 33 for char in url):
        raise UnsafePathError(f"{url!r} is not a plain address")
    return url


class Fetcher:
    """Fetches sources into a folder; use it as a context manager.

    Args:
        folder: The manifest's folder: files go to `sources/` in it, what is known of them to
            `sources.jsonl`.
        options: How to go about it.
        extractors: Which of yt-dlp's extractors may be used, as it names them.
        allowed: Says of an IP address whether it may be connected to; by the options if None.
    """

    def __init__(
        self,
        folder: Path,
        options: FetchOptions,
        extractors: tuple[str, ...] = ("default",),
        *,
        allowed: Any = None,
    ) -> None:
        self._yt_dlp = require("yt_dlp", extra="youtube")
        self._folder = folder
        self._options = options
        self._ledger = Ledger(folder)
        self._guard = Guard(
            allowed or ((lambda _: True) if options.allow_private_addresses else is_public)
        )
        self._extractors = extractors
        self._stack = contextlib.ExitStack()
        self._ydl: Any = None

    def __enter__(self) -> Self:
        self._stack.enter_context(self._guard)
        nothing = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="theval-no-ffmpeg-"))
        self._ydl = self._stack.enter_context(
            self._yt_dlp.YoutubeDL(self._parameters(nothing), auto_init="no_verbose_header")
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def fetch(self, url: str) -> Iterator[Entry]:
        """Fetch an address: one entry for a video, one for each of a playlist or channel.

        Raises:
            UnsafePathError: The address may not be fetched.
        """
        known = self._known(check_url(url))
        if known is not None:
            yield known
            return
        yield from self._fetch(url, depth=0)

    def _fetch(self, url: str, depth: int) -> Iterator[Entry]:
        name = name_of(url)
        found = self._patiently(
            url, name, lambda: self._ydl.extract_info(url, download=False), limit=_LOOKUP_BYTES
        )
        if isinstance(found, Entry):
            yield found
        elif found.get("_type") in ("playlist", "multi_video"):
            yield from self._entries(found, depth)
        else:
            yield self._video(url, found)

    def _entries(self, playlist: Mapping[str, Any], depth: int) -> Iterator[Entry]:
        """What a playlist holds; channels hold playlists."""
        if depth > 3:
            return
        for item in playlist.get("entries") or ():
            if item is None:
                continue
            if item.get("_type") == "playlist":
                yield from self._entries(item, depth + 1)
                continue
            url = str(item.get("webpage_url") or item.get("url") or "")
            try:
                known = self._known(check_url(url))
            except UnsafePathError as error:
                yield self._gone(url or name_of(str(item.get("id"))), "unsafe", str(error))
                continue
            if known is not None:
                yield known
            elif "formats" in item:
                yield self._video(url, item)
            else:
                yield from self._fetch(url, depth + 1)

    def _known(self, url: str) -> Entry | None:
        entry = self._ledger.find(url)
        if entry is None or (entry.reason is not None and self._options.retry):
            return None
        return entry

    def _video(self, url: str, info: Mapping[str, Any]) -> Entry:
        """Download one video that was looked up."""
        origin = origin_of(url, info)
        name = name_of(url, origin.site)
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
            return self._gone(url, "live", "it is live", origin)
        formats = list(info.get("requested_formats") or [info])
        strange = {str(one.get("protocol")) for one in formats} - _PROTOCOLS
        if strange:
            return self._gone(url, "no-format", f"only by {', '.join(sorted(strange))}", origin)
        if not self._has_room(formats):
            return self._gone(url, "no-space", f"less than {self._options.min_free} B free", origin)
        self._pace()
        done = self._patiently(
            url,
            name,
            lambda: self._download(name, info, formats),
            origin,
            limit=self._options.max_bytes,
        )
        if isinstance(done, Entry):
            return done
        path: Path = done
        status = path.stat()
        entry = Entry(
            name=name,
            origin=replace(origin, sha256=sha256_file(path), fetched_at=_now()),
            file=path.relative_to(self._folder).as_posix(),
            stamp=FileStamp(status.st_size, status.st_mtime_ns),
            chapters=_chapters(info),
            facts={"format": _text(info.get("format_id")), "site_name": _text(info.get("title"))},
        )
        self._ledger.add(entry)
        return entry

    def _download(
        self, name: str, info: Mapping[str, Any], formats: list[Mapping[str, Any]]
    ) -> Path:
        """All streams of a video, joined, in `sources/`."""
        folder = self._folder / FETCHED
        parts = folder / ".parts"
        parts.mkdir(parents=True, exist_ok=True)
        files = []
        for number, one in enumerate(formats):
            part = parts / f"{name}.{number}.stream"
            wanted = {k: v for k, v in info.items() if k != "requested_formats"} | dict(one)
            complete, _ = self._ydl.dl(str(part), wanted)
            if not complete or not part.is_file():
                raise OSError(f"{name} came incomplete")
            files.append(part)
        if len(files) == 1:
            target = folder / f"{name}{suffix_of(files[0])}"
            files[0].replace(target)
        else:
            target = join_streams(files, folder / name)
            for part in files:
                part.unlink()
        return target

    def _patiently(
        self, url: str, name: str, action: Any, origin: Source | None = None, *, limit: int
    ) -> Any:
        """Do something at the network; again after a pause where that may help.

        Args:
            url: What it is about.
            name: The same for people.
            action: What to do.
            origin: What is known of it.
            limit: The most bytes that may come.

        Returns:
            What the action gave, or an entry that says what is wrong.
        """
        attempt = 0
        while True:
            self._guard.start(limit)
            try:
                return action()
            except (self._yt_dlp.utils.YoutubeDLError, MediaError, *_FAILURES) as error:
                status, retry_after = status_of(error)
                if self._guard.refused:
                    return self._gone(url, "private-address", self._guard.refused[0], origin)
                if self._guard.exceeded:
                    return self._gone(url, "too-large", f"more than {limit} B", origin)
                reason = error.reason if isinstance(error, MediaError) else reason_of(error, status)
                attempt += 1
                if reason == "rate-limited" and attempt <= self._options.retries:
                    pause = _pause(retry_after, attempt)
                    _log.warning("%s wants us to wait; going on in %.0f s", name, pause)
                    time.sleep(pause)
                    continue
                return self._gone(url, reason, _plain(error), origin)

    def _gone(self, url: str, reason: str, detail: str, origin: Source | None = None) -> Entry:
        known = replace(origin or Source(kind="url", location=url), fetched_at=_now())
        entry = Entry(name_of(url, known.site), known, reason=reason, detail=detail[:500])
        self._ledger.add(entry)
        _log.info("%s: %s (%s)", url, reason, entry.detail)
        return entry

    def _has_room(self, formats: list[Mapping[str, Any]]) -> bool:
        sizes = [one.get("filesize") or one.get("filesize_approx") or 0 for one in formats]
        existing = next(p for p in [self._folder, *self._folder.parents] if p.exists())
        return shutil.disk_usage(existing).free - sum(sizes) >= self._options.min_free

    def _pace(self) -> None:
        """Wait until the hour's quota allows another video."""
        quota = self._options.per_hour
        while quota:
            now = time.time()
            times = sorted(
                when
                for entry in self._ledger
                if entry.origin.fetched_at
                for when in [datetime.fromisoformat(entry.origin.fetched_at).timestamp()]
                if when > now - _HOUR
            )
            if len(times) < quota:
                return
            pause = max(1.0, times[-quota] + _HOUR - now)
            _log.warning("%d videos in this hour; going on in %.0f s", len(times), pause)
            time.sleep(pause)

    def _parameters(self, no_ffmpeg: str) -> dict[str, Any]:
        options = self._options
        parameters: dict[str, Any] = {
            "quiet": True,
            "noprogress": True,
            "no_warnings": False,
            "logger": _Logger(),
            "proxy": self._guard.url,
            "ffmpeg_location": no_ffmpeg,
            "external_downloader": {"default": "native"},
            "hls_prefer_native": True,
            "allowed_extractors": list(self._extractors),
            "extract_flat": "in_playlist",
            "format": _format(),
            "format_sort": [
                f"res:{options.max_height}",
                "vcodec:h264",
                "acodec:aac",
                "ext:mp4:m4a",
            ],
            "check_formats": None,
            "retries": options.retries,
            "fragment_retries": options.retries,
            "extractor_retries": options.retries,
            "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor"), _back_off),
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
            "js_runtimes": {"deno": {"path": deno} if (deno := _deno()) else {}},
        }
        if options.cookies is not None:
            if not options.cookies.is_file():
                raise InputError(f"There is no file of cookies {options.cookies}.")
            parameters["cookiefile"] = str(options.cookies)
        if options.cookies_from_browser is not None:
            parameters["cookiesfrombrowser"] = (options.cookies_from_browser,)
        if options.player_client is not None:
            client = {"player_client": [options.player_client]}
            parameters["extractor_args"] = {"youtube": client}
        return parameters


_FAILURES: Final = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""What extractors raise besides yt-dlp's own errors when a site is not as they think."""


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


def name_of(url: str, site: str | None = None) -> str:
    """Stem for the files of a source: site and id, or host, path and a hash of the address."""
    if site is not None:
        return re.sub(r"[^\w-]+", "_", site.replace(":", "-", 1))[:100]
    parts = urllib.parse.urlsplit(url)
    stem = parts.path.rstrip("/").rpartition("/")[2].partition(".")[0]
    words = re.sub(r"[^\w-]+", "_", f"{parts.hostname or 'source'}-{stem}", flags=re.ASCII)
    return f"{words[:80].strip('_-')}-{hashlib.sha256(url.encode()).hexdigest()[:10]}"


def origin_of(url: str, info: Mapping[str, Any]) -> Source:
    """What the manifest keeps of a source's metadata."""
    extractor = str(info.get("extractor") or "generic")
    day = str(info.get("upload_date") or "")
    generic = extractor.startswith("generic") or "id" not in info
    return Source(
        kind="url",
        location=url,
        site=None if generic else f"{extractor.partition(':')[0]}:{info['id']}",
        title=None if generic else _text(info.get("title")),
        channel=_text(info.get("channel") or info.get("uploader")),
        license=_text(info.get("license")),
        language=_text(info.get("language")),
        upload_date=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if re.fullmatch(r"\d{8}", day) else None,
    )


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


def _deno() -> str | None:
    """The JavaScript runtime that YouTube's extractor needs, if its package is installed."""
    found = shutil.which("deno")
    if found:
        return found
    import sysconfig

    beside = Path(sysconfig.get_path("scripts")) / "deno"
    return str(beside) if beside.is_file() else None


def _chapters(info: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "start": chapter.get("start_time"),
            "end": chapter.get("end_time"),
            "title": _text(chapter.get("title")),
        }
        for chapter in info.get("chapters") or ()
    )


def _text(value: Any) -> str | None:
    """Text of a site, without control characters and not too long."""
    if not isinstance(value, str) or not value:
        return None
    return re.sub(r"[\x00-\x1f\x7f]+", " ", value).strip()[:1000] or None


def _back_off(n: int) -> float:
    """Seconds before the try after the `n`-th (from 0), as yt-dlp asks for them."""
    return min(60.0, 0.5 * 2.0**n)


def _pause(retry_after: str | None, attempt: int) -> float:
    """Seconds to wait, by the server's wish or growing."""
    wish: float | None = None
    if retry_after is not None:
        if retry_after.strip().isdecimal():
            wish = float(retry_after)
        else:
            with contextlib.suppress(ValueError):
                wish = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    return min(_LONGEST_WAIT, max(0.0, _back_off(attempt + 1) if wish is None else wish))


def _plain(error: BaseException) -> str:
    """An error's own words, without colours, tracebacks and the advice to file a bug."""
    words = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("; please report this issue")[0]
    return " ".join(words.removeprefix("ERROR: ").split()) or type(error).__name__


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
