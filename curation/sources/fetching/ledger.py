"""Log of fetched and failed sources: `sources.jsonl` beside the manifest.

The last line of a source counts. A run reads the log first, so that nothing is fetched twice, and dead
sources are not requested again unless the user asks for it.
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
    """An attempt to fetch a source.

    Attributes:
        name: Stem of its file and of derived files.
        origin: Known metadata; `fetched_at` is the time of the attempt.
        file: Fetched file, relative to the folder of the log; None if there is none.
        stamp: Size and modification time of the file.
        chapters: Start and end (in seconds) and title of each chapter.
        facts: Further facts from the site, such as the format.
        reason: Class of failure; None if it was fetched.
        detail: Explanation of the failure.
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
        folder: Folder of `sources.jsonl`.
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
        """The last entry of an address; None if it was never tried or its file is missing."""
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
