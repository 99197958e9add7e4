"""Making the clips of a manifest again, and saying how near they come to what is listed.

Each source is fetched once, every clip cut as its row says, and compared: `identical` (the same
bytes); `equivalent` (as many frames but for one, pictures and sound that agree within the bounds of
`compare`); `changed`; `gone` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from theval_datasets import media
from theval_datasets.errors import InputError
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    REJECTED_NAME,
    Manifest,
    ManifestRow,
    write_manifest,
)
from theval_datasets.utils.files import safe_name
from theval_datasets.utils.jsonl import line_of, read_journal
from theval_datasets.utils.progress import progress

from ..clips.files import AUDIO, FRAMES
from ..pipeline.earlier import taken_down
from ..sources.fetching.options import FetchOptions
from .compare import compared
from .rebuilt import REPORT_NAME, Rebuilt, row_digest, write_report
from .remake import remake, source_file


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """How to go about it.

    Attributes:
        cache: Path or URL of the feature cache, for comparing.
        root: What local sources are relative to; the manifest's folder if None.
        workers: Clips cut at once.
        fetch: How to fetch addresses.
    """

    cache: str
    root: Path | None = None
    workers: int = 1
    fetch: FetchOptions = field(default_factory=FetchOptions)


def rebuild(
    manifest: Manifest, output: Path, options: RebuildOptions, down: Set[str] = frozenset()
) -> list[Rebuilt]:
    """Make the clips of a manifest.

    Args:
        manifest: What is listed.
        output: Another folder than the manifest's; may hold a part already.
        options: Root, cache, workers, fetching.
        down: Ids of clips that were taken down; those with a tombstone in the output are too.

    Raises:
        InputError: The output is the manifest's own folder, or no folder at all.
    """
    if output.resolve() == manifest.folder.resolve():
        raise InputError("rebuild into another folder than the manifest's: -o DIR")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is no folder: name another with -o.")
    output.mkdir(parents=True, exist_ok=True)
    down = down | taken_down(output)
    earlier = {one.clip_id: one for one in read_journal(output / REPORT_NAME, Rebuilt)}
    results: list[Rebuilt] = []
    groups: dict[tuple[str, str], list[ManifestRow]] = {}
    for row in manifest.rows:
        old = earlier.get(row.clip_id)
        if row.clip_id in down:
            results.append(Rebuilt(row.clip_id, "taken-down"))
        elif row.reason is not None or row.sha256 is None:
            continue
        elif old is not None and old.good and old.row == row_digest(row) and old.file(output):
            results.append(old)
        else:
            groups.setdefault((row.source.kind, row.source.location), []).append(row)
    store = FeatureStore((Fingerprints(),), options.cache)
    root = options.root or manifest.folder
    total = sum(map(len, groups.values()))
    with (
        (output / REPORT_NAME).open("ab") as journal,
        ThreadPoolExecutor(max(1, options.workers)) as pool,
        progress(total, "rebuild") as bar,
    ):
        for rows in groups.values():
            source = source_file(rows[0], root, output, options.fetch)
            jobs = [pool.submit(remake, row, source, output) for row in rows]
            for row, job in zip(rows, jobs, strict=True):
                made = compared(job.result(), row, manifest, store)
                journal.write(line_of(made))
                journal.flush()
                results.append(made)
                bar.update()
    results.sort(key=lambda one: one.clip_id)
    _write(results, manifest, output)
    return results


def _write(results: Sequence[Rebuilt], manifest: Manifest, output: Path) -> None:
    """The manifest of what was made, and the report, whole."""
    rows: Mapping[str, ManifestRow] = {row.clip_id: row for row in manifest.rows}
    kept: list[ManifestRow] = []
    rest: list[ManifestRow] = []
    for one in results:
        row = rows[one.clip_id]
        if one.status == "taken-down":
            continue
        clip = one.file(output) if one.good else None
        if clip is None:
            rest.append(replace(row, path=None, stamp=None, reason=one.reason or one.status))
            continue
        kept.append(_row(row, one, clip, output))
    write_manifest(output / MANIFEST_NAME, kept)
    write_manifest(output / REJECTED_NAME, rest)
    write_report(output, results)


def _row(row: ManifestRow, one: Rebuilt, clip: Path, output: Path) -> ManifestRow:
    name = safe_name(row.clip_id)

    def there(file: str) -> str | None:
        return file if (output / file).is_file() else None

    return replace(
        row,
        path=clip.relative_to(output).as_posix(),
        sha256=one.sha256,
        stamp=one.stamp,
        media=row.media if one.status == "identical" else media.probe(clip),
        audio=there(f"{AUDIO}/{name}.wav"),
        audio_original=there(f"{AUDIO}/{name}.flac"),
        reference_frame=there(f"{FRAMES}/{name}.jpg"),
    )
