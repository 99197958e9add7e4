"""Results of earlier runs into the same folder, and checks of their validity."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import MANIFEST_NAME, REJECTED_NAME, ManifestRow
from theval_datasets.manifest.tombstones import TOMBSTONES_NAME, read_tombstones
from theval_datasets.utils.files import inside, remove_inside
from theval_datasets.utils.jsonl import read_journal

from ..clips.files import AUDIO, CLIPS, FRAMES, stamp
from ..recipes.recipe import Recipe
from ..tasks import BROKEN_RUN
from .segments import Segment

JOURNAL: Final = ".curate.jsonl"
"""Journal with the rows of an unfinished run."""
_OWN: Final = (f"{CLIPS}/", f"{AUDIO}/", f"{FRAMES}/")


def taken_down(output: Path) -> frozenset[str]:
    """Ids of clips that must not be made again: the tombstones beside the manifest.

    Examples:
        >>> taken_down(Path())
        frozenset()
    """
    return frozenset(stone.clip_id for stone in read_tombstones(output / TOMBSTONES_NAME))


def earlier_rows(output: Path) -> dict[str, ManifestRow]:
    """Rows of earlier runs, whether they ended or not, by clip id.

    Examples:
        >>> earlier_rows(Path())
        {}
    """
    names = (MANIFEST_NAME, REJECTED_NAME, JOURNAL)
    rows = (row for name in names for row in read_journal(output / name, ManifestRow))
    return {row.clip_id: row for row in rows}


def files_of(row: ManifestRow) -> list[str]:
    """The files that a row lists, relative to its manifest."""
    names = (row.path, row.audio, row.audio_original, row.reference_frame)
    return [name for name in names if name is not None]


def files_hold(row: ManifestRow, output: Path) -> bool:
    """Whether all files of a kept clip's row exist, and the clip is unchanged."""
    try:
        complete = all(inside(output, name).is_file() for name in files_of(row))
        return complete and row.path is not None and stamp(inside(output, row.path)) == row.stamp
    except (OSError, UnsafePathError):
        return False


def source_holds(
    row: ManifestRow,
    segment: Segment,
    recipe: Recipe,
    tools: Mapping[str, str | int],
    output: Path,
) -> bool:
    """Whether the row of a file that is taken unchanged and without judgement is still valid.

    It is while the file's size and time, its source, the recipe and the tools are the same and all files
    made from it exist. No file is opened.
    """
    origin = segment.source.origin
    location = origin.location or row.path or segment.source.name
    known = (row.source.kind, row.source.location, row.source.language)
    if known != (origin.kind, location, origin.language) or row.recipe != recipe.identity:
        return False
    try:
        if row.tools != tools or row.stamp is None or row.stamp != stamp(segment.source.path):
            return False
    except OSError:
        return False
    if row.path is None:
        return row.reason is not None and row.reason not in BROKEN_RUN
    return files_hold(row, output)


def sweep(earlier: Iterable[ManifestRow], kept: Iterable[ManifestRow], output: Path) -> None:
    """Remove the files of clips that an earlier run kept and this run does not.

    The rows are untrusted: only files in the folders of clips, audio and frames are removed, and a path
    that leads out of them is ignored.
    """
    needed = {name for row in kept for name in files_of(row)}
    for row in earlier:
        for name in files_of(row):
            if name.startswith(_OWN) and name not in needed:
                with contextlib.suppress(UnsafePathError):
                    remove_inside(output, name)
