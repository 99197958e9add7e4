"""Addresses that serve media: plain files, HLS and DASH, pages that yt-dlp supports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from .base import SourceFailure, SourceFile, SourceReader
from .fetching.fetch import Fetcher
from .fetching.options import FetchOptions


@dataclass(frozen=True)
class Http(SourceReader):
    """The videos at an http(s) address; needs the extra ``[youtube]``.

    Attributes:
        url: The address.
        folder: Folder of the manifest; fetched files go to its `sources/`.
        options: Options of fetching.
    """

    url: str
    folder: Path
    options: FetchOptions = field(default_factory=FetchOptions)

    extractors: ClassVar[tuple[str, ...]] = ("default",)

    def items(self) -> Iterator[SourceFile | SourceFailure]:
        """Fetch the videos at the address one after another."""
        with Fetcher(self.folder, self.options, self.extractors) as fetcher:
            for entry in fetcher.fetch(self.url):
                group = (entry.origin.site or "http").partition(":")[0]
                if entry.file is None:
                    reason = entry.reason or "unknown"
                    yield SourceFailure(entry.name, group, entry.origin, reason, entry.detail)
                else:
                    path = self.folder / entry.file
                    yield SourceFile(path, path.name, group, entry.origin)
