"""Writing of a release: Parquet for every config and split, manifest, card and `info.json`.

It is written to a temporary folder beside its place and renamed at the end, so that there is never a
partial dataset. The bytes depend on the content alone.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from theval_datasets import __version__
from theval_datasets.cards.croissant import CROISSANT_NAME
from theval_datasets.cards.facts import read_facts
from theval_datasets.cards.plots import draw
from theval_datasets.cards.render import CardText, croissant_json, render_card
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.info import (
    CARD_NAME,
    INFO_NAME,
    ConfigInfo,
    FileInfo,
    Info,
    parse_version,
    write_info,
)
from theval_datasets.manifest.rows import MANIFEST_NAME, write_manifest
from theval_datasets.utils.files import sha256_file, storage_errors, write_text
from theval_datasets.utils.progress import progress

from ..base.builder import Builder
from ..base.clips import frame_size_notes
from ..base.columns import merged
from ..base.inputs import Inputs
from .adopt import clips_of_release
from .counts import basic_counts
from .place import check_place, put_in_place, sweep
from .split_writer import SHARD_BYTES, SplitWriter

_log = logging.getLogger(__name__)

_UNCACHED: Final = "release"  # constant, because the cache of `datasets` is not used


@dataclass
class Release:
    """A written release.

    Attributes:
        folder: Folder of the release.
        info: Contents of its `info.json`.
        not_extracted: Number of clips without a cached outcome, by extractor.
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
        dataset: Class of the dataset.
        inputs: Inputs of the build.
        out: Output folder; an existing release below it is replaced.
        version: Semantic version; by default the class's.
        configs: Names of the configs to build; by default all that can be built from the inputs.
        decoder: Decoder of the features; by default this machine's.
        shard_bytes: See `SHARD_BYTES`.

    Raises:
        InputError, BuildError: If it cannot be built; no files are left then.
    """
    version = str(dataset.VERSION) if version is None else version
    parse_version(version)
    for name in configs or ():
        if name not in dataset.FIELDS:
            raise UnknownNameError(f"config of {dataset.repository()}", name, dataset.FIELDS)
    folder = out / dataset.repository()
    check_place(folder)
    with storage_errors(folder):
        sweep(folder)
    with (
        storage_errors(folder),
        tempfile.TemporaryDirectory(prefix="theval-build-") as scratch,
        clips_of_release(
            dataset, inputs, folder, lambda: _available(dataset, inputs, scratch, decoder)
        ) as given,
    ):
        made = [
            dataset(
                name,
                inputs=given,
                version=version,
                decoder=decoder,
                cache_dir=scratch,
                hash=_UNCACHED,
            )
            for name in _wanted(dataset, given, configs, scratch, decoder)
        ]
        with put_in_place(folder) as part:
            return _write(made, part, folder, version=version, shard_bytes=shard_bytes)


def _wanted(
    dataset: type[Builder],
    inputs: Inputs,
    configs: Sequence[str] | None,
    scratch: str,
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
    dataset: type[Builder], inputs: Inputs, scratch: str, decoder: str | None
) -> tuple[str, ...]:
    given = dataset(inputs=inputs, decoder=decoder, cache_dir=scratch, hash=_UNCACHED)
    return given.offered()


def _write(
    made: Sequence[Builder], part: Path, folder: Path, *, version: str, shard_bytes: int
) -> Release:
    dataset = type(made[0])
    configs = {builder.config.name: _write_config(builder, part, shard_bytes) for builder in made}
    first = made[0]
    if not configs[first.config.name].rows:
        raise InputError(
            f"{dataset.repository()} would have no rows: none of the inputs holds a usable clip"
        )
    rows = list(first.manifest_rows())
    if rows:
        write_manifest(part / MANIFEST_NAME, rows)
    measured = {column.name for info in configs.values() for column in info.columns}
    sizes = frame_size_notes(rows) if "head_motion" in measured else ()
    extractors = merged([builder.reader(builder.config.name) for builder in made])
    draft = Info(
        dataset=dataset.repository(),
        version=version,
        toolkit=__version__,
        configs=configs,
        files=_files(part),
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
    draft = replace(draft, files=_files(part))
    write_text(part / CARD_NAME, render_card(draft, facts, text, pictures))
    info = replace(draft, card_sha256=sha256_file(part / CARD_NAME), files=_files(part))
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


def _write_config(builder: Builder, part: Path, shard_bytes: int) -> ConfigInfo:
    name = builder.config.name
    missing: Counter[str] = Counter()
    splits = {}
    empty = {}
    for split, tables in builder.split_tables(name).items():
        writer = SplitWriter(builder.config, builder.schema(name), part, split, shard_bytes)
        with progress(None, f"{name}/{split}", unit="row") as bar:
            for table in tables:
                writer.write(table)
                bar.update(len(table))
                if "missing" in table.column_names:
                    missing.update(e for entries in table["missing"].to_pylist() for e in entries)
        if writer.rows:
            splits[split] = writer.close()
        else:
            empty[split] = writer
    if not splits:  # `load_dataset` of a config fails if only some of its splits have rows
        splits = {split: writer.close() for split, writer in empty.items()}
    return ConfigInfo(
        description=builder.config.description or "",
        columns=tuple(field.info() for field in builder.fields(name)),
        splits=splits,
        missing=dict(sorted(missing.items())),
        key=builder.config.key,
    )


def _files(part: Path) -> dict[str, FileInfo]:
    paths = sorted(p for p in part.rglob("*") if p.is_file() and p.name != INFO_NAME)
    return {
        path.relative_to(part).as_posix(): FileInfo(sha256_file(path), path.stat().st_size)
        for path in paths
    }
