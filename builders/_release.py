"""Writes a release: Parquet for every config and split, manifest, card and `info.json`.

All of it goes to a temporary folder beside its place and is renamed into it at the end, so that
there is never half a dataset. The bytes depend on the content alone.
"""

from __future__ import annotations

import glob
import logging
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets import __version__
from theval_datasets.builders import _columns
from theval_datasets.builders._base import Builder, TableConfig
from theval_datasets.builders._fields import schema_of
from theval_datasets.builders._inputs import Inputs
from theval_datasets.cards.croissant import CROISSANT_NAME
from theval_datasets.cards.facts import read_facts
from theval_datasets.cards.plots import draw_scores
from theval_datasets.cards.render import CardText, croissant_json, render_card
from theval_datasets.errors import BuildError, InputError, UnknownNameError
from theval_datasets.files import sha256_file, write_text
from theval_datasets.info import (
    CARD_NAME,
    INFO_NAME,
    ConfigInfo,
    FileInfo,
    Info,
    SplitInfo,
    parse_version,
    write_info,
)
from theval_datasets.manifest import MANIFEST_NAME, write_manifest
from theval_datasets.progress import progress

_log = logging.getLogger(__name__)

SHARD_BYTES: Final = 500 << 20
"""Compressed size after which a split goes on in another file."""

_ZSTD_LEVEL: Final = 6
_ZSTD_LEVEL_SPLIT: Final = 13  # a tenth less of a mesh than 12, for 43 ms a clip of 13 s
_PAGE_BYTES: Final = 4 << 20
_UNCACHED: Final = "release"  # the cache of `datasets` is not used: no need to tell inputs apart


@dataclass
class Release:
    """A release that was written.

    Attributes:
        folder: Where it is.
        info: What it says of itself.
        not_extracted: Extractor to the number of clips that the cache holds nothing of.
    """

    folder: Path
    info: Info
    not_extracted: Mapping[str, int] = field(default_factory=dict)


