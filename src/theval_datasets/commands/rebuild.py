"""`theval-data rebuild`: the clips of a manifest, made again."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theval_datasets.errors import BuildError, InputError
from theval_datasets.manifest.info import INFO_NAME, TOMBSTONES_NAME, read_info, read_tombstones
from theval_datasets.manifest.rows import MANIFEST_NAME, Manifest, read_manifest

if TYPE_CHECKING:
    from theval_datasets.curation.rebuild.rebuilt import Rebuilt
    from theval_datasets.curation.sources.fetching.options import FetchOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """How near the clips came to what is listed.

    Attributes:
        of: What was made again: the manifest's file or folder, or dataset and commit at the Hub.
        manifest: Of what was made.
        results: One a row.
    """

    of: str
    manifest: Path
    results: tuple[Rebuilt, ...]

    @property
    def exit_code(self) -> int:
        """1 if anything is neither identical nor equivalent."""
        return int(any(not one.good for one in self.results))

    @property
    def counts(self) -> dict[str, int]:
        """Rows by status."""
        return dict(sorted(Counter(one.status for one in self.results).items()))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "of": self.of,
            "manifest": str(self.manifest),
            "counts": self.counts,
            "not_as_listed": [
                {
                    "clip_id": one.clip_id,
                    "status": one.status,
                    "reason": one.reason,
                    "detail": one.detail,
                    "frames": one.frames,
                    "audio": one.audio,
                }
                for one in self.results
                if one.status != "identical"
            ],
        }

    def to_text(self) -> str:
        """Counts, and what is not identical."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        lines = [f"{counts or 'no clip'} in {self.manifest}, of {self.of}"]
        for one in self.results:
            if one.status == "identical":
                continue
            why = f" ({one.reason})" if one.reason else ""
            said = f": {one.detail}" if one.detail else ""
            lines.append(f"  {one.status}{why}: {one.clip_id}{said}")
        return "\n".join(lines)


def rebuild(
    manifest: str,
    output: Path,
    *,
    root: Path | None = None,
    workers: int | None = None,
    cache: str | None = None,
    fetch: FetchOptions | None = None,
) -> RebuildReport:
    """Make the clips of a manifest again.

    Args:
        manifest: The file, its folder (a built dataset's too), or ``OWNER/NAME`` or
            ``OWNER/NAME@REVISION`` at the Hub.
        output: Another folder.
        root: What local sources are relative to; by default the manifest's folder.
        workers: Clips cut at once; the number of cores if not given.
        cache: Path or URL of the feature cache, for comparing.
        fetch: How to fetch addresses.

    Raises:
        InputError: There is no such manifest, or it lists no clip.
        BuildError: The Hub cannot be reached.
    """
    from theval_datasets.curation.rebuild.rebuild import RebuildOptions
    from theval_datasets.curation.rebuild.rebuild import rebuild as make
    from theval_datasets.curation.sources.fetching.options import FetchOptions
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.extraction.engines.local import default_workers

    of, rows, down = _listed(manifest)
    options = RebuildOptions(
        cache or default_location(), root, workers or default_workers(), fetch or FetchOptions()
    )
    results = make(rows, output, options, down)
    if not results:
        raise InputError(f"{manifest} lists no clip: there is nothing to rebuild")
    return RebuildReport(of, output / MANIFEST_NAME, tuple(results))


def _listed(name: str) -> tuple[str, Manifest, frozenset[str]]:
    """What is meant, its manifest, and the clips that were taken down."""
    from theval_datasets.hub.download import download, is_name

    place = Path(name)
    if place.exists() or not is_name(name):
        rows = read_manifest(place)
        return name, rows, _taken_down(rows.folder)
    wanted = (MANIFEST_NAME, TOMBSTONES_NAME, INFO_NAME)
    found = download(name, wanted)
    down = _taken_down(found.folder)
    if "@" in name:  # what was taken down since that revision stays down
        try:
            down |= _taken_down(download(found.repo_id, wanted[1:]).folder)
        except (BuildError, InputError) as error:
            _log.warning("whether clips were taken down later is not known: %s", error)
    return f"{found.repo_id}@{found.revision}", read_manifest(found.folder), down


def _taken_down(folder: Path) -> frozenset[str]:
    """Ids with a tombstone beside a manifest, or in a built dataset's info."""
    stones = list(read_tombstones(folder / TOMBSTONES_NAME))
    if (folder / INFO_NAME).is_file():
        stones += read_info(folder).tombstones
    return frozenset(stone.clip_id for stone in stones)
