"""A curated run by a recipe that cuts or judges: scan, cut, measure, judge, finish.

Every step finds what earlier runs did by content (the feature cache, the candidates' index, finished
rows), so a run may be killed at any time and run again, and other thresholds measure nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theval_datasets import catalog
from theval_datasets.extraction.engines.local import LocalEngine
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.extraction.weights import warn_once
from theval_datasets.features.faces import Faces
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.features.person_landmarks import PersonLandmarks
from theval_datasets.features.person_pose import PersonPose
from theval_datasets.manifest.rows import MANIFEST_NAME, REJECTED_NAME, ManifestRow, write_manifest
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.optional import available
from theval_datasets.utils.progress import progress

from ..clips.adopt import gone_row
from ..clips.naming import clip_ids
from ..filters.base import Clip
from ..recipes.recipe import Recipe, write_recipe
from ..sources.base import Source, SourceFailure, SourceFile
from .candidate_files import cut_all, forget_others
from .candidates import Candidate, Lost, Material, scan, whole_files
from .finish import Finishing, finish
from .judge import Judged, judge_clips, needed
from .preflight import fetch_weights, listeners, shortcomings
from .rejected import lost_row, rejected_row
from .run import JOURNAL, Run, earlier_rows, items_of, skipped_by, taken_down


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes about it, beyond its recipe; none of it changes what is kept.

    Attributes:
        cache: Path or URL of the feature cache.
        workers: Processes for measuring, and files cut at once.
        references: Clips of other sets, for the leakage filter.
        anonymise: Whether faces are blurred in reference frames.
        language: What is spoken in sources that do not say.
    """

    cache: str
    workers: int = 1
    references: Sequence[Any] = ()
    anonymise: bool = False
    language: str | None = None


def run_recipe(sources: Sequence[Source], recipe: Recipe, output: Path, options: Options) -> Run:
    """Curate.

    Args:
        sources: Where material comes from.
        recipe: What to keep of it.
        output: The folder of the manifest and all files.
        options: Cache, workers, references.
    """
    wanted = _extractors(recipe)
    fetch_weights(wanted)
    notes = shortcomings(recipe, wanted, options.references)
    _warn(notes)
    items = items_of(sources, options.language)
    if not items:
        return Run((), (), 0, 0, skipped_by(sources), tuple(notes))
    names = clip_ids([(item.name, item.group) for item in items])
    output.mkdir(parents=True, exist_ok=True)
    write_recipe(recipe, output)
    materials, rejected = _materials(items, names, recipe)
    further, said = listeners(recipe, materials)
    if said:
        notes.append(said)
        _warn([said])
    wanted = tuple(dict.fromkeys((*wanted, *further)))
    candidates, lost = _candidates(materials, recipe, output, options)
    down = taken_down(output)
    candidates = [one for one in candidates if one.clip_id not in down]
    rejected += [lost_row(one, recipe) for one in lost if one.clip_id not in down]
    store = FeatureStore(wanted, options.cache)
    jobs = jobs_of((c.clip_id, c.path, c.sha256) for c in candidates)
    store.compute(jobs, LocalEngine(options.workers), "measure")
    seen = [(_clip(one), store.clip(one.sha256)) for one in candidates]
    verdicts = judge_clips(seen, recipe, options.references)
    earlier = earlier_rows(output)
    kept, reused = _finish(candidates, verdicts, store, recipe, output, options, earlier)
    for candidate, judged in zip(candidates, verdicts, strict=True):
        if judged.reason is not None:
            rejected.append(rejected_row(candidate, judged, recipe))
    kept.sort(key=lambda row: row.clip_id)
    rejected.sort(key=lambda row: row.clip_id)
    write_manifest(output / MANIFEST_NAME, kept)
    write_manifest(output / REJECTED_NAME, rejected)
    (output / JOURNAL).unlink(missing_ok=True)
    _sweep(earlier, kept, output)
    forget_others(candidates, output)
    now = {row.clip_id for row in (*kept, *rejected)}
    dropped = len(earlier.keys() - now)
    return Run(tuple(kept), tuple(rejected), reused, dropped, skipped_by(sources), tuple(notes))


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        warn_once(note)


