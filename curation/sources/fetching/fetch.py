"""Downloads through yt-dlp's Python API; every failure becomes an entry with a reason.

yt-dlp runs without ffmpeg, and connects to the network through the guard only. Separate streams of
picture and sound are joined here, from local files.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from msgspec.structs import replace

from theval_datasets.errors import InputError, MediaError, StorageError, UnsafePathError
from theval_datasets.manifest.rows import FileStamp, Source
from theval_datasets.utils.files import sha256_file, storage_error
from theval_datasets.utils.optional import require

from .address import chapters_of, check_url, name_of, origin_of, plain_text
from .guard import Guard, is_public
from .join import join_streams, suffix_of
from .ledger import Ledger, LedgerEntry
from .options import FetchOptions, parameters
from .reasons import reason_of, status_of
from .waiting import pause_before, pause_for_quota

_log = logging.getLogger(__name__)

FETCHED: Final = "sources"
_PROTOCOLS: Final = frozenset({"http", "https", "m3u8", "m3u8_native", "http_dash_segments"})
_LOOKUP_BYTES: Final = 128 << 20
"""Maximum size of pages and playlists in bytes, since yt-dlp holds them in memory."""
_ENOUGH: Final = 5
"""Number of consecutive bot checks after which a site gets no further requests."""
_FAILURES: Final = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""Exceptions of yt-dlp's extractors, besides its own, when a site has changed."""


