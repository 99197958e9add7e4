"""What was fetched and what could not be, source by source: `sources.jsonl` beside the manifest.

The last line about a source counts. A run looks here first, so nothing is fetched twice, and what is
gone is not asked for again unless the user wants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from theval_datasets.manifest.rows import FileStamp, Source
from theval_datasets.utils.jsonl import append_record, read_journal
from theval_datasets.utils.records import Record, Scalar

LEDGER_NAME: Final = "sources.jsonl"


class LedgerEntry(Record, frozen=True):
    """One attempt at a source.

    Attributes:
        name: Stem of its file, and of what is made of it.
        origin: What is known of it; `fetched_at` is when it was tried.
        file: The fetched file, relative to the ledger; None if there is none.
        stamp: Of that file.
        chapters: Start, end and title of each, in seconds.
        facts: Further facts as the site gives them: format, view of the extractor.
        reason: Class of failure; None if it was fetched.
        detail: For people.
    """

    name: str
    origin: Source
    file: str | None = None
    stamp: FileStamp | None = None
    chapters: tuple[Mapping[str, Scalar], ...] = ()
    facts: Mapping[str, Scalar] = msgspec.field(default_factory=dict)
    reason: str | None = None
    detail: str = ""


class Ledger:
    """The ledger of a folder.

    Args:
        folder: Where `sources.jsonl` lies or will lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / LEDGER_NAME
        self._entries = {
            entry.origin.location: entry for entry in read_journal(self._path, LedgerEntry)
        }

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self._entries.values())

    def find(self, url: str) -> LedgerEntry | None:
        """The last entry about an address; None if it was never tried or its file is gone."""
        entry = self._entries.get(url)
        if entry is None or entry.file is None:
            return entry
        try:
            status = (self.folder / entry.file).stat()
        except OSError:
            return None
        unchanged = entry.stamp == FileStamp(status.st_size, status.st_mtime_ns)
        return entry if unchanged else None

    def add(self, entry: LedgerEntry) -> None:
        """Append an entry; it is on the disk when this returns."""
        self._entries[entry.origin.location] = entry
        append_record(self._path, entry)
