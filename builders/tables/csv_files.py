"""Lists of clips or scores as CSV or Excel: untrusted input, checked row by row."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.utils.table_files import read_delimited, read_table

_DECIMAL_COMMA: Final = re.compile(r"\s*[-+]?\d+,\d+\s*")


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table with a header; blank rows are left out.

    Args:
        path: CSV of any usual delimiter and encoding, or an Excel workbook of one sheet.
        columns: Required columns; others are returned too.

    Yields:
        Place of the row for messages, and its values by column.

    Raises:
        InputError: If the file is not a table, or a column is missing.
    """
    if path.suffix.lower() == ".xlsx":
        table = read_table(path)
        _check_head(path, table.frame.columns, columns)
        rows = table.frame.fill_null("").iter_rows(named=True)
        yield from ((f"{path.name}, row {n}", row) for n, row in zip(table.rows, rows, strict=True))
        return
    text, _, delimiter = read_delimited(path)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        head = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = head
        _check_head(path, head, columns)
        for row in reader:
            where = f"{path.name}:{reader.line_num}"
            if not any(cell.strip() for cell in row.values() if isinstance(cell, str)):
                continue
            if None in row or None in row.values():
                raise InputError(f"{where}: expected {len(head)} values")
            yield where, row
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None


def _check_head(path: Path, head: Sequence[str], columns: tuple[str, ...]) -> None:
    if set(columns) - set(head) or len(set(head)) != len(head):
        raise InputError(
            f"{path}: expected different columns, among them {', '.join(columns)}; "
            f"got {', '.join(head) or 'an empty file'}"
        )


def number(row: Mapping[str, str], column: str, where: str) -> float:
    """A finite number in a row, with a decimal point or comma.

    Raises:
        InputError: If the cell is not a finite number.

    Examples:
        >>> number({"mos": "3,5"}, "mos", "ratings.csv:2")
        3.5
    """
    cell = row[column]
    try:
        value = float(cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: expected a number as {column}, got {cell!r}")
    return value