class Fetcher:
    """Fetches sources into a folder; use it as a context manager.

    Args:
        folder: Folder of the manifest: files go to its `sources/`, entries to its `sources.jsonl`.
        options: Options of the user.
        extractors: Names of the allowed extractors of yt-dlp.
        allowed: Predicate of IP addresses to which connections are allowed; if None, the options decide.
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
        self._bot_checks: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._guard)
        nothing = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="theval-no-ffmpeg-"))
        given = parameters(
            self._options,
            proxy=self._guard.url,
            no_ffmpeg=nothing,
            extractors=self._extractors,
        )
        try:
            ydl = self._yt_dlp.YoutubeDL(given, auto_init="no_verbose_header")
            _ = ydl.cookiejar  # read cookies now, not at the first request
        except self._yt_dlp.utils.YoutubeDLError as error:
            self._stack.close()
            cause: BaseException = error
            while cause.__context__ is not None:
                cause = cause.__context__
            raise InputError(f"the cookies cannot be read: {_plain(cause)}") from None
        self._ydl = self._stack.enter_context(ydl)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fetch(self, url: str) -> Iterator[LedgerEntry]:
        """Fetch an address: one entry for a video, an entry per video of a playlist or channel.

        Raises:
            UnsafePathError: The address may not be fetched.
        """
        url = check_url(url)
        known = self._known(url)
        if known is not None:
            yield known
            return
        yield from self._fetch(url, depth=0)

    def _fetch(self, url: str, depth: int) -> Iterator[LedgerEntry]:
        if self._bot_checks[_site(url)] >= _ENOUGH:
            detail = f"not requested: the last {_ENOUGH} requests met a bot check"
            yield self._gone(url, "bot-check", detail)
            return
        name = name_of(url)
        info = self._patiently(
            url, name, lambda: self._ydl.extract_info(url, download=False), limit=_LOOKUP_BYTES
        )
        if isinstance(info, LedgerEntry):
            yield info
        elif info.get("_type") in ("playlist", "multi_video"):
            yield from self._entries(info, depth)
        else:
            yield self._video(url, info)

    def _entries(self, playlist: Mapping[str, Any], depth: int) -> Iterator[LedgerEntry]:
        """Entries of a playlist; a channel is a playlist of playlists."""
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
                url = check_url(url)
                known = self._known(url)
            except UnsafePathError as error:
                yield self._gone(url or name_of(str(item.get("id"))), "unsafe", str(error))
                continue
            if known is not None:
                yield known
            elif self._is_short(item):
                yield self._short(url, item)
            elif "formats" in item:
                yield self._video(url, item)
            else:
                yield from self._fetch(url, depth + 1)

    def _known(self, url: str) -> LedgerEntry | None:
        entry = self._ledger.find(url)
        if entry is None or (entry.reason is not None and self._options.retry):
            return None
        if entry.reason == "no-space":
            return None  # earlier versions recorded a full disk as the source's failure
        if entry.reason == "too-short" and not self._is_short(entry.facts):
            return None  # the minimum was higher in that run
        if entry.reason == "private-address":
            return None  # refused because of the options, which may have changed
        return entry

    def _is_short(self, about: Mapping[str, Any]) -> bool:
        """Whether the site lists a video as too short."""
        length = about.get("duration")
        return isinstance(length, (int, float)) and length < self._options.min_seconds

    def _short(self, url: str, info: Mapping[str, Any]) -> LedgerEntry:
        length = info["duration"]
        detail = f"expected at least {self._options.min_seconds:g} s, got {length:g} s"
        return self._gone(url, "too-short", detail, origin_of(url, info), {"duration": length})

    def _video(self, url: str, info: Mapping[str, Any]) -> LedgerEntry:
        """Download a video whose metadata is known."""
        origin = origin_of(url, info)
        name = name_of(url, origin.site)
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
            return self._gone(url, "live", "it is a live stream", origin)
        if self._is_short(info):
            return self._short(url, info)
        formats = list(info.get("requested_formats") or [info])
        strange = {str(stream.get("protocol")) for stream in formats} - _PROTOCOLS
        if strange:
            return self._gone(
                url, "no-format", f"only available over {', '.join(sorted(strange))}", origin
            )
        self._check_room(name, formats)
        self._pace()
        done = self._patiently(
            url,
            name,
            lambda: self._download(name, info, formats),
            origin,
            limit=self._options.max_bytes,
        )
        if isinstance(done, LedgerEntry):
            return done
        path: Path = done
        status = path.stat()
        entry = LedgerEntry(
            name=name,
            origin=replace(origin, sha256=sha256_file(path), fetched_at=_now()),
            file=path.relative_to(self._folder).as_posix(),
            stamp=FileStamp(status.st_size, status.st_mtime_ns),
            chapters=chapters_of(info),
            facts={
                "format": plain_text(info.get("format_id")),
                "site_name": plain_text(info.get("title")),
            },
        )
        self._ledger.add(entry)
        del self._bot_checks[_site(url)]
        return entry

    def _download(
        self, name: str, info: Mapping[str, Any], formats: list[Mapping[str, Any]]
    ) -> Path:
        """Download all streams of a video, and join them in `sources/`."""
        folder = self._folder / FETCHED
        parts = folder / ".parts"
        parts.mkdir(parents=True, exist_ok=True)
        files = []
        for number, stream_format in enumerate(formats):
            part = parts / f"{name}.{number}.stream"
            request = {k: v for k, v in info.items() if k != "requested_formats"} | dict(
                stream_format
            )
            complete, _ = self._ydl.dl(str(part), request)
            if not complete or not part.is_file():
                raise OSError(f"{name} was received incompletely")
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
        """Run an action on the network, and repeat it after a pause where that may help.

        Args:
            url: Address of the source.
            name: Name of the source in messages.
            action: Action to run.
            origin: Known metadata.
            limit: Maximum number of received bytes.

        Returns:
            The result of the action, or an entry with the reason of its failure.
        """
        attempt = 0
        while True:
            self._guard.start(limit)
            try:
                return action()
            except (self._yt_dlp.utils.YoutubeDLError, MediaError, *_FAILURES) as error:
                if fault := storage_error(error, self._folder / FETCHED):
                    raise fault from None
                status, retry_after = status_of(error)
                if self._guard.refused:
                    detail = f"{self._guard.refused[0]}; allow it with --allow-private-addresses"
                    return self._gone(url, "private-address", detail, origin)
                if self._guard.exceeded:
                    return self._gone(url, "too-large", f"larger than {limit} bytes", origin)
                reason = error.reason if isinstance(error, MediaError) else reason_of(error, status)
                attempt += 1
                if reason == "rate-limited" and attempt <= self._options.retries:
                    pause = pause_before(attempt, retry_after)
                    _log.warning("%s requested a pause; continuing in %.0f s", name, pause)
                    time.sleep(pause)
                    continue
                return self._gone(url, reason, _plain(error), origin)

    def _gone(
        self,
        url: str,
        reason: str,
        detail: str,
        origin: Source | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> LedgerEntry:
        known = replace(origin or Source(kind="url", location=url), fetched_at=_now())
        name = name_of(url, known.site)
        entry = LedgerEntry(name, known, reason=reason, detail=detail[:500], facts=facts or {})
        self._ledger.add(entry)
        _log.info("%s: %s (%s)", url, reason, entry.detail)
        if reason == "bot-check":
            site = _site(url)
            self._bot_checks[site] += 1
            if self._bot_checks[site] == _ENOUGH:
                _log.warning(
                    "%s detected automated access; no further requests in this run. Try --retry after "
                    "some hours, with --cookies-from-browser, --sleep or --per-hour",
                    site,
                )
        return entry

    def _check_room(self, name: str, formats: list[Mapping[str, Any]]) -> None:
        """Raise if a download would fill the disk, which is not the source's fault.

        Raises:
            StorageError: Less space would stay free than the options require.
        """
        needed = sum(
            stream.get("filesize") or stream.get("filesize_approx") or 0 for stream in formats
        )
        existing = next(p for p in [self._folder, *self._folder.parents] if p.exists())
        free = shutil.disk_usage(existing).free
        if free - needed < self._options.min_free:
            raise StorageError(
                f"{self._folder / FETCHED} has {free:,} bytes free, but {name} needs {needed:,} and "
                f"{self._options.min_free:,} have to stay free. Free some space or name another place, "
                "then run the same command again to continue."
            )

    def _pace(self) -> None:
        """Wait until the hour's quota allows another video."""
        quota = self._options.per_hour
        while quota and (
            pause := pause_for_quota((entry.origin.fetched_at for entry in self._ledger), quota)
        ):
            _log.warning("quota of %d videos per hour reached; continuing in %.0f s", quota, pause)
            time.sleep(pause)


def _site(url: str) -> str:
    """Host of an address."""
    return urllib.parse.urlsplit(url).netloc


def _plain(error: BaseException) -> str:
    """Message of an error, without colours, tracebacks and the advice to report a bug."""
    words = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("; please report this issue")[0]
    return " ".join(words.removeprefix("ERROR: ").split()) or type(error).__name__


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
