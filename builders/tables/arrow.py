"""Arrow arrays from numpy arrays, with nulls for undefined values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from theval_datasets.errors import BuildError
from theval_datasets.extraction.outcomes import Array

BATCH_BYTES: Final = 48 << 20
"""Bytes of the rows that are in memory at once; a row that is larger makes a table of its own."""


def list_array(rows: Sequence[pa.Array | None], item: pa.DataType) -> pa.ListArray:
    """A list column from one array per row; None becomes null.

    Args:
        rows: Arrow arrays (elements,), one per row, which may hold nulls themselves.
        item: Type of the elements.

    Examples:
        >>> list_array([pa.array([1, 2]), None], pa.int32()).to_pylist()
        [[1, 2], None]
    """
    lengths = [0 if row is None else len(row) for row in rows]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] >= 2**31:
        raise BuildError(
            f"{len(rows)} rows hold {offsets[-1]} elements, more than one batch can; yield smaller tables"
        )
    parts = [row.cast(item) for row in rows if row is not None and len(row)]
    values = parts[0] if len(parts) == 1 else pa.concat_arrays(parts or [pa.array([], item)])
    mask = pa.array([row is None for row in rows], type=pa.bool_())
    return pa.ListArray.from_arrays(
        pa.array(offsets, type=pa.int32()), values, type=pa.list_(item), mask=mask
    )


def scattered(where: Array, values: Array) -> pa.Array:
    """Values at the positions where `where` is True, null elsewhere.

    Args:
        where: bool (n,): positions of the values.
        values: (number of True positions,): values of any unit and range.

    Returns:
        Array of length n.

    Raises:
        BuildError: If the numbers differ.

    Examples:
        >>> scattered(np.array([True, False, True]), np.array([0.5, 0.25])).to_pylist()
        [0.5, None, 0.25]
    """
    if int(np.count_nonzero(where)) != len(values):
        raise BuildError(
            f"expected one value for each of {np.count_nonzero(where)} positions, got {len(values)}"
        )
    full = np.zeros(len(where), dtype=values.dtype)
    full[where] = values
    return pa.array(full, mask=~np.asarray(where, dtype=bool))


def check_finite(name: str, values: Array) -> Array:
    """Check that an array of any shape holds neither NaN nor infinity; undefined values must be null.

    Raises:
        BuildError: If a value is not finite.

    Examples:
        >>> check_finite("snr", np.array([12.5])).tolist()
        [12.5]
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BuildError(
            f"column {name!r} holds a value that is not finite; undefined must be null"
        )
    return values


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table from rows of plain values, numpy or Arrow arrays, in the columns of a schema.

    Examples:
        >>> table_of([{"clip_id": "a"}], pa.schema([("clip_id", pa.string())])).to_pylist()
        [{'clip_id': 'a'}]
    """
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        columns.append(_column(field.name, values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _column(name: str, values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind) and any(isinstance(v, (np.ndarray, pa.Array)) for v in values):
        flat = [None if v is None else _flat(name, v) for v in values]
        return list_array(flat, kind.value_type)
    plain = [v.item() if isinstance(v, (np.generic, np.ndarray)) else v for v in values]
    for value in plain:
        if isinstance(value, float) and not np.isfinite(value):
            raise BuildError(f"column {name!r} holds {value}; undefined must be null")
    return pa.array(plain, type=kind)


def _flat(name: str, value: Any) -> pa.Array:
    if isinstance(value, (pa.Array, list)):
        return value if isinstance(value, pa.Array) else pa.array(value)
    return pa.array(check_finite(name, value).reshape(-1))


def tables_of(
    rows: Iterable[Mapping[str, Any]], size: int, schema: pa.Schema, n_bytes: int = BATCH_BYTES
) -> Iterator[pa.Table]:
    """Tables of up to `size` rows each, of fewer where the rows are large.

    Args:
        rows: See `table_of`; read while the tables are.
        size: Largest number of rows in a table, at least 1.
        schema: Columns of the tables.
        n_bytes: Bytes of the rows of a table at most, though it has one row at least.

    Examples:
        >>> rows = ({"n": n} for n in range(5))
        >>> [table["n"].to_pylist() for table in tables_of(rows, 2, pa.schema([("n", pa.int64())]))]
        [[0, 1], [2, 3], [4]]
    """
    for batch in _batches(rows, size, n_bytes):
        table = table_of(batch, schema)
        batch.clear()  # let go of before the table is written
        yield table
        del table


def _batches(
    rows: Iterable[Mapping[str, Any]], size: int, n_bytes: int
) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    held = 0
    for row in rows:
        weight = sum(map(_n_bytes, row.values()))
        if batch and held + weight > n_bytes:
            yield batch
            batch, held = [], 0
        batch.append(row)
        del row  # or it would outlive the batch
        held += weight
        if len(batch) == size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _n_bytes(value: Any) -> int:
    """Bytes of an array or of a file's contents; of other values, which are small, 0."""
    if isinstance(value, (np.ndarray, pa.Array)):
        return int(value.nbytes)
    return len(value.get("bytes") or b"") if isinstance(value, dict) else 0
