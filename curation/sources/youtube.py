"""YouTube: videos, playlists and channels."""

from __future__ import annotations

import functools
import logging
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import available, install_command, require

from .base import SourceFailure, SourceFile
from .fetching.options import FetchOptions, runtimes_here
from .http import Http

_log = logging.getLogger(__name__)

_HOSTS: Final = re.compile(r"(?:.+\.)?(?:youtube\.com|youtu\.be|youtube-nocookie\.com)")


@dataclass(frozen=True)
class Youtube(Http):
    """A video, playlist or channel of YouTube; needs the extra ``[youtube]``.

    Raises:
        InputError: If the address is not one of YouTube's.
    """

    extractors: ClassVar[tuple[str, ...]] = ("youtube.*",)

    def __post_init__(self) -> None:
        if not is_youtube(self.url):
            raise InputError(f"expected an address of YouTube, got {self.url}")

    def items(self) -> Iterator[SourceFile | SourceFailure]:
        """Fetch the videos, after a warning about missing requirements of YouTube."""
        require("yt_dlp", extra="youtube")
        _warn_of_missing_parts(self.options)
        yield from super().items()


def is_youtube(url: str) -> bool:
    """Whether an address is one of YouTube's.

    Examples:
        >>> is_youtube("https://youtu.be/abc"), is_youtube("https://youtube.com.example.org/")
        (True, False)
    """
    return bool(_HOSTS.fullmatch(urllib.parse.urlsplit(url).hostname or ""))


@functools.cache
def _warn_of_missing_parts(options: FetchOptions) -> None:
    """Warn, once per run, about missing requirements of YouTube."""
    runtimes = runtimes_here(options.runtimes())
    if not any(usable for _, usable in runtimes.values()):
        old = "".join(f" ({name} {version} is too old)" for name, (version, _) in runtimes.items())
        _log.warning(
            "no JavaScript runtime was found%s: YouTube hides formats without one. "
            "%s installs deno; node 22 or later works too",
            old,
            install_command("youtube"),
        )
    elif not available("yt_dlp_ejs"):
        _log.warning(
            "yt-dlp-ejs is not installed: YouTube hides formats without it. %s installs it",
            install_command("youtube"),
        )