def write_release(
    dataset: type[Builder],
    inputs: Inputs,
    out: Path,
    *,
    version: str | None = None,
    configs: Sequence[str] | None = None,
    decoder: str | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Release:
    """Build a dataset into ``out/theval/NAME``.

    Args:
        dataset: Its class.
        inputs: What it is built from.
        out: The folder under which it is written. A release that is there already is replaced.
        version: Semantic version; the class's if not given.
        configs: Only these tables; all that the inputs suffice for if not given.
        decoder: Of the features; this machine's if not given.
        shard_bytes: See `SHARD_BYTES`.

    Raises:
        InputError, BuildError: If it cannot be built; nothing is left behind then.
    """
    version = str(dataset.VERSION) if version is None else version
    parse_version(version)
    folder = out / dataset.repository()
    _check_place(folder)
    with tempfile.TemporaryDirectory(prefix="theval-build-") as scratch:
        made = [
            dataset(
                name,
                inputs=inputs,
                version=version,
                decoder=decoder,
                cache_dir=scratch,
                hash=_UNCACHED,
            )
            for name in _wanted(dataset, inputs, configs, decoder, scratch)
        ]
        with _put_in_place(folder) as part:
            return _write(made, part, folder, version=version, shard_bytes=shard_bytes)


def _wanted(
    dataset: type[Builder],
    inputs: Inputs,
    configs: Sequence[str] | None,
    decoder: str | None,
    scratch: str,
) -> list[str]:
    available = dataset(
        inputs=inputs, decoder=decoder, cache_dir=scratch, hash=_UNCACHED
    ).available()
    if configs is None:
        return list(available)
    for name in configs:
        if name not in dataset.FIELDS:
            raise UnknownNameError(f"config of {dataset.repository()}", name, dataset.FIELDS)
        if name not in available:
            raise InputError(
                f"{dataset.repository()}: what was given does not suffice for the config {name!r}; "
                f"it does for {', '.join(available)}"
            )
    return [name for name in available if name in configs or name == dataset.DEFAULT_CONFIG_NAME]


def _write(
    made: Sequence[Builder], part: Path, folder: Path, *, version: str, shard_bytes: int
) -> Release:
    dataset = type(made[0])
    configs = {one.config.name: _write_config(one, part, shard_bytes) for one in made}
    first = made[0]
    if not configs[first.config.name].rows:
        raise BuildError(
            f"{dataset.repository()} would have no rows: nothing that was given holds a usable clip"
        )
    rows = list(first.manifest_rows())
    if rows:
        write_manifest(part / MANIFEST_NAME, rows)
    extractors = _columns.merged([one.reader(one.config.name) for one in made])
    draft = Info(
        dataset=dataset.repository(),
        version=version,
        toolkit=__version__,
        configs=configs,
        files=_files(part),
        card_sha256="",
        extractors=extractors,
        counts=_counts(part, configs[first.config.name], first),
        notes=first.notes(),
        study=first.study(),
        tombstones=first.inputs.tombstones,
    )
    pictures = draw_scores(part, configs[first.config.name])
    facts = read_facts(part, draft)
    said = card_text(dataset)
    write_text(part / CROISSANT_NAME, croissant_json(draft, facts, said))
    draft = replace(draft, files=_files(part))
    write_text(part / CARD_NAME, render_card(draft, facts, said, pictures))
    info = replace(draft, card_sha256=sha256_file(part / CARD_NAME), files=_files(part))
    write_info(part, info)
    missed: Counter[str] = Counter()
    for one in made:
        missed |= one.reader(one.config.name).not_extracted
    return Release(folder, info, dict(sorted(missed.items())))


def card_text(dataset: type[Builder]) -> CardText:
    """What a dataset's class says for its card; everything else is read from the files."""
    return CardText(
        title=dataset.TITLE,
        summary=dataset.SUMMARY,
        tasks=dataset.TASKS,
        tags=dataset.TAGS,
        limits=dataset.LIMITS,
        privacy=dataset.PRIVACY,
        cites=dataset.CITES,
        default_config=dataset.DEFAULT_CONFIG_NAME,
        readers={config.name: config.reader for config in dataset.BUILDER_CONFIGS},
        has_media={config.name: config.has_media for config in dataset.BUILDER_CONFIGS},
    )


def write_split(
    dataset: type[Builder],
    config: str,
    split: str,
    tables: Iterable[pa.Table],
    folder: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> list[Path]:
    """Write the Parquet files of one split as a release holds them, below `folder`."""
    writer = _SplitWriter(
        dataset.builder_configs[config],
        schema_of(dataset.FIELDS[config]),
        folder,
        split,
        shard_bytes,
    )
    for table in tables:
        writer.write(table)
    return [folder / name for name in writer.close().files]


def _write_config(builder: Builder, part: Path, shard_bytes: int) -> ConfigInfo:
    name = builder.config.name
    missing: Counter[str] = Counter()
    splits = {}
    for split, tables in builder.split_tables(name).items():
        writer = _SplitWriter(builder.config, builder.schema(name), part, split, shard_bytes)
        with progress(None, f"{name}/{split}", unit="row") as bar:
            for table in tables:
                writer.write(table)
                bar.update(len(table))
                if "missing" in table.column_names:
                    missing.update(e for entries in table["missing"].to_pylist() for e in entries)
        splits[split] = writer.close()
    return ConfigInfo(
        description=builder.config.description or "",
        columns=tuple(field.info() for field in builder.fields(name)),
        splits=splits,
        missing=dict(sorted(missing.items())),
        key=builder.config.key,
    )


class _SplitWriter:
    """Writes one split of one config as shards of row groups."""

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

    def write(self, table: pa.Table) -> None:
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


def _files(part: Path) -> dict[str, FileInfo]:
    found = sorted(p for p in part.rglob("*") if p.is_file() and p.name != INFO_NAME)
    return {
        path.relative_to(part).as_posix(): FileInfo(sha256_file(path), path.stat().st_size)
        for path in found
    }


def _counts(part: Path, config: ConfigInfo, builder: Builder) -> dict[str, int | float]:
    files = [part / name for split in config.splits.values() for name in split.files]
    counts: dict[str, int | float] = {"clips": config.rows}
    names = {column.name for column in config.columns}
    if "duration" in names:
        lengths = [v for f in files for v in pq.read_table(f, columns=["duration"])[0].to_pylist()]
        if any(v is not None for v in lengths):
            counts["seconds"] = round(sum(v for v in lengths if v is not None), 3)
    if "content_id" in names:
        contents = {
            v for f in files for v in pq.read_table(f, columns=["content_id"])[0].to_pylist()
        }
        counts["contents"] = len(contents)
    return dict(sorted((counts | builder.counts()).items()))


def _check_place(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is in the way: expected a folder, or nothing, there")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / INFO_NAME).is_file():
        raise InputError(
            f"{folder} holds something that is not a built dataset (no {INFO_NAME}); "
            "it is left as it is. Choose another -o, or move it away."
        )


def _sweep(folder: Path) -> None:
    """Remove what builds of this dataset left that were killed on this machine."""
    begin = f".{folder.name}.{socket.gethostname()}."
    for path in sorted(folder.parent.glob(f"{glob.escape(begin)}*")):
        process, _, kind = path.name.removeprefix(begin).partition(".")
        if not process.isdigit() or kind not in ("part", "old"):
            continue
        if int(process) != os.getpid() and _runs(int(process)):
            continue
        if kind == "old" and not folder.exists():
            path.rename(folder)  # killed between the two renames: this was the release
        else:
            shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _put_in_place(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    own = f".{folder.name}.{socket.gethostname()}.{os.getpid()}"
    part, old = folder.parent / f"{own}.part", folder.parent / f"{own}.old"
    part.mkdir()
    try:
        yield part
        _check_place(folder)
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
