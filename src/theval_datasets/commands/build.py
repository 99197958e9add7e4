"""`theval-data build`: a Parquet dataset with its card, from a manifest and cached features."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theval_datasets import catalog
from theval_datasets.errors import InputError
from theval_datasets.utils.archives import locate
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from . import completion
from .options import (
    Address,
    CacheLocation,
    EngineName,
    Output,
    Settings,
    StrPath,
    Workers,
    path_or_url,
)

if TYPE_CHECKING:
    from theval_datasets.builders.base.builder import Builder
    from theval_datasets.builders.base.inputs import Inputs
    from theval_datasets.builders.release.write import Release
    from theval_datasets.utils.stores import Location

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildReport(Report):
    """Result of a build.

    Attributes:
        release: Folder of the dataset and contents of its `info.json`.
        videos: The videos of the official release that became the clips; None for other clips.
    """

    release: Release
    videos: Path | None = None

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        info = self.release.info
        return {
            "dataset": info.dataset,
            "version": info.version,
            "folder": str(self.release.folder),
            "configs": {
                name: {
                    "rows": {split: split_info.rows for split, split_info in config.splits.items()},
                    "bytes": sum(split_info.n_bytes for split_info in config.splits.values()),
                    "missing": dict(config.missing),
                }
                for name, config in info.configs.items()
            },
            "counts": dict(info.counts),
            "not_extracted": dict(self.release.not_extracted),
            "notes": list(info.notes),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per config and split."""
        return [
            {"config": name, "split": split, "rows": info.rows, "bytes": info.n_bytes}
            for name, config in self.release.info.configs.items()
            for split, info in config.splits.items()
        ]

    def to_text(self) -> str:
        """For people."""
        info = self.release.info
        lines = [f"{info.dataset} {info.version} in {self.release.folder}"]
        for name, config in info.configs.items():
            rows = ", ".join(
                f"{split} {split_info.rows}" for split, split_info in config.splits.items()
            )
            size = sum(split_info.n_bytes for split_info in config.splits.values())
            lines.append(f"  {name:<12} {rows} rows, {size / 1e6:.2f} MB")
        lines += [f"  note: {note}" for note in info.notes]
        lacking = self.release.not_extracted
        if lacking:
            listed = ", ".join(
                f"{name} of {count_of(count, 'clip')}" for name, count in lacking.items()
            )
            lines.append(
                f"  null, because the cache does not hold them: {listed}; run theval-data extract "
                "(theval-data doctor lists missing packages)"
            )
        if self.videos is not None and lacking:
            lines.append(
                "  cached features are found by file content: run theval-data curate "
                f"{shlex.quote(str(self.videos))} -o work, theval-data extract work, and build again"
            )
        folder = self.release.folder
        lines.append(f"to check it: theval-data verify {folder}")
        if isinstance(folder, Path):
            lines.append(
                f'to load it, in {folder.parents[1]}: datasets.load_dataset("{info.dataset}")'
            )
        else:
            files = f"{folder}/{next(iter(info.configs))}/*.parquet"
            lines.append(f'to load it: datasets.load_dataset("parquet", data_files="{files}")')
        return "\n".join(lines)


