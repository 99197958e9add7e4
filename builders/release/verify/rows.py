"""Checks of a built dataset's rows: ranges, nulls, ids, and the manifest beside them."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from theval_datasets.engines.local import ONE_PROCESS
from theval_datasets.engines.messages import WorkerLost
from theval_datasets.errors import InputError, ManifestError
from theval_datasets.manifest.rows import MANIFEST_NAME, read_rows
from theval_datasets.utils.files import inside
from theval_datasets.utils.stores import Location, inside_of, staged

from .built import BuiltDataset, Faults
from .columns import faults_of

_SHOWN: Final = 5


def check_values(built: BuiltDataset) -> Faults:
    """Faults of ranges, nulls and rows; the files are read by several processes."""
    configs = built.info.configs
    files = [(config, name) for config in configs for _, name, _ in built.files(config)]
    n_bytes = sum(built.info.files[name].n_bytes for _, name in files if name in built.info.files)
    engine = built.engine.for_own_files(len(files), n_bytes)
    here = replace(built, folder=built.folder.absolute(), engine=ONE_PROCESS)
    checker = functools.partial(_values_checker, here)
    for (_, name), faults in engine.map(checker, files, ordered=True):
        if isinstance(faults, WorkerLost):
            yield f"{name}: it was not checked: {faults}"
        else:
            yield from (f"{name}: {fault}" for fault in faults)
    columns = sum(len(config.columns) for config in configs.values())
    return f"{columns} columns are within their ranges; every null has its reason"


def _values_checker(built: BuiltDataset) -> Callable[[tuple[str, str]], list[str]]:
    """The check of one file's values, given its config and name."""

    def check(file: tuple[str, str]) -> list[str]:
        config, name = file
        faults: list[str] = []
        try:
            path: Location = inside(built.folder, name)
            if built.origin is not None and not path.exists():  # this is another machine
                path = inside_of(built.origin, name)
            with staged(path) as here:
                faults.extend(faults_of(here, config, built.info.configs[config], built.builder))
        except (InputError, OSError, ValueError, KeyError) as error:  # the file is damaged
            faults.append(f"{type(error).__name__}: {error}")
        return faults

    return check


def check_ids(built: BuiltDataset) -> Faults:
    """Keys that are null or occur twice, and clips that the default config lacks or that were taken down."""
    import pyarrow.parquet as pq

    clips = KeySet()
    for config, config_info in built.info.configs.items():
        keys = KeySet()
        for _, name, path in built.files(config):
            has_clip_id = "clip_id" in pq.read_schema(path).names
            strange: dict[str, None] = {}
            null = False
            for batch in _batches(path, {*config_info.key, *(["clip_id"] if has_clip_id else [])}):
                key = [batch[column] for column in config_info.key]
                null = null or any(column.null_count for column in key)
                keys.add(zip(*(column.to_pylist() for column in key), strict=True))
                if not has_clip_id:
                    continue
                ids = [(clip,) for clip in batch["clip_id"].unique().drop_null().to_pylist()]
                if config == built.first:
                    clips.add(ids)
                elif len(strange) < _SHOWN:
                    strange |= dict.fromkeys(clip for (clip,) in clips.lacking(ids))
            if null:
                yield f"{name}: {', '.join(config_info.key)} is null in a row"
            for clip in list(strange)[:_SHOWN]:
                yield f"{name}: clip_id {clip!r} is not in {built.first}"
        if keys.has_doubles():
            yield from _doubles(config, built)
    gone = {(stone.clip_id,) for stone in built.info.tombstones}
    for (clip,) in sorted(gone - set(clips.lacking(gone))):
        yield f"{clip!r} was taken down, but is in {built.first}"
    return f"{clips.n_different()} different clip_id; every row has its own key"


