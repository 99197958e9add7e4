"""Shards: the Parquet files of a table, which several processes write with the same bytes.

Which rows a shard holds depends on the rows alone: it ends with the first row group at which the estimated
Arrow bytes of its rows reach the size of a shard. How many processes there are, and which of them finishes
first, changes nothing.
"""

from __future__ import annotations

import functools
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from theval_datasets.engines.base import Engine
from theval_datasets.engines.messages import WorkerLost
from theval_datasets.errors import BuildError
from theval_datasets.manifest.info import FileInfo
from theval_datasets.utils.stores import RemotePath, spool_folder

from ..base.builder import Builder, Slices
from ..base.inputs import Inputs
from .parquet_file import ParquetFileWriter, path_of

UNCACHED: Final = "release"  # constant, because the cache of `datasets` is not used
SHARD_BYTES: Final = 512 << 20
"""Estimated Arrow bytes of the rows after which a table continues in another file."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows of one file.

    Attributes:
        split: Split.
        number: Number of the file in its split, from 0.
        rows: The rows, see `Slices`.
        n_bytes: Their estimated Arrow bytes.
    """

    split: str
    number: int
    rows: Any
    n_bytes: int


@dataclass(slots=True)
class WrittenShard:
    """A file of a table.

    Attributes:
        file: Hash and size of the file.
        rows: Number of its rows.
        arrow_bytes: Their size as Arrow.
        missing: Number of rows by entry of the column `missing`.
        not_extracted: Number of clips without a cached outcome, by extractor.
    """

    file: FileInfo
    rows: int
    arrow_bytes: int
    missing: Counter[str] = field(default_factory=Counter)
    not_extracted: Counter[str] = field(default_factory=Counter)


def shards_of(
    sliceable: Mapping[str, Slices], rows_per_table: int, shard_bytes: int = SHARD_BYTES
) -> list[Shard]:
    """The shards of a table; a split without rows has none.

    Args:
        sliceable: Rows by split.
        rows_per_table: Rows of a row group; a shard holds a multiple of them, but for the last one.
        shard_bytes: See `SHARD_BYTES`.

    Examples:
        >>> rows = Slices("abcdefg", np.full(7, 10))
        >>> [shard.rows for shard in shards_of({"train": rows}, 2, 30)]
        ['abcd', 'efg']
    """
    shards = []
    for split, slices in sliceable.items():
        sums = np.concatenate([[0], np.cumsum(slices.n_bytes, dtype=np.int64)])
        ends = np.append(
            np.arange(rows_per_table, len(slices.rows), rows_per_table), len(slices.rows)
        )
        begin = number = 0
        while begin < len(slices.rows):
            full = int(np.searchsorted(sums[ends], sums[begin] + shard_bytes))
            end = int(ends[min(full, len(ends) - 1)])
            n_bytes = int(sums[end] - sums[begin])
            shards.append(Shard(split, number, slices.rows[begin:end], n_bytes))
            begin, number = end, number + 1
    return shards


@dataclass(frozen=True, slots=True)
class ShardMaker:
    """Everything that another process needs to write shards of a table.

    Attributes:
        dataset: Gives the class of the dataset.
        config: Name of the config.
        inputs: Inputs of the build.
        version: Version of the dataset.
        decoder: Decoder of the features.
        scratch: Folder for temporary files of `datasets`, in which each process has its own.
        folder: Folder of the files.
        transfer: Where workers on other machines store the files, from which they are fetched; None for
            workers that write into `folder`.
    """

    dataset: Callable[[], type[Builder]]
    config: str
    inputs: Inputs
    version: str
    decoder: str | None
    scratch: Path
    folder: Path
    transfer: RemotePath | None = None

    def __call__(self) -> Callable[[Shard], WrittenShard]:
        """A function that writes a shard."""
        builder = self.dataset()(
            self.config,
            inputs=self.inputs,
            version=self.version,
            decoder=self.decoder,
            cache_dir=str(self.scratch / f"{socket.gethostname()}-{os.getpid()}"),
            hash=UNCACHED,
        )
        if self.transfer is not None:
            return functools.partial(_send, builder, self.transfer)
        return functools.partial(write_shard, builder, self.folder)


