"""The results of a rebuild, one per row: kept in `rebuild.jsonl`, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import FileStamp, ManifestRow
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import digest, inside
from theval_datasets.utils.jsonl import write_records
from theval_datasets.utils.records import Record, to_plain

from ..clips.files import stamp

REPORT_NAME: Final = "rebuild.jsonl"

Status = Literal["identical", "equivalent", "changed", "gone", "taken-down"]


class RebuildResult(Record, frozen=True):
    """How near a clip that was made again comes to what its row lists.

    Attributes:
        clip_id: Its name.
        status: How near.
        reason: Slug, for `changed` and `gone`.
        detail: The same in words.
        frames: Share of differing bits of the pictures' hashes, 0 to 1, where they were compared.
        audio: The same of the sounds.
        row: Hash of the row that it was made by.
        sha256: Of the clip that was made.
        stamp: Of that file.
        path: That file, relative to the output.
        media: Measured facts of that file.
    """

    clip_id: str
    status: Status
    reason: str | None = None
    detail: str = ""
    frames: float | None = None
    audio: float | None = None
    row: str = ""
    sha256: str | None = None
    stamp: FileStamp | None = None
    path: str | None = None
    media: MediaFacts | None = None

    @property
    def good(self) -> bool:
        """Whether the clip is there as it should be (or should not be, and is not)."""
        return self.status in ("identical", "equivalent", "taken-down")

    def file(self, output: Path) -> Path | None:
        """The clip that was made; None if it is not there as it was made."""
        if self.path is None or self.stamp is None:
            return None
        try:
            path = inside(output, self.path)
            return path if stamp(path) == self.stamp else None
        except (OSError, UnsafePathError):
            return None


def row_digest(row: ManifestRow) -> str:
    """Hash of all that a clip is made and compared by."""
    return digest({k: v for k, v in to_plain(row).items() if k != "stamp"})


def write_report(output: Path, results: Iterable[RebuildResult]) -> None:
    """Write the report, whole."""
    write_records(output / REPORT_NAME, results)
