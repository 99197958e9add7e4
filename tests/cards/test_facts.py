"""Null rows as the card counts them, and that meshes and media are not read for it."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets.cards import facts

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_ROWS = {
    "full": pa.array([1, 2, 3]),
    "some": pa.array([1, None, 3]),
    "all": pa.array([None, None, None], pa.int64()),
    "list": pa.array([[1], [2, 3], [4]]),
    "list_some": pa.array([[1], None, [4]]),
    "list_inside": pa.array([[None], [2, None], [4]]),
    "list_empty": pa.array([[], [], [4]]),
    "picture": pa.array([{"bytes": b"1", "path": "a"}] * 3, _PICTURE),
    "picture_some": pa.array([{"bytes": b"1", "path": "a"}, None, None], _PICTURE),
}
_EXPECTED = {"some": 1, "all": 3, "list_some": 1, "picture_some": 2}


def _file(folder) -> pq.ParquetFile:
    path = folder / "a.parquet"
    pq.write_table(pa.table(_ROWS), path, row_group_size=2)
    return pq.ParquetFile(path)


def test_null_rows_of_every_kind_of_column(tmp_path):
    nulls: Counter[str] = Counter()
    facts._count_nulls(_file(tmp_path), nulls)
    assert dict(nulls) == dict.fromkeys(_ROWS, 0) | _EXPECTED


def test_columns_without_nulls_and_bytes_are_not_read(tmp_path, monkeypatch):
    read = []
    original = pq.ParquetFile.iter_batches

    def iter_batches(self, *arguments, **options):
        read.extend(options["columns"])
        return original(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    facts._count_nulls(_file(tmp_path), Counter())
    expected = {"some", "all", "list_some", "list_inside", "list_empty", "picture_some.path"}
    assert set(read) == expected
