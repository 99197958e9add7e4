"""What a rebuild came to, row by row: kept in `rebuild.jsonl`, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from theval_datasets.manifest.rows import FileStamp, ManifestRow
from theval_datasets.utils.files import digest, safe_name
from theval_datasets.utils.jsonl import write_records
from theval_datasets.utils.records import Record, to_plain

from ..clips.files import CLIPS, stamp

REPORT_NAME: Final = "rebuild.jsonl"

Status = Literal["identical", "equivalent", "changed", "gone", "taken-down"]


class Rebuilt(Record, frozen=True):
    """What became of a row.

    Attributes:
        clip_id: Its name.
        status: How near it came.
        reason: For `changed` and `gone`.
        detail: For people.
        frames: Share of differing bits of the pictures, where it was compared.
        audio: Of the sounds.
        row: Hash of the row that it was made by.
        sha256: Of the clip that was made.
        stamp: Of that file.
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

    @property
    def good(self) -> bool:
        """Whether the clip is there as it should be (or should not be, and is not)."""
        return self.status in ("identical", "equivalent", "taken-down")

    def file(self, output: Path) -> Path | None:
        """The clip that was made; None if it is not there as it was made."""
        name = safe_name(self.clip_id)
        escaped = "".join(f"[{c}]" if c in "[]*?" else c for c in name)
        found = (output / CLIPS).glob(f"{escaped}.*")
        return next((p for p in found if self.stamp is not None and stamp(p) == self.stamp), None)


def row_digest(row: ManifestRow) -> str:
    """Hash of all that a clip is made and compared by."""
    return digest({k: v for k, v in to_plain(row).items() if k != "stamp"})


def write_report(output: Path, results: Iterable[Rebuilt]) -> None:
    """Write the report, whole."""
    write_records(output / REPORT_NAME, results)
