"""Manifest rows of clip lists: valid entries, and faulty ones with their reason."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    REJECTED_NAME,
    Judgement,
    ListEntry,
    ManifestRow,
    Source,
    read_rows,
    write_manifest,
)
from theval_datasets.utils.locks import locked
from theval_datasets.utils.records import to_plain

from .base import Entry, EntryError, ListReader, checked, plain

_MAX_TEXT: Final = 2000  # characters of a faulty entry


@dataclass(frozen=True, slots=True)
class Imported:
    """The rows of a list.

    Attributes:
        kept: Rows from which `rebuild` makes clips.
        rejected: Rows of invalid entries, with the reason.
    """

    kept: Sequence[ManifestRow]
    rejected: Sequence[ManifestRow]


def import_rows(reader: ListReader, path: Path) -> Imported:
    """Read every entry of a list as a row.

    Args:
        reader: Reader of the list's format.
        path: Path of the list.

    Raises:
        InputError: It is not a list of that format.
    """
    kept: list[ManifestRow] = []
    rejected: list[ManifestRow] = []
    taken: set[str] = set()
    for entry in reader.entries(path):
        name = _clip_id(entry)
        free = _free(name, taken)
        taken.add(free)
        try:
            if free != name:
                raise EntryError("duplicate-id", f"an earlier entry has the id {entry.id!r}")
            kept.append(_row(reader, entry, free))
        except EntryError as error:
            rejected.append(_faulty(reader, entry, free, error))
    return Imported(tuple(kept), tuple(rejected))


def write_rows(imported: Imported, output: Path) -> None:
    """Write the manifest, and the rejected rows beside it; those of an earlier import are replaced.

    Raises:
        InputError: The output folder holds a manifest with clips that were made.
    """
    with locked(output, "import"):
        place = output / MANIFEST_NAME
        if place.exists() and any(not row.to_be_made for row in read_rows(place)):
            raise InputError(
                f"{place} lists clips that were made, and would be replaced; name another folder with -o"
            )
        write_manifest(output / MANIFEST_NAME, imported.kept)
        write_manifest(output / REJECTED_NAME, imported.rejected)


def _row(reader: ListReader, entry: Entry, clip_id: str) -> ManifestRow:
    clip = checked(reader, entry)
    return ManifestRow(
        clip_id=clip_id,
        path=None,
        source=Source(kind="url", location=clip.url),
        sha256=None,
        start=clip.start,
        end=clip.end,
        region=clip.region,
        listed=ListEntry(
            reader.NAME,
            plain(entry.id),
            plain(entry.place),
            clip.width,
            clip.height,
            clip.frames,
            clip.attributes,
        ),
    )


def _faulty(reader: ListReader, entry: Entry, clip_id: str, error: EntryError) -> ManifestRow:
    text = json.dumps(to_plain(entry.value), ensure_ascii=False, default=str)
    measured = {"detail": plain(str(error)), "entry": plain(text)[:_MAX_TEXT]}
    return ManifestRow(
        clip_id=clip_id,
        path=None,
        source=Source(kind="url", location=""),
        sha256=None,
        judgements=(Judgement("list", "reject", error.reason, measured),),
        reason=error.reason,
        listed=ListEntry(reader.NAME, plain(entry.id), plain(entry.place)),
    )


def _clip_id(entry: Entry) -> str:
    """The id in the list if it is valid as the id of a clip, else the place of the entry."""
    name = plain(entry.id).strip()
    usable = name and not name.startswith("/") and ".." not in name.split("/")
    return name if usable else plain(entry.place)


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken: the given one, or the same with a number."""
    numbered = (f"{name}#{index}" for index in itertools.count(2))
    return next(free for free in itertools.chain((name,), numbered) if free not in taken)


def reasons(rows: Sequence[ManifestRow]) -> dict[str, int]:
    """Number of rows by reason."""
    return dict(sorted(Counter(str(row.reason) for row in rows).items()))
