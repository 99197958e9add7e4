"""`theval-data takedown`: marks clips that must not be published or made again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from theval_datasets.errors import InputError

from .options import StrPath

if TYPE_CHECKING:
    from theval_datasets.curation.takedown import TakedownReport

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


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

    Examples:
        >>> from theval_datasets.manifest.rows import ManifestRow, Source, read_manifest, write_manifest
        >>> rows = [ManifestRow(name, None, Source("local", f"{name}.mp4"), None) for name in "ab"]
        >>> write_manifest(Path("manifest.jsonl"), rows)
        >>> report = takedown(["a"], "manifest.jsonl", date="2026-01-31")
        >>> [row.clip_id for row in read_manifest(Path()).rows]
        ['b']
    """
    from theval_datasets.curation.takedown import take_down

    if not clip_ids or not all(clip_ids):
        raise InputError("expected at least one clip to take down, got none")
    when = date or datetime.now(UTC).date().isoformat()
    if not _DATE.fullmatch(when):
        raise InputError(f"expected a date YYYY-MM-DD, got {when!r}")
    return take_down(clip_ids, Path(manifest), when)
