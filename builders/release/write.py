"""Writing of a release: Parquet for every config and split, manifest, card and `info.json`.

It is written to a temporary folder beside its place and renamed at the end, so that there is never a
partial dataset. The bytes depend on the content alone.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from theval_datasets import __version__
from theval_datasets.cards.croissant import CROISSANT_NAME
from theval_datasets.cards.facts import read_facts
from theval_datasets.cards.plots import draw
from theval_datasets.cards.render import CardText, croissant_json, render_card
from theval_datasets.engines.base import Engine
from theval_datasets.engines.local import ONE_PROCESS
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.info import (
    CARD_NAME,
    INFO_NAME,
    ConfigInfo,
    FileInfo,
    Info,
    SplitInfo,
    parse_version,
    write_info,
)
from theval_datasets.manifest.rows import MANIFEST_NAME, ManifestRow, write_ordered_manifest
from theval_datasets.utils.files import sha256_file, storage_errors, write_text
from theval_datasets.utils.progress import progress
from theval_datasets.utils.stores import Location, RemotePath, spool_folder

from ..base.builder import Builder
from ..base.clips import frame_size_notes
from ..base.columns import merged
from ..base.inputs import Inputs
from .adopt import clips_of_release
from .counts import basic_counts
from .parquet_file import named, path_of
from .place import check_place, put_in_place, scratch_beside, sweep
from .remote import put_release, transfer_folder
from .shards import (
    SHARD_BYTES,
    UNCACHED,
    WrittenShard,
    shards_of,
    write_shards,
    write_tables,
)

_log = logging.getLogger(__name__)


@dataclass
class Release:
    """A written release.

    Attributes:
        folder: Folder of the release.
        info: Contents of its `info.json`.
        not_extracted: Number of clips without a cached outcome, by extractor.
    """

    folder: Location
    info: Info
    not_extracted: Mapping[str, int] = field(default_factory=dict)


def write_release(
    dataset: type[Builder],
    inputs: Inputs,
    out: Location,
    *,
    version: str | None = None,
    configs: Sequence[str] | None = None,
    decoder: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    engine: Engine = ONE_PROCESS,
) -> Release:
    """Build a dataset into ``out/theval/NAME``.

    Args:
        dataset: Class of the dataset.
        inputs: Inputs of the build.
        out: Output folder; an existing release below it is replaced. A release behind a URL is written
            here first, and never replaced, see `put_release`.
        version: Semantic version; by default the class's.
        configs: Names of the configs to build; by default all that can be built from the inputs.
        decoder: Decoder of the features; by default this machine's.
        shard_bytes: See `SHARD_BYTES`.
        engine: Engine whose workers write the files of large tables; it changes no byte.

    Raises:
        InputError, BuildError: If it cannot be built; no files are left then.
    """
    version = str(dataset.VERSION) if version is None else version
    parse_version(version)
    for name in configs or ():
        if name not in dataset.FIELDS:
            raise UnknownNameError(f"config of {dataset.repository()}", name, dataset.FIELDS)
    target = out / dataset.repository()
    if isinstance(target, Path):
        return _written(
            dataset, inputs, target, None, version, configs, decoder, shard_bytes, engine
        )
    transfer = None if engine.shares_disk else transfer_folder(target)
    with spool_folder() as here:
        folder = here / dataset.repository()
        made = _written(
            dataset, inputs, folder, transfer, version, configs, decoder, shard_bytes, engine
        )
        put_release(folder, target)
    return replace(made, folder=target)


def _written(
    dataset: type[Builder],
    inputs: Inputs,
    folder: Path,
    transfer: RemotePath | None,
    version: str,
    configs: Sequence[str] | None,
    decoder: str | None,
    shard_bytes: int,
    engine: Engine,
) -> Release:
    check_place(folder)
    with storage_errors(folder):
        sweep(folder)
    with (
        storage_errors(folder),
        engine,
        scratch_beside(folder, "scratch") as scratch,
        clips_of_release(
            dataset, inputs, folder, engine, lambda: _available(dataset, inputs, scratch, decoder)
        ) as given,
    ):
        made = [
            dataset(
                name,
                inputs=given,
                version=version,
                decoder=decoder,
                cache_dir=str(scratch),
                hash=UNCACHED,
            )
            for name in _wanted(dataset, given, configs, scratch, decoder)
        ]
        with put_in_place(folder) as part:
            writer = _TableWriter(part, scratch, shard_bytes, engine, transfer)
            return _write(made, writer, folder, version=version)


def _wanted(
    dataset: type[Builder],
    inputs: Inputs,
    configs: Sequence[str] | None,
    scratch: Path,
    decoder: str | None,
) -> list[str]:
    available = _available(dataset, inputs, scratch, decoder)
    if configs is None:
        return list(available)
    for name in configs:
        if name not in available:
            raise InputError(
                f"{dataset.repository()}: the inputs do not suffice for the config {name!r}; "
                f"they do for {', '.join(available)}"
                + (" (--anonymise leaves out video, sound and meshes)" if inputs.anonymise else "")
            )
    return [name for name in available if name in configs or name == dataset.DEFAULT_CONFIG_NAME]


def _available(
    dataset: type[Builder], inputs: Inputs, scratch: Path, decoder: str | None
) -> tuple[str, ...]:
    given = dataset(inputs=inputs, decoder=decoder, cache_dir=str(scratch), hash=UNCACHED)
    return given.offered()


def _write(made: Sequence[Builder], writer: _TableWriter, folder: Path, *, version: str) -> Release:
    dataset = type(made[0])
    part = writer.part
    configs = {builder.config.name: writer.write(builder) for builder in made}
    first = made[0]
    if not configs[first.config.name].rows:
        raise InputError(
            f"{dataset.repository()} would have no rows: none of the inputs holds a usable clip"
        )
    pictures_of: dict[tuple[int, int], ManifestRow] = {}  # a row for each size of pictures
    rows = _noting_sizes(first.manifest_rows(), pictures_of)
    if (row := next(rows, None)) is not None:
        write_ordered_manifest(part / MANIFEST_NAME, itertools.chain([row], rows))
    measured = {column.name for info in configs.values() for column in info.columns}
    sizes = frame_size_notes(pictures_of.values()) if "head_motion" in measured else ()
    extractors = merged([builder.reader(builder.config.name) for builder in made])
    draft = Info(
        dataset=dataset.repository(),
        version=version,
        toolkit=__version__,
        configs=configs,
        files=writer.files(),
        card_sha256="",
        extractors=extractors,
        counts=dict(sorted((basic_counts(part, configs) | first.counts()).items())),
        notes=(
            *first.inputs.remarks(),
            *first.notes(),
            *(note for builder in made for note in builder.join_notes()),
            *sizes,
        ),
        study=first.study(),
        tombstones=first.inputs.tombstones,
    )
    pictures = draw(part, dataset.NAME, configs)
    facts = read_facts(part, draft)
    text = card_text(dataset)
    write_text(part / CROISSANT_NAME, croissant_json(draft, facts, text))
    draft = replace(draft, files=writer.files())
    write_text(part / CARD_NAME, render_card(draft, facts, text, pictures))
    info = replace(draft, card_sha256=sha256_file(part / CARD_NAME), files=writer.files())
    write_info(part, info)
    missed: Counter[str] = Counter()
    for builder in made:
        missed |= builder.reader(builder.config.name).not_extracted
    return Release(folder, info, dict(sorted(missed.items())))


def card_text(dataset: type[Builder]) -> CardText:
    """The author's text for the card, from the dataset's class; everything else is read from the files."""
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
    )


def _noting_sizes(
    rows: Iterable[ManifestRow], seen: dict[tuple[int, int], ManifestRow]
) -> Iterator[ManifestRow]:
    for row in rows:
        if row.media is not None:
            seen.setdefault((row.media.width, row.media.height), row)
        yield row


class _TableWriter:
    """Writes the tables of a release.

    Args:
        part: Folder of the release.
        scratch: Folder for temporary files of `datasets`.
        shard_bytes: See `SHARD_BYTES`.
        engine: Engine whose workers write the files of large tables.
        transfer: See `write_shards`.
    """

    def __init__(
        self,
        part: Path,
        scratch: Path,
        shard_bytes: int,
        engine: Engine,
        transfer: RemotePath | None = None,
    ) -> None:
        self.part = part
        self._scratch = scratch
        self._shard_bytes = shard_bytes
        self._engine = engine
        self._transfer = transfer
        self._written: dict[str, FileInfo] = {}

    def write(self, builder: Builder) -> ConfigInfo:
        """Write the table of a builder's config."""
        name = builder.config.name
        folder = self.part / name
        shards: dict[str, dict[int, WrittenShard]] = {}
        for split, number, done in self._shards(builder, folder):
            shards.setdefault(split, {})[number] = done
        missing: Counter[str] = Counter()
        splits = {}
        for split, written in shards.items():
            files = [f"{name}/{file}" for file in named(folder, split, len(written))]
            for number, file in enumerate(files):
                self._written[file] = written[number].file
                missing.update(written[number].missing)
                builder.reader(name).not_extracted.update(written[number].not_extracted)
            splits[split] = SplitInfo(
                sum(done.rows for done in written.values()),
                sum(done.file.n_bytes for done in written.values()),
                sum(done.arrow_bytes for done in written.values()),
                tuple(files),
            )
        return ConfigInfo(
            description=builder.config.description or "",
            columns=tuple(field.info() for field in builder.fields(name)),
            splits=splits,
            missing=dict(sorted(missing.items())),
            key=builder.config.key,
        )

    def files(self) -> dict[str, FileInfo]:
        """Hash and size of every file of the release so far."""
        paths = sorted(p for p in self.part.rglob("*") if p.is_file() and p.name != INFO_NAME)
        names = {path.relative_to(self.part).as_posix(): path for path in paths}
        return {
            name: self._written.get(name) or FileInfo(sha256_file(path), path.stat().st_size)
            for name, path in names.items()
        }

    def _shards(self, builder: Builder, folder: Path) -> Iterator[tuple[str, int, WrittenShard]]:
        """Write all shards of a config; without any row, one without rows for every split."""
        name = builder.config.name
        sliceable = builder.sliceable(name)
        if sliceable:
            shards = shards_of(sliceable, builder.config.rows_per_table, self._shard_bytes)
            with progress(sum(len(s.rows) for s in shards), name, unit="row") as bar:
                for shard, done in write_shards(
                    builder, shards, folder, self._scratch, self._engine, self._transfer
                ):
                    bar.update(done.rows)
                    yield shard.split, shard.number, done
            return
        empty, any_rows = [], False
        for split, tables in builder.split_tables(name).items():
            number = 0
            with progress(None, f"{name}/{split}", unit="row") as bar:
                while (table := next(tables, None)) is not None:
                    done = write_tables(
                        builder,
                        itertools.chain([table], tables),
                        path_of(folder, split, number),
                        self._shard_bytes,
                    )
                    bar.update(done.rows)
                    yield split, number, done
                    number += 1
            any_rows = any_rows or number > 0
            if not number:
                empty.append(split)
        # `load_dataset` of a config fails if only some of its splits have rows
        for split in () if any_rows else empty:
            yield split, 0, write_tables(builder, (), path_of(folder, split, 0))
