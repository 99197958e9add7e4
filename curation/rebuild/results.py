"""Results of a rebuild by row, kept in `rebuild.jsonl` so that a killed run can be continued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import FileStamp, ManifestRow, Source
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import digest, inside
from theval_datasets.utils.jsonl import write_records
from theval_datasets.utils.records import Record, to_plain

from ..clips.files import stamp

REPORT_NAME: Final = "rebuild.jsonl"

Status = Literal["made", "identical", "equivalent", "changed", "gone", "taken-down"]


class RebuildResult(Record, frozen=True):
    """Comparison of a rebuilt clip with its row.

    Attributes:
        clip_id: Id of the clip.
        status: Status: `identical`, `equivalent`, `changed` or `gone`; `made` for the first clip of an
            entry of a list.
        reason: Slug, for `changed` and `gone`.
        detail: Explanation of the reason.
        frames: Share of differing bits of the pictures' hashes, 0 to 1; None if not compared.
        audio: Share of differing bits of the audio fingerprints, 0 to 1; None if not compared.
        row: Hash of the row.
        sha256: SHA-256 of the rebuilt clip.
        stamp: Size and modification time of the file.
        path: Clip file, relative to the output folder.
        media: Measured facts of the file.
        span: Start and end in the source in seconds, of a clip that was made for the first time.
        source: Source with the metadata of its site, of a clip that was made for the first time.
        tools: Versions and parameters, of a clip that was made for the first time.
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
    span: tuple[float, float] | None = None
    source: Source | None = None
    tools: Mapping[str, str | int] = msgspec.field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether the clip is as expected, or was rightly left out."""
        return self.status in ("made", "identical", "equivalent", "taken-down")

    def file(self, output: Path) -> Path | None:
        """The rebuilt clip; None if it is missing or was changed."""
        if self.path is None or self.stamp is None:
            return None
        try:
            path = inside(output, self.path)
            return path if stamp(path) == self.stamp else None
        except (OSError, UnsafePathError):
            return None


def row_digest(row: ManifestRow) -> str:
    """Hash of everything by which a clip is made and compared."""
    plain = to_plain(row)
    later = ("region", "listed", "person", "turns", "audible")  # fields that rows once lacked
    absent = {name for name in later if plain[name] in (None, []) and name != "audible"}
    absent |= {"audible"} if plain["audible"] is None else set()
    return digest({k: v for k, v in plain.items() if k != "stamp" and k not in absent})


def write_report(output: Path, results: Iterable[RebuildResult]) -> None:
    """Write the report atomically."""
    write_records(output / REPORT_NAME, results)