def build(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.datasets)],
    output: Output,
    *,
    manifest: Annotated[
        StrPath | None, typer.Option(metavar="MANIFEST", parser=path_or_url)
    ] = None,
    cache: CacheLocation = None,
    release: Annotated[StrPath | None, typer.Option(metavar="DIR|OWNER/NAME[@REV]")] = None,
    tables: Annotated[Sequence[str], typer.Option("--with", metavar="KIND=PATH")] = (),
    configs: Annotated[Sequence[str], typer.Option("--config", metavar="NAME")] = (),
    version: Annotated[str | None, typer.Option(metavar="X.Y.Z")] = None,
    without: Annotated[
        Sequence[str], typer.Option(metavar="EXTRACTOR", autocompletion=completion.extractors)
    ] = (),
    settings: Settings = (),
    anonymise: bool = False,
    repository: Annotated[str | None, typer.Option("--name", metavar="OWNER/NAME")] = None,
    split_by: Annotated[str | None, typer.Option(metavar="person|source|ATTRIBUTE")] = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
) -> BuildReport:
    """Build a dataset: a Parquet table for each config, with card, info.json and manifest.

    Args:
        name: Name of the dataset, such as ``theval`` or ``thqa-mt``; ``clips`` for the clips of any
            manifest under a name of one's own.
        output: Folder for datasets, a path or a URL; the dataset is written to ``theval/NAME`` below
            it, or to the ``--name``. Behind a URL nothing is replaced.
        manifest: Manifest of the clips, or a folder with one: a path or a URL.
        cache: Path or URL of the feature cache. Default: the cache that ``extract`` fills.
        release: Folder with the files of an official release, or its name at the Hub, for datasets
            whose releases are published there.
        tables: Further input, such as ``ratings=ratings.csv``; may be repeated.
        configs: Name of a config to build; may be repeated. Default: every config that the inputs
            allow.
        version: Semantic version of the dataset. Default: 0.1.0; if clips of the dataset in the
            output folder were taken down since its build, its next minor version.
        without: Extractor whose columns are left null, such as ``arcface``; may be repeated.
        settings: Parameter of an extractor with which ``extract`` was run, such as ``vst.size=base``;
            may be repeated. Default: each extractor's defaults.
        anonymise: Blur faces in still pictures, set face embeddings to null, and build no tables of
            video, sound or meshes.
        repository: Name of a dataset of ``clips``.
        split_by: Splits of ``clips``: train, validation and test without a common ``person`` or
            ``source``, or those that an attribute of the list names. Default: those of the manifest.
        engine: Engine that runs the work: processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of processes that write the files of large tables. Default: the number of
            cores.

    Raises:
        InputError, BuildError: If it cannot be built.
    """
    from theval_datasets.builders.base.inputs import Inputs, parse_tables
    from theval_datasets.builders.release.write import write_release
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.extraction.cache import Cache, default_location
    from theval_datasets.extraction.settings import read_settings
    from theval_datasets.utils.stores import location_of

    dataset: type[Builder] = catalog.load("dataset", name)
    given = parse_tables(list(tables))
    folder, notes = _release(dataset, release)
    inputs = Inputs(
        manifest_path=None if manifest is None else location_of(manifest),
        cache=Cache(str(cache or default_location())),
        release=folder,
        tables=given,
        notes=notes,
        without=frozenset(without),
        settings=read_settings(settings),
        anonymise=anonymise,
    )
    if dataset.NAME == "clips":
        dataset = _clips(inputs, repository, split_by)
    elif repository is not None or split_by is not None:
        raise InputError("--name and --split-by belong to theval-data build clips")
    place = location_of(output)
    with engine_of(engine, address, workers) as runs_on:
        made = write_release(
            dataset,
            inputs,
            place,
            version=version or _version_after_takedown(inputs, place / dataset.repository()),
            configs=tuple(configs) or None,
            engine=runs_on,
        )
    videos = None if manifest or not folder else locate(folder, *dataset.VIDEOS)
    return BuildReport(made, videos)


def _clips(inputs: Inputs, name: str | None, split_by: str | None) -> type[Builder]:
    """The dataset of a manifest's clips under its name."""
    from theval_datasets.builders.clips import clips_dataset

    if name is None:
        raise InputError("theval-data build clips needs --name OWNER/NAME")
    return clips_dataset(name, inputs.rows, split_by)


def _version_after_takedown(inputs: Inputs, folder: Location) -> str | None:
    """The version of a release in place, raised if clips were taken down since it was built.

    Returns:
        None if the folder holds no dataset, or no clip was taken down, or it lies behind a URL, where
        nothing is replaced.
    """
    from theval_datasets.manifest.info import INFO_NAME, parse_version, read_info

    if not isinstance(folder, Path) or not inputs.gone or not (folder / INFO_NAME).is_file():
        return None
    info = read_info(folder)
    if inputs.gone <= {stone.clip_id for stone in info.tombstones}:
        return info.version
    major, minor, _ = parse_version(info.version)
    return f"{major}.{minor + 1}.0"


def _release(dataset: type[Builder], given: StrPath | None) -> tuple[Path | None, tuple[str, ...]]:
    """Folder of a release, downloaded if a repository was named, and notes on its origin."""
    from theval_datasets.hub.download import download, is_name

    if given is None or Path(given).exists() or not dataset.RELEASE or not is_name(str(given)):
        return None if given is None else Path(given), ()
    fetched = download(str(given), dataset.RELEASE)
    _log.info("the release %s is in %s", given, fetched.folder)
    note = f"The release is {fetched.repo_id} at the Hub, revision {fetched.revision}."
    return fetched.folder, (note,)
