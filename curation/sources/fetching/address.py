"""Addresses of sources: checks, file names, metadata of their sites."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import Source

_SMUGGLE: Final = "__youtubedl_smuggle"
_UNPLAIN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\ud800-\udfff\\]")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_url(url: str) -> str:
    """Check an address, and normalise its scheme and host.

    Hosts are normalised to lower case and ASCII (IDNA), without percent-escapes and trailing dot, IPv4
    addresses to four decimal parts; path and query are unchanged.

    Raises:
        UnsafePathError: It is not http(s), has a user part, no valid host or port, or carries options
            for yt-dlp.

    Examples:
        >>> check_url("https://Example.COM./a?b=C")
        'https://example.com/a?b=C'
        >>> check_url("http://0x7f.1/")
        'http://127.0.0.1/'
    """
    if _SMUGGLE in url or _UNPLAIN.search(url):
        raise UnsafePathError(f"{url!r} is not a plain address")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UnsafePathError(f"expected an http(s) address, got {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnsafePathError(f"expected an http(s) address, got {url!r}")
    if "@" in parts.netloc:
        raise UnsafePathError(
            f"the address at {parts.hostname} has a user part, which would be written to the manifest: "
            "leave it out, and give what the site needs with --cookies"
        )
    host = _normal_host(parts.hostname)
    if host is None:
        raise UnsafePathError(f"{parts.hostname!r} in {url!r} is not the name or address of a host")
    netloc = host if port is None else f"{host}:{port}"
    _, _, rest = url.partition("://")
    return f"{parts.scheme}://{netloc}{rest[len(parts.netloc) :]}"


def _normal_host(host: str) -> str | None:
    """Normalised name or address of a host; None if it is neither."""
    if ":" in host:  # IPv6, without the brackets, which urlsplit removes
        try:
            return f"[{ipaddress.IPv6Address(host)}]" if "%" not in host else None
        except ValueError:
            return None
    try:
        name = urllib.parse.unquote(host, errors="strict").encode("idna").decode().lower()
    except (UnicodeError, ValueError):
        return None
    labels = name.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(name) > 253:
        return None
    if _NUMBER.fullmatch(labels[-1]):  # no top-level domain is a number: an IPv4 address or invalid
        try:
            return socket.inet_ntoa(socket.inet_aton(".".join(labels)))
        except OSError:
            return None
    return ".".join(labels)


def name_of(url: str, site: str | None = None) -> str:
    """Stem of a source's files: site and id, or host, path and a hash of the address.

    Examples:
        >>> name_of("https://youtu.be/abc", site="youtube:abc")
        'youtube-abc'
        >>> name_of("https://example.com/talks/one.mp4")
        'example_com-one-4594384900'
    """
    if site is not None:
        return re.sub(r"[^\w-]+", "_", site.replace(":", "-", 1))[:100]
    parts = urllib.parse.urlsplit(url)
    stem = parts.path.rstrip("/").rpartition("/")[2].partition(".")[0]
    words = re.sub(r"[^\w-]+", "_", f"{parts.hostname or 'source'}-{stem}", flags=re.ASCII)
    return f"{words[:80].strip('_-')}-{hashlib.sha256(url.encode()).hexdigest()[:10]}"


def origin_of(url: str, info: Mapping[str, Any]) -> Source:
    """The part of yt-dlp's metadata of a source that the manifest keeps.

    Examples:
        >>> origin_of("https://example.com/a", {"extractor": "vimeo", "id": "7"}).site
        'vimeo:7'
    """
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
    """Start, end and title of each chapter.

    Examples:
        >>> chapters_of({"chapters": [{"start_time": 0, "end_time": 9.5, "title": "Intro"}]})
        ({'start': 0, 'end': 9.5, 'title': 'Intro'},)
    """
    return tuple(
        {
            "start": chapter.get("start_time"),
            "end": chapter.get("end_time"),
            "title": plain_text(chapter.get("title")),
        }
        for chapter in info.get("chapters") or ()
    )


def plain_text(value: Any) -> str | None:
    """Text from a site, without control characters, of at most 1,000 characters.

    Examples:
        >>> plain_text("A\\ttitle ")
        'A title'
    """
    if not isinstance(value, str) or not value:
        return None
    return re.sub(r"[\x00-\x1f\x7f]+", " ", value).strip()[:1000] or None
