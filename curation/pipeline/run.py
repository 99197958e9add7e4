"""A curated run: sources in, clips and their manifest out; can be killed and run again at any time.

Rows are written to a journal as they are done, and the manifest in one piece at the end. A row of
an earlier run is taken over while its file's size and time, the recipe and the tools agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from theval_datasets.extraction.engines.local import LocalEngine
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.manifest.rows import MANIFEST_NAME, REJECTED_NAME, ManifestRow, write_manifest
from theval_datasets.manifest.tombstones import TOMBSTONES_NAME, read_tombstones
from theval_datasets.utils.jsonl import read_journal
from theval_datasets.utils.progress import progress

from ..clips.adopt import Job, adopt, gone_row, still_good
from ..clips.naming import clip_ids
from ..duplicates.matching import prints_in_hex
from ..recipes.recipe import Recipe
from ..sources.base import Source, SourceFailure, SourceFile

JOURNAL: Final = ".curate.jsonl"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run.

    Attributes:
        kept: Rows of the manifest.
        rejected: Rows with the reason why there is no clip.
        reused: How many of both were taken over from an earlier run.
        dropped: Rows of an earlier run whose sources were not given again.
        skipped: Files that are no media, by suffix.
        notes: What was not as the recipe wants it, in sentences.
    """

    kept: tuple[ManifestRow, ...]
    rejected: tuple[ManifestRow, ...]
    reused: int
    dropped: int
    skipped: dict[str, int]
    notes: tuple[str, ...] = ()


def run(
    sources: Sequence[Source],
    recipe: Recipe,
    output: Path,
    *,
    cache: str,
    workers: int = 1,
    language: str | None = None,
) -> Run:
    """Curate by a recipe that takes sources as they are.

    Args:
        sources: Where clips come from; every item becomes a row.
        recipe: What to do with them.
        output: The folder of the manifest, the clips, their audio and reference frames.
        cache: Path or URL of the feature cache, for fingerprints of what was fetched.
        workers: Files worked on at once.
        language: What is spoken in sources that do not say.
    """
    items = items_of(sources, language)
    if not items:
        return Run((), (), 0, 0, skipped_by(sources))
    names = clip_ids([(item.name, item.group) for item in items])
    down = taken_down(output)
    items = [item for name, item in zip(names, items, strict=True) if name not in down]
    names = [name for name in names if name not in down]
    output.mkdir(parents=True, exist_ok=True)
    earlier = earlier_rows(output)
    rows: list[ManifestRow] = []
    jobs: list[Job] = []
    reused = 0
    for name, item in zip(names, items, strict=True):
        if isinstance(item, SourceFailure):
            rows.append(gone_row(name, item, recipe))
            continue
        job = Job(name, item, recipe, output)
        old = earlier.get(name)
        if old is not None and _same_place(old, item) and still_good(old, job):
            rows.append(old)
            reused += 1
        else:
            jobs.append(job)
    with (output / JOURNAL).open("a", encoding="utf-8") as journal:
        for row in _work(jobs, workers):
            journal.write(row.to_json() + "\n")
            journal.flush()
            rows.append(row)
    kept = sorted((row for row in rows if row.reason is None), key=lambda row: row.clip_id)
    kept = _with_prints(kept, output, cache, workers)
    rejected = sorted((row for row in rows if row.reason is not None), key=lambda row: row.clip_id)
    write_manifest(output / MANIFEST_NAME, kept)
    write_manifest(output / REJECTED_NAME, rejected)
    (output / JOURNAL).unlink(missing_ok=True)
    dropped = len(earlier.keys() - set(names))
    return Run(tuple(kept), tuple(rejected), reused, dropped, skipped_by(sources))


def items_of(sources: Iterable[Source], language: str | None) -> list[SourceFile | SourceFailure]:
    """What all sources hold; those that do not say what is spoken in them are given a language."""
    items = [item for source in sources for item in source.items()]
    if language is None:
        return items
    return [
        replace(
            item,
            origin=msgspec.structs.replace(item.origin, language=item.origin.language or language),
        )
        for item in items
    ]


def skipped_by(sources: Iterable[Source]) -> dict[str, int]:
    """What all sources passed over, by suffix or kind."""
    skipped: Counter[str] = Counter()
    for source in sources:
        skipped.update(source.skipped())
    return dict(sorted(skipped.items()))


def _with_prints(
    rows: Sequence[ManifestRow], output: Path, cache: str, workers: int
) -> list[ManifestRow]:
    """Fingerprints in the rows of what was fetched: sites encode again, and `rebuild` can tell.

    Local files have none, so that taking a folder as it is decodes nothing.
    """
    lacking = [row for row in rows if row.source.kind == "url" and row.phash is None]
    if not lacking:
        return list(rows)
    store = FeatureStore((Fingerprints(),), cache)
    jobs = jobs_of((row.clip_id, output / str(row.path), str(row.sha256)) for row in lacking)
    store.compute(jobs, LocalEngine(workers), "fingerprints")
    found = {}
    for row in lacking:
        feature = store.find("fingerprints", str(row.sha256))
        if feature is not None and feature.outcome.status == "ok":
            seen, heard = prints_in_hex(feature.values)
            found[row.clip_id] = msgspec.structs.replace(row, phash=seen, audio_print=heard)
    return [found.get(row.clip_id, row) for row in rows]


def _work(jobs: Sequence[Job], workers: int) -> Iterator[ManifestRow]:
    with (
        ThreadPoolExecutor(max(1, workers)) as pool,
        progress(len(jobs), "curate", unit="file") as bar,
    ):
        pending = [pool.submit(adopt, job) for job in jobs]
        try:
            for done in as_completed(pending):
                bar.update()
                yield done.result()
        finally:
            for future in pending:
                future.cancel()


def taken_down(output: Path) -> frozenset[str]:
    """Ids of clips that must not be made again: the tombstones beside the manifest."""
    return frozenset(stone.clip_id for stone in read_tombstones(output / TOMBSTONES_NAME))


def earlier_rows(output: Path) -> dict[str, ManifestRow]:
    """Rows of earlier runs, finished or not."""
    names = (MANIFEST_NAME, REJECTED_NAME, JOURNAL)
    rows = (row for name in names for row in read_journal(output / name, ManifestRow))
    return {row.clip_id: row for row in rows}


def _same_place(row: ManifestRow, item: SourceFile) -> bool:
    """Whether the row says what is now known of where the file comes from."""
    expected = item.origin.location or row.path or item.name
    known = (row.source.kind, row.source.location, row.source.language)
    return known == (item.origin.kind, expected, item.origin.language)
