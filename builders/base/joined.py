"""Columns computed elsewhere, joined by `clip_id` (``--with features=FILE``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import (
    NOT_MATCHED,
    SAME_NAME,
    ClipIndex,
    Join,
    join_clips,
    taken_down,
)

from .fields import Field, schema_of

ORIGIN: Final = "features"
_MEANING: Final = "Joined from a table that was computed elsewhere."
_LARGEST: Final = 4 << 30  # largest size of such a file as Arrow, bytes
_LISTS: Final = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)


class JoinedColumns:
    """A Parquet file of further columns.

    Args:
        path: Parquet file with a unique column `clip_id` and further columns.
        declared: Columns of the dataset, whose names may not be used.
        gone: Ids of clips that were taken down; a row of theirs is no other clip's.

    Raises:
        InputError: If it cannot be joined.
    """

    def __init__(self, path: Path, declared: Sequence[Field], gone: Collection[str] = ()) -> None:
        table = _read(path)
        names = table.column_names
        if "clip_id" not in names or len(set(names)) != len(names):
            raise InputError(
                f"{path}: expected a column clip_id and columns of different names, got {names}"
            )
        try:
            ids = table["clip_id"].cast(pa.string()).to_pylist()
        except pa.ArrowException as error:
            raise InputError(f"{path}: expected text as clip_id: {error}") from None
        self._rows = {name: number for number, name in enumerate(ids) if name is not None}
        if len(self._rows) != len(ids):
            raise InputError(f"{path}: clip_id must be unique and never null")
        self._gone = ClipIndex(gone)
        self._index = ClipIndex(self._rows)
        self._matched: dict[str, str] = {}
        self._without: list[str] = []
        self._by_name: set[str] = set()
        taken = {field.name for field in declared} & set(names) - {"clip_id"}
        if taken:
            raise InputError(
                f"{path}: the dataset already has columns {', '.join(sorted(taken))}; rename these"
            )
        self._declared = tuple(declared)
        self.fields = tuple(
            Field(name, _feature(path, table.schema.field(name)), _MEANING, origin=ORIGIN)
            for name in names
            if name != "clip_id"
        )
        for name in names:
            _check_lists(path, name, table[name], ids)
        wanted = schema_of(self.fields)
        self._columns = {
            name: _clean(table[name].combine_chunks().cast(wanted.field(name).type))
            for name in wanted.names
        }

    def summary(self) -> Join:
        """The match of the file with the clips of the joined tables.

        Raises:
            InputError: If it matches none of them.
        """
        clips = [*self._matched.values(), *self._without]
        if self._rows and clips and not self._matched and not self._gone.clip_ids:
            return join_clips(ORIGIN, self._rows, clips)  # raises, with the names of both sides
        rest = self._rows.keys() - self._matched.keys()
        gone = taken_down(rest, self._gone.clip_ids)
        unmatched = tuple(sorted(rest - gone.keys()))
        by_name = tuple(sorted(self._by_name))
        without = tuple(sorted(self._without))
        return Join(ORIGIN, dict(self._matched), unmatched, without, by_name, gone=gone)

    def _row(self, clip_id: str) -> int | None:
        match = self._index.lookup(clip_id, ORIGIN)
        if match is None or self._gone.as_near(match[0], clip_id):
            self._without.append(clip_id)
            return None
        name, quality = match
        if quality == SAME_NAME:
            self._by_name.add(name)
        if self._matched.setdefault(name, clip_id) != clip_id:
            raise InputError(
                f"{ORIGIN}: {name!r} matches both {self._matched[name]!r} and {clip_id!r}; name the "
                "clips by their ids"
            )
        return self._rows[name]

    def extend(self, declared: Sequence[Field]) -> tuple[Field, ...]:
        """The declared columns, with the joined columns before `missing`."""
        rest = [field for field in declared if field.name != "missing"]
        last = [field for field in declared if field.name == "missing"]
        return (*rest, *self.fields, *last)

    def join(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Tables with the joined columns; clips that the file lacks get nulls and a reason."""
        schema = schema_of(self.extend(self._declared))
        for table in tables:
            where = pa.array(
                [self._row(name) for name in table["clip_id"].to_pylist()], type=pa.int64()
            )
            arrays: dict[str, Any] = {name: table[name] for name in table.column_names}
            arrays |= {name: column.take(where) for name, column in self._columns.items()}
            if "missing" in arrays:
                entries = table["missing"].to_pylist()
                for row, reasons in enumerate(entries):
                    if not where[row].is_valid:
                        reasons.append(f"{ORIGIN}:{NOT_MATCHED}")
                    elif any(not arrays[name][row].is_valid for name in self._columns):
                        reasons.append(f"{ORIGIN}:undefined")
                arrays["missing"] = pa.array(
                    [sorted(reasons) for reasons in entries], type=schema.field("missing").type
                )
            yield pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _read(path: Path) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        size = sum(
            file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)
        )
        if size > _LARGEST:
            raise InputError(f"{path} holds {size} bytes; at most {_LARGEST} are joined")
        table = file.read()
        table.validate(full=True)  # reading does not check that text is UTF-8
        return table
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} cannot be read as Parquet (a list of fixed length that holds null cannot; "
            f"write it without a length): {error}"
        ) from None


def _feature(path: Path, field: pa.Field) -> Any:
    kind = _without_length(field.type)
    inner = kind
    while pa.types.is_list(inner):
        inner = inner.value_type
    if not (
        pa.types.is_floating(inner)
        or pa.types.is_integer(inner)
        or pa.types.is_boolean(inner)
        or pa.types.is_string(inner)
    ):
        raise InputError(
            f"{path}: column {field.name!r} has type {field.type}; joined are numbers, booleans, "
            "text, and lists of them"
        )
    return datasets.Features.from_arrow_schema(pa.schema([pa.field("x", kind)]))["x"]


def _without_length(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_without_length(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) else kind


def _check_lists(path: Path, name: str, column: pa.ChunkedArray, ids: list[str]) -> None:
    """Raise for numbers in lists that are not finite; a list holds all its numbers or is null."""
    if not isinstance(column.type, _LISTS) or _is_finite(column):
        return
    first = next(
        name for name, value in zip(ids, column, strict=True) if not _is_finite(value.values)
    )
    raise InputError(
        f"{path}: column {name!r} holds a list with a number that is not finite, for clip_id {first!r}; "
        "where a list is undefined write null instead of it"
    )


def _is_finite(values: Any) -> bool:
    """Whether all numbers of an array, or of lists in it, are finite; nulls are ignored."""
    while values is not None and isinstance(values.type, _LISTS):
        values = pc.list_flatten(values)
    if values is None or not pa.types.is_floating(values.type):
        return True
    return bool(pc.all(pc.is_finite(values), min_count=0).as_py())


def _clean(array: pa.Array) -> pa.Array:
    """Replace NaN by null, which stands for undefined values."""
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_finite(array), array, pa.scalar(None, type=array.type))
    return array
