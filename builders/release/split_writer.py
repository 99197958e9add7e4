"""Writing of the Parquet files of a split: compressed, in row groups, in files of bounded size."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets.errors import BuildError
from theval_datasets.manifest.info import SplitInfo

from ..base.builder import Builder, TableConfig
from ..base.fields import schema_of

SHARD_BYTES: Final = 500 << 20
"""Compressed size after which a split continues in another file."""

_ZSTD_LEVEL: Final = 6
_ZSTD_LEVEL_SPLIT: Final = 13  # a tenth less of a mesh than 12, for 43 ms a clip of 13 s
_PAGE_BYTES: Final = 4 << 20


class SplitWriter:
    """Writes one split of one config as shards of row groups.

    Args:
        config: Config.
        schema: Schema of its rows.
        part: Folder of the release.
        split: Name of the split.
        shard_bytes: See `SHARD_BYTES`.
    """

    def __init__(
        self, config: TableConfig, schema: pa.Schema, part: Path, split: str, shard_bytes: int
    ) -> None:
        self._config = config
        self._schema = schema
        self._part = part
        self._split = split
        self._shard_bytes = shard_bytes
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._sink: Any = None
        self._rows = 0
        self._arrow_bytes = 0

    @property
    def rows(self) -> int:
        """Number of rows so far."""
        return self._rows

    def write(self, table: pa.Table) -> None:
        """Add rows.

        Raises:
            BuildError: If their columns differ from the declared ones.
        """
        if not table.schema.equals(self._schema):
            raise BuildError(
                f"config {self._config.name!r} declares other columns than it yields:\n"
                f"{self._schema}\nagainst\n{table.schema}"
            )
        if self._writer is None:
            self._open()
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=self._config.rows_per_table)
        self._rows += len(table)
        self._arrow_bytes += table.nbytes
        if self._sink.tell() >= self._shard_bytes:
            self._close()

    def close(self) -> SplitInfo:
        """Finish the files; a split without rows has one file too."""
        if self._writer is None and not self._parts:
            self._open()
        self._close()
        names = []
        for number, path in enumerate(self._parts):
            name = f"{self._split}-{number:05d}-of-{len(self._parts):05d}.parquet"
            path.rename(path.with_name(name))
            names.append(f"{self._config.name}/{name}")
        size = sum((self._part / name).stat().st_size for name in names)
        return SplitInfo(self._rows, size, self._arrow_bytes, tuple(names))

    def _open(self) -> None:
        folder = self._part / self._config.name
        folder.mkdir(exist_ok=True)
        path = folder / f"{self._split}.{len(self._parts)}.part"
        self._parts.append(path)
        self._sink = path.open("wb")
        plain = {f"{name}.list.element" for name in self._config.split_bytes}
        paths = _leaf_paths(self._schema)
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            compression_level={path: _level(path in plain) for path in paths},
            data_page_size=_PAGE_BYTES,
            use_dictionary=[path for path in paths if path not in plain],
            use_byte_stream_split=sorted(plain) or False,
            store_schema=True,
        )

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._sink.flush()
            os.fsync(self._sink.fileno())
            self._sink.close()
        self._writer = None


def _level(is_split: bool) -> int:
    return _ZSTD_LEVEL_SPLIT if is_split else _ZSTD_LEVEL


def _leaf_paths(schema: pa.Schema) -> list[str]:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema) as writer:
        writer.write_table(schema.empty_table())
    parsed = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [parsed.column(i).path for i in range(len(parsed))]


def write_split(
    dataset: type[Builder],
    config: str,
    split: str,
    tables: Iterable[pa.Table],
    folder: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> list[Path]:
    """Write the Parquet files of one split below `folder`, in the layout of a release."""
    writer = SplitWriter(
        dataset.builder_configs[config],
        schema_of(dataset.FIELDS[config]),
        folder,
        split,
        shard_bytes,
    )
    for table in tables:
        writer.write(table)
    return [folder / name for name in writer.close().files]
