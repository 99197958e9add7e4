"""Checks of a built dataset's rows: ranges, nulls, ids, and the manifest beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from theval_datasets.errors import ManifestError
from theval_datasets.manifest.rows import MANIFEST_NAME, read_rows

from .built import BuiltDataset, Faults
from .columns import faults_of

_SHOWN: Final = 5


def check_values(built: BuiltDataset) -> Faults:
    """Faults of ranges, nulls and rows."""
    columns = 0
    for config, config_info in built.info.configs.items():
        columns += len(config_info.columns)
        for _, name, path in built.files(config):
            for fault in faults_of(path, config, config_info, built.builder):
                yield f"{name}: {fault}"
    return f"{columns} columns are within their ranges; every null has its reason"


def check_ids(built: BuiltDataset) -> Faults:
    """Keys that are null or occur twice, and clips that the default config lacks or that were taken down."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    clips = pa.array([], pa.string())
    for config, config_info in built.info.configs.items():
        parts = []
        for _, name, path in built.files(config):
            there = "clip_id" in pq.read_schema(path).names
            columns = {*config_info.key, "clip_id"} if there else {*config_info.key}
            table = pq.read_table(path, columns=sorted(columns))
            if any(table[column].null_count for column in config_info.key):
                yield f"{name}: {', '.join(config_info.key)} is null in a row"
            parts.append(table.select(list(config_info.key)))
            if not there:
                continue
            ids = pc.unique(table["clip_id"].drop_null())
            if config == built.first:
                clips = pa.concat_arrays([clips, ids])
            for clip in ids.filter(pc.invert(pc.is_in(ids, clips))).slice(0, _SHOWN).to_pylist():
                yield f"{name}: clip_id {clip!r} is not in {built.first}"
        yield from _doubles(config, pa.concat_tables(parts))
    known = set(clips.to_pylist())
    for stone in built.info.tombstones:
        if stone.clip_id in known:
            yield f"{stone.clip_id!r} was taken down, but is in {built.first}"
    return f"{len(known)} different clip_id; every row has its own key"


def _doubles(config: str, keys: Any) -> Iterator[str]:
    """Keys that more than one row of a table has."""
    import pyarrow.compute as pc

    counted = keys.group_by(keys.column_names).aggregate([([], "count_all")])
    many = counted.filter(pc.greater(counted["count_all"], 1)).slice(0, _SHOWN)
    for row in many.to_pylist():
        times = row.pop("count_all")
        shown = ", ".join(map(repr, row.values()))
        yield f"{config}: {shown} occurs {'twice' if times == 2 else f'{times} times'}"


def check_manifest(built: BuiltDataset) -> Faults:
    """Clips that are missing or different in the manifest, and paths of the machine that built it."""
    import pyarrow.parquet as pq

    path = built.folder / MANIFEST_NAME
    if not path.is_file():
        return "there is none: the dataset was not made from clips"
    try:
        rows = {row.clip_id: row for row in read_rows(path)}
    except ManifestError as error:
        yield str(error)
        return ""
    n_clips = 0
    for split, name, file in built.files(built.first):
        table = pq.read_table(file, columns=["clip_id", "sha256"])
        for clip, sha256 in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if sha256 is None:
                continue  # a row of scores without a clip
            row = rows.get(clip)
            n_clips += 1
            if row is None:
                yield f"{name}: {clip!r} is not in {MANIFEST_NAME}"
            elif (row.sha256, row.split) != (sha256, split):
                yield f"{clip!r} has another hash or split in {MANIFEST_NAME} than in {name}"
    placed = sum(row.split is not None for row in rows.values())
    if placed != n_clips:
        yield f"{MANIFEST_NAME} places {placed} clips in splits, {built.first} has {n_clips}"
    for row in rows.values():
        if row.stamp is not None or row.source.location.startswith("/"):
            yield f"{row.clip_id!r} carries paths of the machine that built it"
    return f"{len(rows)} rows agree with {built.first}"
