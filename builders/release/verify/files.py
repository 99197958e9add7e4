"""Checks of a built dataset's files: hashes, columns, counts."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from theval_datasets.engines.limits import default_workers
from theval_datasets.manifest.info import INFO_NAME
from theval_datasets.utils.files import inside, sha256_file

from ..counts import recount
from .built import BuiltDataset, Faults, types_differ


def check_files(built: BuiltDataset) -> Faults:
    """Files that are missing, changed, or not listed."""
    with ThreadPoolExecutor(
        min(max(1, built.engine.workers), default_workers())
    ) as pool:  # hashing leaves the interpreter to others
        for fault in pool.map(functools.partial(_file_fault, built), built.info.files):
            if fault is not None:
                yield fault
    present = {
        path.relative_to(built.folder).as_posix()
        for path in built.folder.rglob("*")
        if path.is_file() and not _is_foreign(path.relative_to(built.folder))
    }
    present |= {name for name in built.further if not _is_foreign(Path(name))}
    for name in sorted(present - set(built.info.files) - {INFO_NAME}):
        yield f"{name} is not listed in {INFO_NAME}"
    listed = {name for config in built.info.configs for _, name, _ in built.files(config)}
    for name in sorted(listed - set(built.info.files)):
        yield f"{name} belongs to a split, but is not listed among the files"
    return f"{len(built.info.files)} files have the size and hash they had when written"


def _file_fault(built: BuiltDataset, name: str) -> str | None:
    """Fault of a listed file, in words; None if it has none."""
    path, expected = inside(built.folder, name), built.info.files[name]
    if not path.is_file():
        return f"{name} is not there"
    if path.stat().st_size != expected.n_bytes:
        return f"{name} has {path.stat().st_size} bytes, {INFO_NAME} says {expected.n_bytes}"
    if sha256_file(path) != expected.sha256:
        return f"{name} is not the file that was written: its hash differs"
    return None


def _is_foreign(path: Path) -> bool:
    """Whether a file belongs to git or the Hub's client."""
    return path.parts[0] in (".git", ".cache", ".gitattributes", ".huggingface")


def check_schema(built: BuiltDataset) -> Faults:
    """Columns and types that differ from the listed ones, or from those that this package declares."""
    import datasets
    import pyarrow.parquet as pq

    for config, config_info in built.info.configs.items():
        expected = {column.name: column.type for column in config_info.columns}
        for _, name, path in built.files(config):
            features = datasets.Features.from_arrow_schema(pq.read_schema(path))
            actual = {column: repr(feature) for column, feature in features.items()}
            if list(actual.items()) != list(expected.items()):
                yield f"{name}: {types_differ(expected, actual)}"
        if built.declares(config):
            assert built.builder is not None
            declared = {f.name: repr(f.type) for f in built.builder.FIELDS[config]}
            lacking = {k: v for k, v in declared.items() if expected.get(k) != v}
            if lacking:
                yield f"{config}: not as this package declares it: {', '.join(sorted(lacking))}"
    return f"{len(built.info.configs)} configs have the declared columns and types"


def check_counts(built: BuiltDataset) -> Faults:
    """Rows, bytes and counts that differ from those of the files."""
    import pyarrow.parquet as pq

    for config, config_info in built.info.configs.items():
        for split, numbers in config_info.splits.items():
            files = [path for at, _, path in built.files(config) if at == split]
            rows = sum(pq.read_metadata(path).num_rows for path in files)
            size = sum(path.stat().st_size for path in files)
            if rows != numbers.rows:
                yield f"{config}/{split}: {rows} rows, {INFO_NAME} says {numbers.rows}"
            if size != numbers.n_bytes:
                yield f"{config}/{split}: {size} bytes, {INFO_NAME} says {numbers.n_bytes}"
    names = dict.fromkeys(("clips", *built.info.counts))
    counted = recount(built.folder, built.info.configs, names)
    if not counted["clips"]:
        yield f"{built.first} has no rows"
    for name, number in counted.items():
        if built.info.counts.get(name) != number:
            yield f"{number} {name}, {INFO_NAME} says {built.info.counts.get(name)}"
    return ", ".join(f"{number} {name}" for name, number in counted.items())
