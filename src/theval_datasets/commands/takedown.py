"""`theval-data takedown`: marks clips that must not be published or made again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from theval_datasets.errors import InputError
from theval_datasets.utils.report import Report

from .options import StrPath

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class TakedownReport(Report):
    """Result of a takedown.

    Attributes:
        tombstones: Path of the file of tombstones.
        taken: Ids with a new tombstone.
        known: Ids that already had a tombstone.
        unlisted: Ids that no manifest here lists; they get a tombstone nevertheless.
        removed: Files that were removed.
        unsafe: Files that rows list outside the manifest's folder; they are not touched.
        sources: Files in the folder that the clips were cut from; they are kept.
    """

    tombstones: Path
    taken: tuple[str, ...]
    known: tuple[str, ...]
    unlisted: tuple[str, ...]
    removed: tuple[str, ...]
    unsafe: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if an id is not listed and had no tombstone, since it may be misspelled; else 0."""
        return int(bool(set(self.unlisted) - set(self.known)))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "tombstones": str(self.tombstones),
            "taken": list(self.taken),
            "known": list(self.known),
            "unlisted": list(self.unlisted),
            "removed": list(self.removed),
            "unsafe": list(self.unsafe),
            "sources": list(self.sources),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per clip."""
        return [
            {"clip_id": name, "new": name in self.taken, "listed": name not in self.unlisted}
            for name in sorted({*self.taken, *self.known})
        ]

    def to_text(self) -> str:
        """Human-readable summary."""
        lines = [f"{len(self.taken)} clips taken down in {self.tombstones}"]
        lines += [f"  already had a tombstone: {name}" for name in self.known]
        lines += [
            f"  not listed in the manifest, but marked nevertheless: {name}"
            for name in self.unlisted
        ]
        lines += [f"  removed {name}" for name in self.removed]
        lines += [f"  not touched, outside the folder: {name}" for name in self.unsafe]
        lines += [f"  not removed, the recording it was cut from: {name}" for name in self.sources]
        lines.append(
            "curate, rebuild and build will leave these clips out. Build a new version and push it; "
            "older versions at the Hub still hold them, and push explains how to remove those"
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
        InputError: There is no manifest, no id was given, or the date is malformed.
    """
    from theval_datasets.curation.takedown import take_down

    if not clip_ids or not all(clip_ids):
        raise InputError("expected at least one clip to take down, got none")
    when = date or datetime.now(UTC).date().isoformat()
    if not _DATE.fullmatch(when):
        raise InputError(f"expected a date YYYY-MM-DD, got {when!r}")
    done = take_down(clip_ids, Path(manifest), when)
    return TakedownReport(
        tombstones=done.tombstones,
        taken=done.taken,
        known=done.known,
        unlisted=done.unlisted,
        removed=done.removed,
        unsafe=done.unsafe,
        sources=done.sources,
    )
