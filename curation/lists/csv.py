"""Any table with a header and one row per clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import Region
from theval_datasets.utils.table_files import read_table

from .base import Entry, EntryError, ListedClip, ListReader, attributes, number, pixels, span, url

_BOX: Final = ("left", "top", "width", "height")
_PICTURE: Final = ("source_width", "source_height")
_CENTRE: Final = ("x", "y")
_READ: Final = frozenset({"clip_id", "url", "start", "end", *_BOX, *_PICTURE, *_CENTRE})
_SPELLINGS: Final = {name.replace("_", ""): name for name in _READ} | {
    "id": "clip_id", "address": "url", "link": "url", "begin": "start", "starttime": "start",
    "startsec": "start", "stop": "end", "endtime": "end", "endsec": "end",
}  # fmt: skip
"""Columns that are read, by the letters and digits of similar names."""


@dataclass(frozen=True)
class Csv(ListReader):
    """A table (CSV, Excel, Parquet or JSON lines) with a column `url`: an address, or the id of a video.

    Further columns, all optional: `clip_id`; `start` and `end` in seconds; a box `left`, `top`,
    `width`, `height` in a picture of `source_width` by `source_height` (1 and 1 for shares), or a
    centre `x`, `y` as shares of the picture. Every other column is an attribute.
    """

    NAME: ClassVar[str] = "csv"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The rows."""
        table = read_table(path)
        _check_names(table.frame.columns, path.name)
        if "url" not in table.frame.columns:
            columns = ", ".join(table.frame.columns)
            raise InputError(f"{path.name}: expected a column url, got {columns or 'no column'}")
        rows = table.frame.iter_rows(named=True)
        for place, row in zip(table.rows, rows, strict=True):
            values = {k: v for k, v in row.items() if v not in (None, "")}
            yield Entry(str(values.get("clip_id", "")), f"{path.name}: row {place}", values)

    def clip(self, value: Mapping[str, Any]) -> ListedClip:
        """A clip of the table."""
        address = value.get("url")
        is_id = isinstance(address, str) and "://" not in address
        start: float = 0.0
        end: float | None = None
        if "end" in value:
            start, end = span(value.get("start", 0), value["end"])
        elif "start" in value:
            start = number(value["start"], "start")
            if start < 0:
                raise EntryError("bad-span", f"expected a start of at least 0, got {start:g} s")
        picture = [value.get(name) for name in _PICTURE]
        listed = [None if size in (None, 1, "1") else pixels(size, "size") for size in picture]
        rest = {k: v for k, v in value.items() if k not in _READ}
        return ListedClip(
            self.url_of(address) if is_id else url(address),
            start,
            end,
            _region(value),
            width=listed[0],
            height=listed[1],
            attributes=attributes(rest),
        )


def _check_names(columns: Sequence[str], where: str) -> None:
    """Refuse columns whose name only resembles one that is read: they would silently become attributes.

    Raises:
        InputError: Names the column and the expected name.
    """
    for column in columns:
        letters = "".join(c for c in column.casefold() if c.isalnum())
        expected = _SPELLINGS.get(letters)
        if expected is not None and column not in _READ and expected not in columns:
            raise InputError(
                f"{where}: expected the column name {expected!r}, got {column!r}; rename it, even if "
                "it is an attribute"
            )


def _region(value: Mapping[str, Any]) -> Region | None:
    """The part of the picture that a row states; None for all of it.

    Raises:
        EntryError: Some of its columns are empty, or there are both a box and a centre.
    """
    box, centre = ([name for name in names if name in value] for names in (_BOX, _CENTRE))
    if box and centre:
        raise EntryError("bad-crop", "expected either a box or a centre")
    if centre:
        x, y = (number(value.get(name), name) for name in _CENTRE)
        return Region(centre=(x, y))
    if not box:
        return None
    left, top, wide, high = (number(value.get(name), name) for name in _BOX)
    width, height = (number(value.get(name), name) for name in _PICTURE)
    return Region(boxes=((0.0, left, top, wide, high),), width=width, height=height)