def write_shards(
    builder: Builder,
    shards: list[Shard],
    folder: Path,
    scratch: Path,
    engine: Engine,
    transfer: RemotePath | None = None,
) -> Iterator[tuple[Shard, WrittenShard]]:
    """Write shards of a table.

    Args:
        builder: Builder of the table.
        shards: The shards.
        folder: Folder for the files, named by `path_of`.
        scratch: Folder for temporary files of `datasets`.
        engine: Engine whose workers write them; one local process, or few bytes, need none.
        transfer: Where workers that do not see the folder store the files; see `ShardMaker`.

    Yields:
        Each shard, in their order.

    Raises:
        ThevalError: A shard cannot be made.
    """
    engine = engine.for_own_files(len(shards), sum(shard.n_bytes for shard in shards))
    # names of joined columns are matched over the whole table
    if not engine.workers or builder.inputs.path("features") is not None:
        for shard in shards:
            yield shard, write_shard(builder, folder, shard)
        return
    maker = ShardMaker(
        type(builder).maker(),
        builder.config.name,
        builder.inputs.elsewhere(),
        str(builder.config.version),
        builder.decoder,
        scratch.absolute(),
        folder.absolute(),
        None if transfer is None else transfer / builder.config.name,
    )
    for shard, done in engine.map(maker, shards, ordered=True):
        if isinstance(done, WorkerLost):
            raise BuildError(
                f"{builder.config.name}/{shard.split}: file {shard.number} was not written: {done}"
            )
        if maker.transfer is not None:
            _fetch(maker.transfer, path_of(folder, shard.split, shard.number))
        yield shard, done


def _send(builder: Builder, transfer: RemotePath, shard: Shard) -> WrittenShard:
    with spool_folder() as folder:
        done = write_shard(builder, folder, shard)
        file = path_of(folder, shard.split, shard.number)
        (transfer / file.name).upload(file)
    return done


def _fetch(transfer: RemotePath, file: Path) -> None:
    """Take a file that a worker stored."""
    stored = transfer / file.name
    file.parent.mkdir(parents=True, exist_ok=True)
    stored.download(file)
    stored.remove()


def write_shard(builder: Builder, folder: Path, shard: Shard) -> WrittenShard:
    """Write one shard.

    Raises:
        BuildError: Its columns differ from the declared ones.
    """
    config = builder.config.name
    reader = builder.reader(config)
    before, reader.not_extracted = reader.not_extracted, Counter()
    try:
        tables = builder.finished(config, builder.tables_from(config, shard.rows))
        done = write_tables(builder, tables, path_of(folder, shard.split, shard.number))
        return replace(done, not_extracted=reader.not_extracted)
    finally:
        reader.not_extracted = before


def write_tables(
    builder: Builder, tables: Iterable[pa.Table], path: Path, most: float = float("inf")
) -> WrittenShard:
    """Write tables into one file.

    Args:
        builder: Builder of the tables.
        tables: The tables; what follows when the file is full is left.
        path: The file.
        most: Arrow bytes after which the file is full.

    Raises:
        BuildError: Their columns differ from the declared ones.
    """
    missing: Counter[str] = Counter()
    with ParquetFileWriter(path, builder.config, builder.schema(builder.config.name)) as writer:
        for table in tables:
            writer.write(table)
            if "missing" in table.column_names:
                entries = table["missing"].combine_chunks().flatten()
                missing.update(
                    {v["values"]: v["counts"] for v in entries.value_counts().to_pylist()}
                )
            if writer.arrow_bytes >= most:
                break
    return WrittenShard(writer.info(), writer.rows, writer.arrow_bytes, missing)
