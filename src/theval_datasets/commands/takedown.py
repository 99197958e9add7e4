"""`theval-data takedown`: clips that must not be published or made again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from theval_datasets.errors import InputError
from theval_datasets.manifest.tombstones import (
    TOMBSTONES_NAME,
    Tombstone,
    read_tombstones,
    write_tombstones,
)
from theval_datasets.utils.files import inside
from theval_datasets.utils.report import Report

from .options import StrPath

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class TakedownReport(Report):
    """What was taken down.

    Attributes:
        tombstones: The file.
        taken: Ids that have a tombstone now and had none.
        known: Ids that had one already.
        unlisted: Ids that no manifest here lists; they have a tombstone all the same.
        removed: Files that were removed.
    """

    tombstones: Path
    taken: tuple[str, ...]
    known: tuple[str, ...]
    unlisted: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Always 0: an id that is listed nowhere stays out all the same."""
        return 0

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "tombstones": str(self.tombstones),
            "taken": list(self.taken),
            "known": list(self.known),
            "unlisted": list(self.unlisted),
            "removed": list(self.removed),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row a clip."""
        return [
            {"clip_id": name, "new": name in self.taken, "listed": name not in self.unlisted}
            for name in sorted({*self.taken, *self.known})
        ]

    def to_text(self) -> str:
        """A few lines."""
        lines = [f"{len(self.taken)} clips taken down in {self.tombstones}"]
        lines += [f"  had a tombstone already: {name}" for name in self.known]
        lines += [f"  listed in no manifest here: {name}" for name in self.unlisted]
        lines += [f"  removed {name}" for name in self.removed]
        lines.append(
            "curate, rebuild and build leave them out; build a new version and push it to publish "
            "that. Older versions at the Hub still hold them: push says how to remove those"
        )
        return "\n".join(lines)


def takedown(
    clip_ids: Annotated[Sequence[str], typer.Argument(metavar="CLIP_ID")],
    manifest: Annotated[StrPath, typer.Option("--manifest", metavar="MANIFEST")] = ".",
    *,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")] = None,
) -> TakedownReport:
    """Take clips down: write tombstones, and remove their rows and files.

    Args:
        clip_ids: Ids of the clips.
        manifest: Manifest that lists the clips, or its folder.
        date: Date of the takedown. Default: today.

    Raises:
        InputError: There is no manifest, no id was given, or the date is none.
    """
    from theval_datasets.manifest.rows import (
        MANIFEST_NAME,
        REJECTED_NAME,
        read_manifest,
        read_rows,
        write_manifest,
    )

    if not clip_ids:
        raise InputError("Name at least one clip to take down.")
    listing = read_manifest(Path(manifest))
    when = date or datetime.now(UTC).date().isoformat()
    if not _DATE.fullmatch(when):
        raise InputError(f"expected a date YYYY-MM-DD, got {when!r}")
    path = listing.folder / TOMBSTONES_NAME
    stones = {stone.clip_id: stone for stone in read_tombstones(path)}
    wanted = list(dict.fromkeys(clip_ids))
    taken = [name for name in wanted if name not in stones]
    stones |= {name: Tombstone(name, when) for name in taken}
    write_tombstones(path, stones.values())
    gone = [row for row in listing.rows if row.clip_id in wanted]
    listed = {row.clip_id for row in gone}
    if gone:
        write_manifest(
            listing.folder / MANIFEST_NAME,
            [row for row in listing.rows if row.clip_id not in wanted],
        )
    rejected = listing.folder / REJECTED_NAME
    if rejected.is_file():
        rows = list(read_rows(rejected))
        listed |= {row.clip_id for row in rows if row.clip_id in wanted}
        write_manifest(rejected, [row for row in rows if row.clip_id not in wanted])
    removed = []
    names = [
        name
        for row in gone
        for name in (row.path, row.audio, row.audio_original, row.reference_frame)
    ]
    names += [f".candidates/{name}.mp4" for name in wanted if name in listed]
    for name in names:
        if name is not None and (file := inside(listing.folder, name)).is_file():
            file.unlink()
            removed.append(name)
    return TakedownReport(
        path,
        tuple(taken),
        tuple(name for name in wanted if name not in taken),
        tuple(name for name in wanted if name not in listed),
        tuple(removed),
    )
