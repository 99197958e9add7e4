"""The tables of a built dataset, read a few columns at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets.errors import ThevalError
from theval_datasets.manifest.info import ConfigInfo

if TYPE_CHECKING:
    import polars as pl


class NoValuesError(ThevalError):
    """There is nothing to plot; the message is the reason, as a sentence without its full stop."""


@dataclass(frozen=True)
class BuiltTables:
    """The Parquet files of a built dataset.

    Attributes:
        folder: Folder of the dataset.
        name: Name of the dataset, such as ``thqa-mt``.
        configs: Tables by name.
    """

    folder: Path
    name: str
    configs: Mapping[str, ConfigInfo]

    def has(self, config: str, columns: Sequence[str]) -> bool:
        """Whether a config was built and has all of these columns."""
        known = self.configs.get(config)
        return known is not None and {*columns} <= {column.name for column in known.columns}

    def frame(
        self, config: str, columns: Sequence[str], *, need: Literal["all", "any"] = "all"
    ) -> pl.DataFrame:
        """Columns of all splits of a config.

        Args:
            config: Name of the config.
            columns: Columns to read.
            need: Which of the columns must have values: `all` or `any`.

        Raises:
            NoValuesError: The config was not built, or a column that must have values has none.
        """
        import polars as pl

        tables = [pq.read_table(file, columns=[*columns]) for file in self._files(config, columns)]
        frame = pl.from_arrow(pa.concat_tables(tables))
        assert isinstance(frame, pl.DataFrame)
        empty = [name for name in columns if frame[name].null_count() == len(frame)]
        if empty and (need == "all" or len(empty) == len(columns)):
            raise NoValuesError(self._why_null(config, empty[0]))
        return frame

    def units(self, config: str) -> dict[str, str]:
        """Column to its unit, "" for none."""
        return {column.name: column.unit for column in self.configs[config].columns}

    def batches(self, config: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Rows of a config, for columns that are too large to be held at once.

        Raises:
            NoValuesError: The config was not built.
        """
        for file in self._files(config, columns):
            for batch in pq.ParquetFile(file).iter_batches(16, columns=[*columns]):
                yield from batch.to_pylist()

    def _files(self, config: str, columns: Sequence[str]) -> list[Path]:
        if config not in self.configs:
            raise NoValuesError(f"the config {config} was not built: its inputs were not given")
        if not self.has(config, columns):
            lacking = {*columns} - {column.name for column in self.configs[config].columns}
            raise NoValuesError(f"{config} has no column {', '.join(sorted(lacking))}")
        splits = self.configs[config].splits.values()
        return [self.folder / name for split in splits for name in split.files]

    def _why_null(self, config: str, column: str) -> str:
        """A sentence on a column without values, with the reasons that `missing` gives."""
        known = self.configs[config]
        origin = next(info.origin for info in known.columns if info.name == column)
        reasons: Counter[str] = Counter()
        for entry, count in known.missing.items():
            source, _, reason = entry.partition(":")
            if source in (origin, column):
                reasons[reason] += count
        shown = ", ".join(f"{reason} in {count} rows" for reason, count in reasons.most_common(3))
        return f"{config}.{column} has no value" + (f" ({shown})" if shown else "")
