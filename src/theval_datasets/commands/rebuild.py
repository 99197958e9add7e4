"""`theval-data rebuild`: makes the clips of a manifest again and compares them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theval_datasets.engines.limits import TIME_LIMIT
from theval_datasets.errors import BuildError, InputError
from theval_datasets.manifest.info import INFO_NAME, read_info
from theval_datasets.manifest.tombstones import TOMBSTONES_NAME, read_tombstones
from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report
from theval_datasets.utils.stores import RemotePath, is_url, location_of, spool_folder

from .options import (
    Address,
    CacheLocation,
    EngineName,
    Fetch,
    Output,
    StrPath,
    TimeLimit,
    Workers,
    path_or_url,
)

if TYPE_CHECKING:
    from theval_datasets.curation.rebuild.results import RebuildResult
    from theval_datasets.manifest.rows import Manifest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RebuildReport(Report):
    """Comparison of rebuilt clips with those of the manifest.

    Attributes:
        of: Origin of the listed clips: a file, a folder, or dataset and commit at the Hub.
        manifest: Path of the manifest of the rebuilt clips.
        results: One per row.
    """

    of: str
    manifest: Path
    results: tuple[RebuildResult, ...]

    @property
    def exit_code(self) -> int:
        """1 if a clip is neither identical nor equivalent, else 0."""
        return int(any(not result.good for result in self.results))

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by status."""
        return dict(sorted(Counter(result.status for result in self.results).items()))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "of": self.of,
            "manifest": str(self.manifest),
            "counts": self.counts,
            "not_as_listed": [
                row for row in self.table() if row["status"] not in ("identical", "made")
            ],
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per clip."""
        names = ("clip_id", "status", "reason", "detail", "frames", "audio")
        return [{name: getattr(result, name) for name in names} for result in self.results]

    def to_text(self) -> str:
        """Counts, and the clips that are not identical."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        lines = [f"{counts or 'no clip'} in {self.manifest}, of {self.of}"]
        for result in self.results:
            if result.status == "identical" or (result.status == "made" and not result.detail):
                continue
            why = f" ({result.reason})" if result.reason else ""
            detail = f": {result.detail}" if result.detail else ""
            lines.append(f"  {result.status}{why}: {result.clip_id}{detail}")
        return "\n".join(lines)


def rebuild(
    manifest: Annotated[
        StrPath, typer.Argument(metavar="MANIFEST|OWNER/NAME[@REV]", parser=path_or_url)
    ],
    output: Output,
    *,
    root: Annotated[StrPath | None, typer.Option(metavar="DIR")] = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    time_limit: TimeLimit = TIME_LIMIT,
    cache: CacheLocation = None,
    fetch: Fetch = None,
) -> RebuildReport:
    """Make the clips of a manifest again, and compare them with the originals.

    Args:
        manifest: Manifest, its folder (also that of a built dataset), each a path or a URL, or the
            name of a dataset at the Hub.
        output: Folder for the clips, other than the manifest's; a path, since a run that was stopped
            goes on there.
        root: Folder that local sources are relative to. Default: the manifest's folder; behind a URL
            no sources are looked for.
        engine: Engine that runs the work: processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of clips cut at once. Default: the number of cores.
        time_limit: Time limit for work on one file, as a multiple of its duration (estimated: 40 s
            per MB); at least 30 minutes. A file that exceeds it fails with ``timeout``. 0: no limit.
        cache: Path or URL of the feature cache, for the comparison.
        fetch: Options of fetching.

    Raises:
        InputError: There is no such manifest, or it lists no clip.
        BuildError: The Hub cannot be reached.
    """
    from theval_datasets.curation.rebuild.rebuild import RebuildOptions
    from theval_datasets.curation.rebuild.rebuild import rebuild as make
    from theval_datasets.curation.sources.fetching.options import FetchOptions
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.manifest.rows import MANIFEST_NAME

    if is_url(output):
        raise InputError(f"expected a folder of this machine with -o, got {os.fspath(output)}")
    output = Path(output)
    of, rows, down = _listed(os.fspath(manifest))
    need("media")
    with engine_of(engine, address, workers, time_limit) as runs_on:
        options = RebuildOptions(
            str(cache or default_location()),
            None if root is None else Path(root),
            runs_on,
            fetch or FetchOptions(),
        )
        results = make(rows, output, options, down)
    if not results:
        raise InputError(f"{manifest} lists no clip: there is nothing to rebuild")
    return RebuildReport(of, output / MANIFEST_NAME, tuple(results))


def _listed(name: str) -> tuple[str, Manifest, frozenset[str]]:
    """Origin, manifest, and ids of the clips that were taken down."""
    from theval_datasets.hub.download import download, is_name
    from theval_datasets.manifest.rows import MANIFEST_NAME, read_manifest

    origin = location_of(name)
    if not isinstance(origin, Path):
        return name, *_stored(origin)
    place = origin
    if place.exists() or not is_name(name):
        rows = read_manifest(place)
        return name, rows, _taken_down(rows.folder)
    names = (MANIFEST_NAME, TOMBSTONES_NAME, INFO_NAME)
    files = download(name, names)
    down = _taken_down(files.folder)
    if "@" in name:  # clips that were taken down after that revision stay down
        try:
            down |= _taken_down(download(files.repo_id, names[1:]).folder)
        except (BuildError, InputError) as error:
            _log.warning("could not check whether clips were taken down later: %s", error)
    return f"{files.repo_id}@{files.revision}", read_manifest(files.folder), down


def _stored(place: RemotePath) -> tuple[Manifest, frozenset[str]]:
    """The manifest behind a URL, with what lies beside it that tells of takedowns."""
    from theval_datasets.manifest.rows import MANIFEST_NAME, read_manifest

    file = place if place.suffix == ".jsonl" else place / MANIFEST_NAME
    with spool_folder() as here:
        for path in (file, file.parent / TOMBSTONES_NAME, file.parent / INFO_NAME):
            name = MANIFEST_NAME if path is file else path.name
            try:
                path.download(here / name)
            except FileNotFoundError as error:
                if path is file:
                    raise InputError(f"there is no manifest at {file}: {error}") from None
        return read_manifest(here), _taken_down(here)


def _taken_down(folder: Path) -> frozenset[str]:
    """Ids with a tombstone beside a manifest, or in a built dataset's info."""
    stones = list(read_tombstones(folder / TOMBSTONES_NAME))
    if (folder / INFO_NAME).is_file():
        stones += read_info(folder).tombstones
    return frozenset(stone.clip_id for stone in stones)
