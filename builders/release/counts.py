"""Counts of a built dataset, from the columns of its files.

A count's name has the same meaning in every dataset, so that the counts in `info.json` can be verified
from the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from theval_datasets.manifest.info import ConfigInfo
from theval_datasets.utils.files import inside


@dataclass(frozen=True, slots=True)
class Count:
    """Definition of a count.

    Attributes:
        how: Method: `rows`; `values` that are not null; `distinct` values; `elements` of lists; the
            `sum`, to a thousandth; or rows that are `equal` to a value.
        columns: Columns that are counted.
        config: Name of the config; the default config if empty.
        equal: Value for the method `equal`.
    """

    how: Literal["rows", "values", "distinct", "elements", "sum", "equal"]
    columns: tuple[str, ...] = ()
    config: str = ""
    equal: str = ""


COUNTS: Final[Mapping[str, Count]] = {
    "clips": Count("rows"),
    "seconds": Count("sum", ("duration",)),
    "contents": Count("distinct", ("content_id",)),
    "channels": Count("distinct", ("channel",)),
    "generators": Count("distinct", ("generator",)),
    "portraits": Count("distinct", ("portrait_id",)),
    "voices": Count("distinct", ("voice_id",)),
    "seeds": Count("distinct", ("seed",)),
    "conversations": Count("distinct", ("conversation",)),
    "videos": Count("distinct", ("youtube_id",)),
    "located": Count("values", ("start",)),
    "distortion_instances": Count("elements", ("distortions",)),
    "scores": Count("values", ("quality_mos", "authenticity_mos")),
    "saliency_maps": Count("rows", config="saliency"),
    "mesh_sequences": Count("distinct", ("clip_id",), config="mesh"),
    **{part: Count("equal", ("official_split",), equal=part)
       for part in ("train", "val", "test", "eval")},
    **{f"clean_{part}": Count("equal", ("clean_split",), equal=part)
       for part in ("train", "val", "test")},
}  # fmt: skip
_ALWAYS: Final = ("clips", "seconds", "contents")


def basic_counts(folder: Path, configs: Mapping[str, ConfigInfo]) -> dict[str, int | float]:
    """Counts of every dataset: clips, and seconds and contents if it has these columns."""
    return recount(folder, configs, _ALWAYS)


def recount(
    folder: Path, configs: Mapping[str, ConfigInfo], names: Iterable[str]
) -> dict[str, int | float]:
    """Recompute counts from the files.

    Args:
        folder: Folder of the dataset.
        configs: Configs of the dataset; the first is the default.
        names: Names of counts; those that cannot be computed from columns are left out.
    """
    counts: dict[str, int | float] = {}
    first = next(iter(configs))
    for name in names:
        count = COUNTS.get(name)
        config = configs.get(count.config or first) if count is not None else None
        if count is None or config is None:
            continue
        if count.how == "rows":
            counts[name] = _rows(folder, config)
        elif set(count.columns) <= {column.name for column in config.columns}:
            number = _counted(count, list(_columns(folder, config, count.columns)))
            if number is not None:
                counts[name] = number
    return counts


def _rows(folder: Path, config: ConfigInfo) -> int:
    import pyarrow.parquet as pq

    files = [inside(folder, name) for split in config.splits.values() for name in split.files]
    return sum(pq.read_metadata(file).num_rows for file in files)


def _columns(folder: Path, config: ConfigInfo, names: tuple[str, ...]) -> Iterator[Any]:
    """The columns, file by file."""
    import pyarrow.parquet as pq

    for split in config.splits.values():
        for name in split.files:
            yield from pq.read_table(inside(folder, name), columns=list(names)).columns


def _counted(count: Count, columns: list[Any]) -> int | float | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    chunks = [chunk for column in columns for chunk in column.chunks]
    if not chunks:
        return None
    values = pa.chunked_array(chunks)
    if count.how == "values":
        return len(values) - int(values.null_count)
    if count.how == "distinct":
        return int(pc.count_distinct(values, mode="only_valid").as_py())
    if count.how == "elements":
        return int(pc.sum(pc.list_value_length(values)).as_py() or 0)
    if count.how == "equal":
        return int(pc.sum(pc.equal(values, count.equal)).as_py() or 0)
    if values.null_count == len(values):
        return None
    total: float = sum(value for value in values.to_pylist() if value is not None)
    return round(total, 3)