def _batches(path: Path, columns: Iterable[str]) -> Iterator[Any]:
    """Some columns of a file, some rows at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(columns=sorted(columns))


class KeySet:
    """Set of keys, stored as hashes of eight bytes; callers look up exactly what it reports.

    Examples:
        >>> keys = KeySet()
        >>> keys.add([("a",), ("b",), ("a",)])
        >>> keys.n_different(), keys.has_doubles(), keys.lacking([("b",), ("c",)])
        (2, True, [('c',)])
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._different: Any = None

    def add(self, keys: Iterable[tuple[Any, ...]]) -> None:
        """Add keys."""
        self._hashes.extend(map(hash, keys))
        self._different = None

    def n_different(self) -> int:
        """Number of different keys."""
        import numpy as np

        if self._different is None:
            self._different = np.unique(np.array(self._hashes))
        return len(self._different)

    def has_doubles(self) -> bool:
        """Whether a key was added twice."""
        return self.n_different() < len(self._hashes)

    def lacking(self, keys: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The keys that were not added."""
        import numpy as np

        listed = list(keys)
        if not self.n_different():
            return listed
        hashes = np.array([hash(key) for key in listed], np.int64)
        places = np.minimum(np.searchsorted(self._different, hashes), len(self._different) - 1)
        known = self._different[places] == hashes
        return [key for key, there in zip(listed, known.tolist(), strict=True) if not there]

    def equals(self, other: KeySet) -> bool:
        """Whether the same keys were added as often."""
        import numpy as np

        return np.array_equal(np.sort(np.array(self._hashes)), np.sort(np.array(other._hashes)))


def _doubles(config: str, built: BuiltDataset) -> Iterator[str]:
    """Keys that more than one row of a table has."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    key = list(built.info.configs[config].key)
    keys = pa.concat_tables(pq.read_table(path, columns=key) for _, _, path in built.files(config))
    counted = keys.group_by(key).aggregate([([], "count_all")])
    many = counted.filter(pc.greater(counted["count_all"], 1)).slice(0, _SHOWN)
    for row in many.to_pylist():
        times = row.pop("count_all")
        shown = ", ".join(map(repr, row.values()))
        yield f"{config}: {shown} occurs {'twice' if times == 2 else f'{times} times'}"


def check_manifest(built: BuiltDataset) -> Faults:
    """Clips that are missing or different in the manifest, and paths of the machine that built it."""
    path = built.folder / MANIFEST_NAME
    if not path.is_file():
        return "there is none: the dataset was not made from clips"
    present, listed = KeySet(), KeySet()
    for split, _, file in built.files(built.first):
        present.add((*clip, split) for clip in _clips(file))
    n_rows = 0
    private = []
    try:
        for row in read_rows(path):
            n_rows += 1
            if row.split is not None:
                listed.add([(row.clip_id, row.sha256, row.split)])
            if row.stamp is not None or row.source.location.startswith("/"):
                private.append(row.clip_id)
    except ManifestError as error:
        yield str(error)
        return ""
    if not present.equals(listed):
        yield from _disagreements(built, path)
    for clip in private:
        yield f"{clip!r} carries paths of the machine that built it"
    return f"{n_rows} rows agree with {built.first}"


def _clips(file: Path) -> Iterator[tuple[str, str]]:
    """`clip_id` and hash of the rows with a clip, of a file of the default config."""
    for batch in _batches(file, ("clip_id", "sha256")):
        rows = zip(batch["clip_id"].to_pylist(), batch["sha256"].to_pylist(), strict=True)
        yield from (row for row in rows if row[1] is not None)  # others are scores without a clip


def _disagreements(built: BuiltDataset, path: Path) -> Iterator[str]:
    """The differences of the manifest and the default config by name; their rows are held."""
    rows = {row.clip_id: (row.sha256, row.split) for row in read_rows(path)}
    n_clips = 0
    for split, name, file in built.files(built.first):
        for clip, sha256 in _clips(file):
            n_clips += 1
            if clip not in rows:
                yield f"{name}: {clip!r} is not in {MANIFEST_NAME}"
            elif rows[clip] != (sha256, split):
                yield f"{clip!r} has another hash or split in {MANIFEST_NAME} than in {name}"
    placed = sum(split is not None for _, split in rows.values())
    if placed != n_clips:
        yield f"{MANIFEST_NAME} places {placed} clips in splits, {built.first} has {n_clips}"