def _materials(
    items: Sequence[SourceFile | SourceFailure], names: Sequence[str], recipe: Recipe
) -> tuple[list[Material], list[ManifestRow]]:
    """The files of all sources, and rows of what could not be had or read."""
    materials: list[Material] = []
    rows: list[ManifestRow] = []
    for name, item in zip(names, items, strict=True):
        if isinstance(item, SourceFailure):
            rows.append(gone_row(name, item, recipe))
            continue
        try:
            digest = item.origin.sha256 or sha256_file(item.path)
        except OSError as error:
            gone = SourceFailure(
                item.name, item.group, item.origin, "unreadable", str(error.strerror)
            )
            rows.append(gone_row(name, gone, recipe))
            continue
        materials.append(Material(name, item, digest))
    return materials, rows


def _candidates(
    materials: Sequence[Material], recipe: Recipe, output: Path, options: Options
) -> tuple[list[Candidate], list[Lost]]:
    if recipe.cut == "whole":
        return whole_files(materials)
    spans, lost = scan(materials, recipe, options.cache, options.workers)
    down = taken_down(output)
    spans = [one for one in spans if one[0] not in down]
    candidates, failed = cut_all(spans, recipe, output, options.workers)
    return candidates, lost + failed


def _extractors(recipe: Recipe) -> tuple[Extractor, ...]:
    """What candidates are measured for, each once."""
    wanted: dict[Extractor, None] = dict.fromkeys((*needed(recipe), Fingerprints()))
    if recipe.people or recipe.reference_frame == "best":
        wanted.update(dict.fromkeys((Faces(), PersonLandmarks(), PersonPose())))
    for name in recipe.measure:
        extractor = catalog.load("extractor", name)()
        if all(map(available, extractor.imports)) and extractor.has_weights():
            wanted[extractor] = None
    return tuple(wanted)


def _clip(one: Candidate) -> Clip:
    return Clip(one.clip_id, one.media, one.material.found.origin)


def _finish(
    candidates: Sequence[Candidate],
    verdicts: Sequence[Judged],
    store: FeatureStore,
    recipe: Recipe,
    output: Path,
    options: Options,
    earlier: Mapping[str, ManifestRow],
) -> tuple[list[ManifestRow], int]:
    """Rows of the kept clips, with all their files; those that an earlier run finished are taken."""
    how = Finishing(recipe, output, options.anonymise)
    kept: list[ManifestRow] = []
    todo: list[tuple[Candidate, Judged]] = []
    for one, judged in zip(candidates, verdicts, strict=True):
        if judged.reason is not None:
            continue
        old = earlier.get(one.clip_id)
        if old is not None and how.holds(old, one, judged):
            kept.append(old)
        else:
            todo.append((one, judged))
    reused = len(kept)
    with (
        (output / JOURNAL).open("a", encoding="utf-8") as journal,
        ThreadPoolExecutor(max(1, options.workers)) as pool,
        progress(len(todo), "finish") as bar,
    ):
        jobs = [pool.submit(finish, c, j, store.clip(c.sha256), how) for c, j in todo]
        for job in jobs:
            row = job.result()
            journal.write(row.to_json() + "\n")
            journal.flush()
            kept.append(row)
            bar.update()
    return kept, reused


def _sweep(earlier: Mapping[str, ManifestRow], kept: Sequence[ManifestRow], output: Path) -> None:
    """Remove files of clips that an earlier run kept and this one does not."""
    fields = ("path", "audio", "audio_original", "reference_frame")
    now = {getattr(row, name) for row in kept for name in fields}
    for row in earlier.values():
        for name in fields:
            file = getattr(row, name)
            if file is not None and file not in now and not file.startswith(("/", "..")):
                (output / file).unlink(missing_ok=True)
