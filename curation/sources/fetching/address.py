"""Addresses of sources: which may be fetched, what their files are called, what is known of them."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import Source

_SMUGGLE: Final = "__youtubedl_smuggle"


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


def name_of(url: str, site: str | None = None) -> str:
    """Stem for the files of a source: site and id, or host, path and a hash of the address."""
    if site is not None:
        return re.sub(r"[^\w-]+", "_", site.replace(":", "-", 1))[:100]
    parts = urllib.parse.urlsplit(url)
    stem = parts.path.rstrip("/").rpartition("/")[2].partition(".")[0]
    words = re.sub(r"[^\w-]+", "_", f"{parts.hostname or 'source'}-{stem}", flags=re.ASCII)
    return f"{words[:80].strip('_-')}-{hashlib.sha256(url.encode()).hexdigest()[:10]}"


def origin_of(url: str, info: Mapping[str, Any]) -> Source:
    """What the manifest keeps of a source's metadata, as yt-dlp gives it."""
    extractor = str(info.get("extractor") or "generic")
    day = str(info.get("upload_date") or "")
    generic = extractor.startswith("generic") or "id" not in info
    return Source(
        kind="url",
        location=url,
        site=None if generic else f"{extractor.partition(':')[0]}:{info['id']}",
        title=None if generic else plain_text(info.get("title")),
        channel=plain_text(info.get("channel") or info.get("uploader")),
        license=plain_text(info.get("license")),
        language=plain_text(info.get("language")),
        upload_date=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if re.fullmatch(r"\d{8}", day) else None,
    )


def chapters_of(info: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Start, end and title of each chapter."""
    return tuple(
        {
            "start": chapter.get("start_time"),
            "end": chapter.get("end_time"),
            "title": plain_text(chapter.get("title")),
        }
        for chapter in info.get("chapters") or ()
    )


def plain_text(value: Any) -> str | None:
    """Text of a site, without control characters and not too long."""
    if not isinstance(value, str) or not value:
        return None
    return re.sub(r"[\x00-\x1f\x7f]+", " ", value).strip()[:1000] or None
