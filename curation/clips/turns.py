"""Turns of speech in the clips of single people, as RTTM and CSV beside their manifest."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.files import remove_inside, write_text

TURNS_CSV: Final = "turns.csv"
TURNS_RTTM: Final = "turns.rttm"
_COLUMNS: Final = (
    "clip_id",
    "person",
    "own",
    "start",
    "end",
    "source",
    "source_start",
    "source_end",
)


def write_turns(folder: Path, rows: Iterable[ManifestRow]) -> None:
    """Write the turns of all clips of single people; without such clips, earlier files are removed.

    A line of the CSV states a turn in the time of the clip and in the time of its source, and whether the
    clip shows the person who speaks. RTTM states turns in the time of the clip and names people `person0`,
    `person1`, …

    Args:
        folder: Folder of the manifest.
        rows: Rows of the manifest.
    """
    own = sorted((row for row in rows if row.person is not None), key=lambda row: row.clip_id)
    if not own:
        for name in (TURNS_CSV, TURNS_RTTM):
            remove_inside(folder, name)
        return
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    lines: list[str] = []
    for row in own:
        name = "_".join(row.clip_id.split())
        for start, end, person in row.turns:
            in_source = (f"{row.start + start:.3f}", f"{row.start + end:.3f}")
            is_own = "true" if person == row.person else "false"
            in_clip = (f"{start:.3f}", f"{end:.3f}")
            writer.writerow(
                (row.clip_id, person, is_own, *in_clip, row.source.location, *in_source)
            )
            span = f"{start:.3f} {end - start:.3f}"
            lines.append(f"SPEAKER {name} 1 {span} <NA> <NA> person{person} <NA> <NA>\n")
    write_text(folder / TURNS_CSV, table.getvalue())
    write_text(folder / TURNS_RTTM, "".join(lines))
