"""Small built datasets, without a builder: Parquet files and what info.json says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets.cards.analyses.tables import BuiltTables
from theval_datasets.manifest.info import ColumnInfo, ConfigInfo, Info, SplitInfo, write_info

Columns = Mapping[str, Sequence[Any] | pa.Array]


def built(
    folder: Path,
    configs: Mapping[str, Columns],
    *,
    name: str = "x",
    missing: Mapping[str, int] = {},
) -> BuiltTables:
    """Write a dataset of one split.

    Args:
        folder: To write to.
        configs: Config to its columns; the origin of each column is its name.
        name: Of the dataset.
        missing: Entries of `missing`, of every config.
    """
    infos = {}
    for config, columns in configs.items():
        table = pa.table(dict(columns))
        path = folder / config / "train.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
        infos[config] = ConfigInfo(
            "",
            tuple(ColumnInfo(item, "", "", unit="u", origin=item) for item in columns),
            {"train": SplitInfo(len(table), 0, 0, (f"{config}/train.parquet",))},
            missing,
        )
    write_info(folder, Info(f"theval/{name}", "0.1.0", "0", infos, {}, ""))
    return BuiltTables(folder, name, infos)
