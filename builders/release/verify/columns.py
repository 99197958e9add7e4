"""Checks of values in Parquet files: ranges, NaN, nulls without a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.manifest.info import MEDIA_PROBLEM, ColumnInfo, ConfigInfo

if TYPE_CHECKING:
    from ...base.builder import Builder

_BATCH_BYTES: Final = 8 << 20
_UNEXPLAINED: Final = "manifest"
_INFINITE: Final = float("inf")


def faults_of(
    path: Path, config: str, expected: ConfigInfo, builder: type[Builder] | None
) -> Iterator[str]:
    """Faults of a file's values, in sentences; the file is read a few rows at a time.

    Args:
        path: Parquet file.
        config: Name of its config.
        expected: Description of the config in `info.json`.
        builder: Builder with further checks; None for an unknown dataset.
    """
    columns = {column.name: column for column in expected.columns}
    row_bytes = sum(s.arrow_bytes for s in expected.splits.values()) // max(1, expected.rows)
    for table in _tables(path, max(1, min(4096, _BATCH_BYTES // max(1, row_bytes)))):
        for name in table.column_names:
            if name in columns:
                yield from _column_faults(table[name], columns[name])
        if "missing" in columns and "missing" in table.column_names:
            yield from _missing_faults(table, columns)
        if builder is not None:
            yield from builder.check_rows(config, table)


def _tables(path: Path, rows: int) -> Iterator[Any]:
    """A file's rows, some at a time; of media only the paths are read, not the bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        leaves = [file.schema.column(i).path for i in range(len(file.schema))]
        read = [name for name in leaves if not name.endswith(".bytes")]
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(rows, row_groups=[group], columns=read):
                yield pa.Table.from_batches([batch])
            pa.default_memory_pool().release_unused()


def _column_faults(column: Any, expected: ColumnInfo) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if expected.required and column.null_count:
        yield f"{expected.name} is null in {column.null_count} rows, but must never be null"
    values = column.combine_chunks()
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = values.flatten()
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        return
    if pa.types.is_floating(values.type):
        bad = pc.sum(pc.invert(pc.is_finite(values))).as_py() or 0
        if bad:
            yield f"{expected.name} holds {bad} values that are not finite"
            return
    ends = pc.min_max(values).as_py()
    low, high = ends["min"], ends["max"]
    if low is not None and low < (-_INFINITE if expected.low is None else expected.low):
        yield f"{expected.name} goes down to {low}, below {expected.low}"
    if high is not None and high > (_INFINITE if expected.high is None else expected.high):
        yield f"{expected.name} goes up to {high}, above {expected.high}"


def _missing_faults(table: Any, columns: Mapping[str, ColumnInfo]) -> Iterator[str]:
    """Nulls that `missing` does not explain, and entries without a null."""
    explained = [c for c in columns.values() if c.origin != _UNEXPLAINED and not c.required]
    suspects = _rows_that_differ(table, explained)
    if not suspects:
        return
    table = table.select(
        [*{"clip_id", "missing", *(c.name for c in explained)} & {*table.column_names}]
    )
    ids = table["clip_id"].to_pylist() if "clip_id" in table.column_names else None
    missing = table["missing"].to_pylist()
    nulls = {c.name: table[c.name].is_null().to_pylist() for c in explained}
    for row in suspects:
        entries = missing[row]
        where = f"row {row}" if ids is None else repr(ids[row])
        origins = {entry.partition(":")[0] for entry in entries or () if entry != MEDIA_PROBLEM}
        null = {c.origin for c in explained if nulls[c.name][row]}
        for origin in sorted(null - origins):
            names = [c.name for c in explained if c.origin == origin and nulls[c.name][row]]
            yield f"{where}: {', '.join(names)} null without an entry {origin}:… in missing"
        for origin in sorted(origins - null):
            yield f"{where}: missing names {origin}, but none of its columns is null"
        if any(not entry.partition(":")[2] for entry in entries or ()):
            yield f"{where}: an entry of missing has no reason"


def _rows_that_differ(table: Any, explained: Sequence[ColumnInfo]) -> list[int]:
    """Rows whose entries of `missing` and nulls do not correspond, or whose entries have no reason."""
    import numpy as np
    import pyarrow.compute as pc

    entries = table["missing"].combine_chunks()
    encoded = entries.flatten().dictionary_encode()
    rows = pc.list_parent_indices(entries).to_numpy()
    origins = list(dict.fromkeys(c.origin for c in explained))
    known = [*origins, None]  # the last stands for what is a fault in any row
    expected = np.zeros((len(known), len(table)), bool)
    for column in explained:
        expected[origins.index(column.origin)] |= pc.is_null(table[column.name]).to_numpy()
    named = np.zeros_like(expected)
    codes = encoded.indices.to_numpy()
    for code, entry in enumerate(encoded.dictionary.to_pylist()):
        if entry == MEDIA_PROBLEM:
            continue
        origin, _, reason = entry.partition(":")
        place = origins.index(origin) if reason and origin in origins else len(origins)
        named[place, rows[codes == code]] = True
    rows_that_differ: list[int] = np.flatnonzero((expected != named).any(axis=0)).tolist()
    return rows_that_differ
