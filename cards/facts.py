"""Facts for the card of a release, read from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets.errors import BuildError
from theval_datasets.manifest.info import Info

_COUNTED: Final = ("language", "license", "generator")


@dataclass(frozen=True)
class ConfigFacts:
    """Facts of a config, read from its Parquet files.

    Attributes:
        features: Features as read by `datasets`.
        rows: Number of rows by split.
        n_bytes: Size of the files in bytes by split.
        nulls: Number of nulls by column.
    """

    features: datasets.Features
    rows: Mapping[str, int]
    n_bytes: Mapping[str, int]
    nulls: Mapping[str, int]

    def has_values(self, column: str) -> bool:
        """Whether a column has a value in at least one row."""
        return self.nulls.get(column, 0) < self.total

    @property
    def total(self) -> int:
        """Rows of all splits."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class ReleaseFacts:
    """Facts of a release, read from its files.

    Attributes:
        configs: Facts by config.
        values: Number of occurrences of each value (null as None), by column of the first config.
    """

    configs: Mapping[str, ConfigFacts]
    values: Mapping[str, Mapping[str | None, int]] = field(default_factory=dict)


def read_facts(folder: Path, info: Info) -> ReleaseFacts:
    """Read the Parquet files that `info` lists.

    Raises:
        BuildError: The files of one config have different columns.
    """
    configs = {name: _config(folder, name, info) for name in info.configs}
    first = next(iter(info.configs))
    values = {}
    for column in _COUNTED:
        if column in configs[first].features:
            counted: Counter[str | None] = Counter()
            for split in info.configs[first].splits.values():
                for name in split.files:
                    table = pq.read_table(folder / name, columns=[column])
                    counted.update(table[column].to_pylist())
            values[column] = dict(sorted(counted.items(), key=_by_count))
    return ReleaseFacts(configs, values)


def _by_count(item: tuple[Any, int]) -> tuple[int, str]:
    return -item[1], str(item[0])


def _config(folder: Path, config: str, info: Info) -> ConfigFacts:
    rows, sizes = {}, {}
    nulls: Counter[str] = Counter()
    features: datasets.Features | None = None
    for split, split_info in info.configs[config].splits.items():
        rows[split] = sizes[split] = 0
        for name in split_info.files:
            file = pq.ParquetFile(folder / name)
            columns = datasets.Features.from_arrow_schema(file.schema_arrow)
            if features is not None and columns != features:
                raise BuildError(
                    f"{name} differs in its columns from the other files of {config!r}"
                )
            features = columns
            rows[split] += file.metadata.num_rows
            sizes[split] += (folder / name).stat().st_size
            _count_nulls(file, nulls)
    if features is None:
        raise BuildError(f"the config {config!r} has no files")
    return ConfigFacts(features, rows, sizes, dict(nulls))


def _count_nulls(file: pq.ParquetFile, nulls: Counter[str]) -> None:
    """Count the nulls of every column; row groups that are known to have none are not read."""
    leaves = [file.schema.column(i).path for i in range(len(file.schema))]
    for f in file.schema_arrow:
        nulls[f.name] += 0
        leaf = f.name
        if pa.types.is_struct(f.type):  # reads the last field only, never the bytes
            leaf = f"{f.name}.{f.type.field(f.type.num_fields - 1).name}"
        places = [i for i, path in enumerate(leaves) if f"{path}.".startswith(f"{leaf}.")]
        for group in range(file.num_row_groups):
            if all(_is_full(file.metadata.row_group(group).column(i)) for i in places):
                continue
            for batch in file.iter_batches(row_groups=[group], columns=[leaf]):
                nulls[f.name] += batch.column(0).null_count


def _is_full(chunk: pq.ColumnChunkMetaData) -> bool:
    """Whether a column is known to have no nulls in a row group, not even inside lists."""
    statistics = chunk.statistics
    return statistics is not None and statistics.has_null_count and not statistics.null_count
