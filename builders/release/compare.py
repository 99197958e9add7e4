"""Comparison of the rows of two tables by key, one row group at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """Changes of a column.

    Attributes:
        rows: Number of changed rows.
        largest: Largest absolute difference of its numbers; None if undefined.
    """

    rows: int
    largest: float | None


@dataclass(frozen=True, slots=True)
class RowLocation:
    """Location of a row in the Parquet files."""

    split: str
    file: Path
    group: int
    row: int


class RowIndex:
    """The rows of a config by key.

    Args:
        files: Parquet files by split.
        key: Columns that identify a row.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]], key: Sequence[str]) -> None:
        self.rows: dict[tuple[Any, ...], RowLocation] = {}
        self.groups: list[tuple[Path, int]] = []
        self._key = list(key)
        self._held: tuple[tuple[Path, int, tuple[str, ...]], pa.Table] | None = None
        for split, paths in files.items():
            for path in paths:
                file = pq.ParquetFile(path)
                for group in range(file.num_row_groups):
                    self.groups.append((path, group))
                    columns = file.read_row_group(group, columns=self._key).columns
                    keys = zip(*(column.to_pylist() for column in columns), strict=True)
                    for row, values in enumerate(keys):
                        self.rows[values] = RowLocation(split, path, group, row)

    def keys(self, table: pa.Table) -> list[tuple[Any, ...]]:
        """Keys of the rows of a row group."""
        return list(zip(*(table[name].to_pylist() for name in self._key), strict=True))

    def read(self, path: Path, group: int, columns: Sequence[str]) -> pa.Table:
        """Read a row group; the last one is kept in memory."""
        request = (path, group, tuple(columns))
        if self._held is None or self._held[0] != request:
            table = pq.ParquetFile(path).read_row_group(group, columns=[*self._key, *columns])
            self._held = (request, table)
        return self._held[1]


def compare_rows(
    old: RowIndex, new: RowIndex, columns: Sequence[str], tolerance: float
) -> dict[str, ColumnChange]:
    """Changes in the common rows, by column; unchanged columns are left out."""
    rows = dict.fromkeys(columns, 0)
    largest: dict[str, float | None] = dict.fromkeys(columns)
    for path, group in old.groups:
        table = old.read(path, group, columns)
        meeting: dict[tuple[Path, int], list[tuple[int, int]]] = {}
        for here, key in enumerate(old.keys(table)):
            location = new.rows.get(key)
            if location is not None:
                meeting.setdefault((location.file, location.group), []).append((here, location.row))
        for (other, other_group), pairs in meeting.items():
            opposite = new.read(other, other_group, columns)
            left = table.take([here for here, _ in pairs])
            right = opposite.take([location for _, location in pairs])
            for name in columns:
                changed, by = _compare(
                    left[name].combine_chunks(), right[name].combine_chunks(), tolerance
                )
                rows[name] += changed
                if by is not None:
                    largest[name] = max(by, largest[name] or 0.0)
    return {name: ColumnChange(rows[name], largest[name]) for name in columns if rows[name]}


def _compare(left: pa.Array, right: pa.Array, tolerance: float) -> tuple[int, float | None]:
    if left.equals(right):
        return 0, None
    rows, largest = 0, None
    for a, b in zip(left, right, strict=True):
        by = _difference(a, b, tolerance)
        if by is not None:
            rows += 1
            if np.isfinite(by):
                largest = max(by, largest or 0.0)
    return rows, largest


def _difference(a: pa.Scalar, b: pa.Scalar, tolerance: float) -> float | None:
    """None if two values are equal, else the largest difference of their numbers, or inf without numbers."""
    if a.is_valid != b.is_valid:
        return float("inf")
    if not a.is_valid:
        return None
    if pa.types.is_list(a.type):
        return _of_arrays(a.values, b.values, tolerance)
    if _is_number(a.type):
        return _of_arrays(pa.array([a.as_py()]), pa.array([b.as_py()]), tolerance)
    return None if a.as_py() == b.as_py() else float("inf")


def _of_arrays(a: pa.Array, b: pa.Array, tolerance: float) -> float | None:
    if a.equals(b):
        return None
    if len(a) != len(b) or not _is_number(a.type) or not a.is_valid().equals(b.is_valid()):
        return float("inf")
    x, y = (
        np.asarray(v.drop_null().to_numpy(zero_copy_only=False), dtype=np.float64) for v in (a, b)
    )
    apart = np.abs(x - y)
    over = apart > tolerance * np.maximum(np.abs(x), np.abs(y))
    return float(apart[over].max()) if over.any() else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
