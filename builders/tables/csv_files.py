"""Lists of clips or scores as CSV or Excel: untrusted input, checked row by row."""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.utils.table_files import finite_number, read_delimited, read_table

_CLIP: Final = "clip_id"
_CLOSE: Final = 0.8  # likeness from which a name is a misspelling of another


class Row(dict[str, str]):
    """Cells of a row by column.

    Attributes:
        commas: Whether commas separate the cells in the file, so that ``1,234`` may be a thousand.
    """

    commas: bool = False


def read_csv(
    path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[tuple[str, Row]]:
    r"""Rows of a table with a header; blank rows are left out.

    Case, spaces and hyphens in the names of these columns do not matter, and `clip_id` may have any of its
    names in tables of ratings.

    Args:
        path: CSV of any usual delimiter and encoding, or an Excel workbook of one sheet.
        columns: Required columns; others are returned too.
        optional: Columns that are understood; a likely misspelling of one is refused.

    Yields:
        Place of the row for messages, and its cells.

    Raises:
        InputError: If the file is not a table, or a column is missing or misspelled.

    Examples:
        >>> table = Path("scores.csv")
        >>> _ = table.write_text("Clip ID;MOS\na;3,5\n")
        >>> list(read_csv(table, ("clip_id", "mos")))
        [('scores.csv:2', {'clip_id': 'a', 'mos': '3,5'})]
    """
    if path.suffix.lower() == ".xlsx":
        table = read_table(path)
        head = _understood(path, table.frame.columns, columns, optional)
        _check_head(path, head, columns)
        frame = table.frame.clone()
        frame.columns = head
        rows = frame.fill_null("").iter_rows(named=True)
        for n, cells in zip(table.rows, rows, strict=True):
            yield f"{path.name}, row {n}", Row(cells)
        return
    table_text = read_delimited(path)
    try:
        stream = io.StringIO(table_text.text, newline="")
        reader = csv.DictReader(stream, delimiter=table_text.delimiter, strict=True)
        head = _understood(path, reader.fieldnames or [], columns, optional)
        reader.fieldnames = head
        _check_head(path, head, columns)
        for cells in reader:
            where = f"{path.name}:{table_text.skipped + reader.line_num}"
            if not any(cell.strip() for cell in cells.values() if isinstance(cell, str)):
                continue
            if None in cells or None in cells.values():
                raise InputError(f"{where}: expected {len(head)} values")
            row = Row(cells)
            row.commas = table_text.delimiter == ","
            yield where, row
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None


def _understood(
    path: Path, head: Sequence[str], columns: tuple[str, ...], optional: tuple[str, ...]
) -> list[str]:
    """The header with the names of known columns as they are known."""
    known = {_plain(name): name for name in (*columns, *optional)}
    names = [known.get(_plain(name), name.strip()) for name in head]
    if _CLIP in known.values() and _CLIP not in names:
        aliases = [name for name in names if _plain(name) in _names_of_clips()]
        if len(aliases) == 1 and aliases[0] not in known.values():
            names = [_CLIP if name == aliases[0] else name for name in names]
    absent = [_plain(name) for name in optional if name not in names]
    for name in names:
        close = difflib.get_close_matches(_plain(name), absent, n=1, cutoff=_CLOSE)
        if close and name not in known.values():
            raise InputError(
                f"{path.name}: unknown column {name!r}; did you mean {known[close[0]]!r}? Rename the column, "
                "or remove it"
            )
    return names


@lru_cache(maxsize=1)
def _names_of_clips() -> frozenset[str]:
    """Names of columns of clips, as in tables of ratings."""
    from theval_datasets.curation.study.layouts import column_names

    return frozenset(map(_plain, column_names()["aliases"][_CLIP]))


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", unicodedata.normalize("NFKC", name).strip().casefold())


def _check_head(path: Path, head: Sequence[str], columns: tuple[str, ...]) -> None:
    if set(columns) - set(head) or len(set(head)) != len(head):
        raise InputError(
            f"{path}: expected different columns, among them {', '.join(columns)}; "
            f"got {', '.join(head) or 'an empty file'}"
        )


def number(row: Row, column: str, where: str) -> float:
    """A finite number in a row, with a decimal point or, where commas separate no cells, a decimal comma.

    Raises:
        InputError: If the cell is not a finite number.

    Examples:
        >>> number(Row(mos="3,5"), "mos", "ratings.csv:2")
        3.5
    """
    cell = row[column]
    value = None if row.commas and "," in cell else finite_number(cell)
    if value is None:
        raise InputError(f"{where}: expected a number as {column}, got {cell!r}")
    return value
