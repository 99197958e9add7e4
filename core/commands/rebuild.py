"""`theval-data rebuild`: the clips of a manifest, made again."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import InputError
from theval_datasets.manifest import MANIFEST_NAME, Manifest, read_manifest

if TYPE_CHECKING:
    from theval_datasets.curation.rebuild import Rebuilt
    from theval_datasets.curation.sources._options import FetchOptions

_REPO: Final = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """How near the clips came to what is listed.

    Attributes:
        manifest: Of what was made.
        results: One a row.
    """

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
        lines = [f"{counts or 'no clip'} in {self.manifest}"]
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
        manifest: The file, its folder, or a dataset's name at the Hub.
        output: Another folder.
        root: What local sources are relative to; by default the manifest's folder.
        workers: Clips cut at once; the number of cores if not given.
        cache: Path or URL of the feature cache, for comparing.
        fetch: How to fetch addresses.

    Raises:
        InputError: There is no such manifest, or it lists no clip.
    """
    from theval_datasets.cache import default_location
    from theval_datasets.curation.rebuild import RebuildOptions
    from theval_datasets.curation.rebuild import rebuild as make
    from theval_datasets.curation.sources._options import FetchOptions
    from theval_datasets.engines.local import default_workers

    rows = _manifest(manifest)
    options = RebuildOptions(
        cache or default_location(), root, workers or default_workers(), fetch or FetchOptions()
    )
    results = make(rows, output, options)
    if not results:
        raise InputError(f"{manifest} lists no clip: there is nothing to rebuild")
    return RebuildReport(output / MANIFEST_NAME, tuple(results))


def _manifest(name: str) -> Manifest:
    place = Path(name)
    if place.exists() or not _REPO.fullmatch(name):
        return read_manifest(place)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return read_manifest(Path(hf_hub_download(name, MANIFEST_NAME, repo_type="dataset")))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"There is no file or folder {name}, and no manifest in a dataset of that name: {error}"
        ) from None
