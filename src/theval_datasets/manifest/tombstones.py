"""Tombstones: name and date of clips that were taken down."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.utils.jsonl import read_records, write_records
from theval_datasets.utils.records import Record
from theval_datasets.utils.stores import Location

TOMBSTONES_NAME: Final = "tombstones.jsonl"

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Tombstone(Record, frozen=True):
    """A clip that was taken down.

    Attributes:
        clip_id: Id of the clip.
        date: Day of the takedown, YYYY-MM-DD.
    """

    clip_id: str
    date: str

    def __post_init__(self) -> None:
        if not self.clip_id or not _DATE.fullmatch(self.date):
            raise InputError(
                f"expected a clip_id and a date YYYY-MM-DD, got {self.clip_id!r}, {self.date!r}"
            )


def read_tombstones(path: Location) -> tuple[Tombstone, ...]:
    """Tombstones of a JSON-lines file, in order of `clip_id`; none if there is no file.

    Raises:
        InputError: With file and line, for a line that is not a tombstone or an id that occurs twice.

    Examples:
        >>> write_tombstones(Path("tombstones.jsonl"), [Tombstone("talk", "2026-01-31")])
        >>> read_tombstones(Path("tombstones.jsonl"))
        (Tombstone(clip_id='talk', date='2026-01-31'),)
    """
    if not path.exists() and not path.is_symlink():
        return ()
    stones: dict[str, Tombstone] = {}
    for where, stone in read_records(path, Tombstone):
        if stone.clip_id in stones:
            raise InputError(f"{where}: clip_id {stone.clip_id!r} occurs twice")
        stones[stone.clip_id] = stone
    return tuple(stones[name] for name in sorted(stones))


def write_tombstones(path: Path, stones: Iterable[Tombstone]) -> None:
    r"""Write tombstones in order of `clip_id`, whole or not at all.

    Examples:
        >>> write_tombstones(Path("tombstones.jsonl"), [Tombstone("talk", "2026-01-31")])
        >>> Path("tombstones.jsonl").read_text()
        '{"clip_id":"talk","date":"2026-01-31"}\n'
    """
    write_records(path, sorted(stones, key=lambda stone: stone.clip_id))
