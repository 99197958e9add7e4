"""YouTube: videos, playlists and channels."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import ClassVar, Final

from theval_datasets.curation.sources.http import Http
from theval_datasets.errors import InputError

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
            raise InputError(f"{self.url} is no address of YouTube.")


def is_youtube(url: str) -> bool:
    """Whether an address is one of YouTube's."""
    return bool(_HOSTS.fullmatch(urllib.parse.urlsplit(url).hostname or ""))
