"""CSV tables of public releases: small, untrusted, checked row by row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError

_LARGEST: Final = 512 << 20


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV file with a header.

    Args:
        path: UTF-8, with or without a byte-order mark.
        columns: Columns that must be there; others are handed out too.

    Yields:
        Where the row is, for messages, and its values by column.

    Raises:
        InputError: If the file is not such a table.
    """
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path} has {path.stat().st_size} bytes; at most {_LARGEST} are read")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            reader = csv.DictReader(stream, strict=True)
            head = reader.fieldnames or []
            lacking = [name for name in columns if name not in head]
            if lacking or len(set(head)) != len(head):
                raise InputError(
                    f"{path}: expected different columns, among them {', '.join(columns)}; "
                    f"got {', '.join(head) or 'an empty file'}"
                )
            for row in reader:
                where = f"{path.name}:{reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{where}: expected {len(head)} values")
                yield where, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not a CSV table in UTF-8: {error}") from None


def number(row: Mapping[str, str], column: str, where: str) -> float:
    """A finite number out of a row.

    Raises:
        InputError: If the cell is not a finite number.
    """
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: expected a number as {column}, got {row[column]!r}")
    return value
