"""Curation of sources into clips and their manifest.

The steps are fetch, segment, cut, measure, judge and finish; a recipe that takes files unchanged has only
the first and the last. Every step finds finished work of earlier runs by content (in the feature cache,
the candidates' index, finished rows), so a run may be killed at any time and run again, and new
thresholds need no new measurements. An item that fails in any way becomes a row with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace as replace_record

from theval_datasets import catalog
from theval_datasets.engines.base import Engine
from theval_datasets.engines.local import ONE_PROCESS
from theval_datasets.extraction.cache import Cache
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.extraction.measure import compute
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.extraction.weights import warn_once
from theval_datasets.features.faces import Faces
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.features.person_landmarks import PersonLandmarks
from theval_datasets.features.person_pose import PersonPose
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    REJECTED_NAME,
    Judgement,
    ManifestRow,
    write_manifest,
)
from theval_datasets.utils.files import remove_inside
from theval_datasets.utils.jsonl import append_record
from theval_datasets.utils.locks import locked
from theval_datasets.utils.optional import available

from ..clips.files import stamp, tools
from ..clips.naming import clip_ids
from ..clips.turns import write_turns
from ..duplicates.matching import prints_in_hex
from ..filters.base import Clip
from ..recipes.recipe import Recipe, write_recipe
from ..sources.base import SourceFailure, SourceFile, SourceReader
from ..tasks import BROKEN_RUN, Failure, Tasks
from .candidate_store import CandidateStore
from .earlier import JOURNAL, earlier_rows, source_holds, sweep, taken_down
from .finish import Finisher
from .judge import failed_filters, judge_clips, needed, rejection
from .preflight import fetch_weights, listeners, shortcomings
from .rows import failed_source, rejected_candidate, rejected_segment
from .segments import (
    Candidate,
    Rejection,
    Segment,
    hashed,
    scan,
    scene_extractors,
    split_people,
    whole_file,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CurateOptions:
    """Options of a curation run besides its recipe.

    Attributes:
        cache: Path or URL of the feature cache.
        engine: Engine whose workers read and write the files.
        references: Indexes of other sets, for the leakage filter.
        anonymise: Whether faces are blurred in reference frames.
        language: Language of sources that do not declare one, ISO 639-1.
    """

    cache: str
    engine: Engine = ONE_PROCESS
    references: Sequence[Any] = ()
    anonymise: bool = False
    language: str | None = None


@dataclass(frozen=True, slots=True)
class CurateResult:
    """Result of a curation run.

    Attributes:
        kept: Rows of the manifest.
        rejected: Rows of items without a clip, with the reason.
        reused: Number of rows taken over from an earlier run.
        dropped: Number of rows of an earlier run whose sources were not given again.
        skipped: Number of files that are not media, by suffix.
        notes: Limits of this run, such as filters that could not be applied, in sentences.
        failed_filters: Names of the filters that raised an exception, on a clip or on the whole set.
    """

    kept: tuple[ManifestRow, ...] = ()
    rejected: tuple[ManifestRow, ...] = ()
    reused: int = 0
    dropped: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failed_filters: tuple[str, ...] = ()


def curate(
    sources: Sequence[SourceReader], recipe: Recipe, output: Path, options: CurateOptions
) -> CurateResult:
    """Curate sources into a folder.

    Args:
        sources: Sources, each item of which becomes one or several rows.
        recipe: Recipe of the run.
        output: Folder of the manifest and all files; locked during the run.
        options: Options of the run.

    Raises:
        InputError: Another process writes to the folder, or a requirement of the recipe is missing.
    """
    output = output.absolute()  # workers may have another working folder
    with locked(output, "curate"), options.engine, Tasks(options.engine) as tasks:
        return _Run(recipe, output, options, tasks).curate(sources)


class _Run:
    """A run: its rows so far, and the objects that all steps share."""

    def __init__(self, recipe: Recipe, output: Path, options: CurateOptions, tasks: Tasks) -> None:
        self._recipe = recipe
        self._output = output
        self._options = options
        self._tasks = tasks
        self._as_is = recipe.plain and not options.anonymise
        self._kept: list[ManifestRow] = []
        self._rejected: list[ManifestRow] = []
        self._reused = 0
        self._earlier: dict[str, ManifestRow] = {}
        self._down: frozenset[str] = frozenset()
        self._notes: list[str] = []
        self._failed_filters: tuple[str, ...] = ()
        self._scenes: list[Candidate] = []

    def curate(self, sources: Sequence[SourceReader]) -> CurateResult:
        tools()  # a missing program ends the run before anything is fetched
        wanted = () if self._as_is else self._prepared()
        items = _items(sources, self._options.language)
        skipped = _skipped(sources)
        if not items:
            return CurateResult(skipped=skipped, notes=tuple(self._notes))
        self._down = taken_down(self._output)
        self._earlier = earlier_rows(self._output)
        segments = self._segments(items)
        candidates: list[Candidate] = []
        if self._as_is:
            self._take_as_is(segments)
        else:
            write_recipe(self._recipe, self._output)
            candidates = self._judged(segments, wanted)
        self._write()
        if not self._as_is:
            sweep(self._earlier.values(), self._kept, self._output)
            CandidateStore(self._output).keep_only((*self._scenes, *candidates))
        now = {row.clip_id for row in (*self._kept, *self._rejected)}
        return CurateResult(
            tuple(self._kept),
            tuple(self._rejected),
            self._reused,
            len(self._earlier.keys() - now),
            skipped,
            tuple(self._notes),
            self._failed_filters,
        )

    def _prepared(self) -> tuple[Extractor, ...]:
        """Extractors of the run, after downloading their weights and noting missing parts."""
        extractors = _extractors(self._recipe)
        fetch_weights((*extractors, *scene_extractors(self._recipe)))
        self._note(*shortcomings(self._recipe, extractors, self._options.references))
        return extractors

    def _note(self, *notes: str) -> None:
        for note in filter(None, notes):
            warn_once(note)
            self._notes.append(note)

    def _segments(self, items: Sequence[SourceFile | SourceFailure]) -> list[Segment]:
        """Files of all sources; failed items become rows."""
        names = clip_ids([(item.name, item.group) for item in items])
        segments: list[Segment] = []
        for name, item in zip(names, items, strict=True):
            if isinstance(item, SourceFile):
                segments.append(Segment(name, replace(item, path=item.path.absolute())))
            elif name not in self._down:
                self._rejected.append(failed_source(name, item, self._recipe))
        return segments

    def _take_as_is(self, segments: Sequence[Segment]) -> None:
        """Finish every file unchanged, unless an earlier run did."""
        finisher = Finisher(self._recipe, self._output)
        missing: list[Segment] = []
        for segment in segments:
            if segment.clip_id in self._down:
                continue
            row = self._earlier.get(segment.clip_id)
            versions = finisher.tools(segment)
            if row and source_holds(row, segment, self._recipe, versions, self._output):
                (self._kept if row.reason is None else self._rejected).append(row)
                self._reused += 1
            else:
                missing.append(segment)
        for segment, made in self._tasks.run(
            finisher.as_is, missing, "curate", "file", path=_source_path
        ):
            if isinstance(made, Failure):
                lasting = made.reason not in BROKEN_RUN and segment.source.path.is_file()
                seen = stamp(segment.source.path) if lasting else None
                row = rejected_segment(segment, "media", made, self._recipe, seen)
                self._rejected.append(row)
            else:
                row = made
                self._kept.append(row)
            append_record(self._output / JOURNAL, row)  # for a later run, if this one is killed
        self._kept = self._with_fingerprints(self._kept)

    def _judged(
        self, segments: Sequence[Segment], wanted: tuple[Extractor, ...]
    ) -> list[Candidate]:
        """Candidates, measured, judged and finished."""
        segments = self._without_failures(
            self._tasks.run(hashed, segments, "hash", "file", path=_source_path)
        )
        segments.sort(key=lambda segment: segment.clip_id)
        further, note = listeners(self._recipe, [segment.source for segment in segments])
        self._note(note)
        wanted = tuple(dict.fromkeys((*wanted, *further)))
        candidates = sorted(self._candidates(segments), key=lambda candidate: candidate.clip_id)
        store = FeatureStore(wanted, self._options.cache)
        cut_here = self._recipe.cut != "whole"
        files = ((c.clip_id, c.path, c.sha256) for c in candidates)
        jobs = jobs_of(files, made_here=cut_here)
        compute(store, jobs, self._options.engine, "measure")
        clips = [(_clip(candidate), store.clip(candidate.sha256)) for candidate in candidates]
        judgements = judge_clips(clips, self._recipe, self._options.references)
        self._failed_filters = failed_filters(judgements)
        self._note(
            *(
                f"the filter {name} failed with an error, so that clips are not judged by it"
                for name in self._failed_filters
            )
        )
        kept: list[tuple[Candidate, tuple[Judgement, ...]]] = []
        for candidate, own in zip(candidates, judgements, strict=True):
            reason = rejection(own, self._recipe)
            if reason is None:
                kept.append((candidate, own))
            else:
                self._rejected.append(rejected_candidate(candidate, own, reason, self._recipe))
        self._finish(kept, wanted)
        return candidates

    def _candidates(self, segments: Sequence[Segment]) -> Iterator[Candidate]:
        """Candidates: whole files or cut spans; all other segments become rows."""
        if self._recipe.cut == "whole":
            segments = [segment for segment in segments if segment.clip_id not in self._down]
            yield from self._without_failures(
                self._tasks.run(whole_file, segments, "probe", "file", path=_source_path)
            )
            return
        recipe, options = self._recipe, self._options
        spans: list[Segment] = []
        for part in scan(segments, recipe, options.cache, options.engine):
            if isinstance(part, Rejection):
                self._reject(part)
            elif part.clip_id not in self._down:
                spans.append(part)
        if recipe.cut == "people":
            self._scenes = list(self._cut(spans))
            spans = []
            for part in split_people(self._scenes, recipe, options.cache, options.engine):
                if isinstance(part, Rejection):
                    self._reject(part)
                elif part.clip_id not in self._down:
                    spans.append(part)
                else:
                    self._scenes = [scene for scene in self._scenes if not _shows(scene, part)]
        yield from self._cut(spans)

    def _cut(self, spans: Sequence[Segment]) -> Iterator[Candidate]:
        """Candidates of spans; those that cannot be cut become rows."""
        for made in CandidateStore(self._output).cut(spans, self._recipe.encoding, self._tasks):
            if isinstance(made, Rejection):
                self._reject(made)
            else:
                yield made

    def _without_failures(self, results: Iterable[tuple[Segment, T | Failure]]) -> list[T]:
        """Results of successful tasks; failures become rows."""
        good: list[T] = []
        for segment, result in results:
            if isinstance(result, Failure):
                self._reject(Rejection(segment, "media", result))
            else:
                good.append(result)
        return good

    def _reject(self, rejection: Rejection) -> None:
        if rejection.segment.clip_id not in self._down:
            row = rejected_segment(
                rejection.segment, rejection.stage, rejection.failure, self._recipe
            )
            self._rejected.append(row)

    def _finish(
        self,
        judged: Sequence[tuple[Candidate, tuple[Judgement, ...]]],
        extractors: tuple[Extractor, ...],
    ) -> None:
        """Rows of the kept clips with all their files, reusing those of earlier runs."""
        options = self._options
        cache = Cache(options.cache).absolute
        finisher = Finisher(self._recipe, self._output, extractors, cache, options.anonymise)
        missing: list[tuple[Candidate, tuple[Judgement, ...]]] = []
        for candidate, own in judged:
            row = self._earlier.get(candidate.clip_id)
            if row is not None and finisher.holds(row, candidate, own):
                self._kept.append(row)
                self._reused += 1
            else:
                missing.append((candidate, own))
        for (candidate, _), made in self._tasks.run(
            finisher, missing, "finish", path=lambda kept: _source_path(kept[0].segment)
        ):
            if isinstance(made, Failure):
                self._reject(Rejection(candidate.segment, "finish", made))
            else:
                self._kept.append(made)
                append_record(self._output / JOURNAL, made)

    def _with_fingerprints(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """Add fingerprints to rows of fetched clips, so that `rebuild` recognises re-encoded sources.

        Local files get none, so that a folder can be taken unchanged without decoding.
        """
        missing = [row for row in rows if row.source.kind == "url" and row.phash is None]
        if not missing:
            return list(rows)
        store = FeatureStore((Fingerprints(),), self._options.cache)
        jobs = jobs_of(
            (row.clip_id, self._output / str(row.path), str(row.sha256)) for row in missing
        )
        compute(store, jobs, self._options.engine, "fingerprints")
        made: dict[str, ManifestRow] = {}
        for row in missing:
            feature = store.find("fingerprints", str(row.sha256))
            if feature is not None and feature.outcome.status == "ok":
                phash, audio = prints_in_hex(feature.values)
                made[row.clip_id] = replace_record(row, phash=phash, audio_print=audio)
        return [made.get(row.clip_id, row) for row in rows]

    def _write(self) -> None:
        """Write manifest and rejected rows, each atomically."""
        for rows in (self._kept, self._rejected):
            rows.sort(key=lambda row: row.clip_id)
        write_manifest(self._output / MANIFEST_NAME, self._kept)
        write_manifest(self._output / REJECTED_NAME, self._rejected)
        write_turns(self._output, self._kept)
        remove_inside(self._output, JOURNAL)


def _items(
    sources: Iterable[SourceReader], language: str | None
) -> list[SourceFile | SourceFailure]:
    """Items of all sources, with the default language for those that do not declare one."""
    items = [item for source in sources for item in source.items()]
    if language is None:
        return items
    return [
        replace(item, origin=replace_record(item.origin, language=item.origin.language or language))
        for item in items
    ]


def _source_path(segment: Segment) -> Path:
    return segment.source.path


def _shows(scene: Candidate, person: Segment) -> bool:
    """Whether a person was cut out of a scene."""
    whole = scene.segment
    if whole.source_id != person.source_id or whole.end is None or person.end is None:
        return False
    return whole.start <= person.start and person.end <= whole.end


def _skipped(sources: Iterable[SourceReader]) -> dict[str, int]:
    """Number of files that all sources skipped, by suffix or kind."""
    skipped: Counter[str] = Counter()
    for source in sources:
        skipped.update(source.skipped())
    return dict(sorted(skipped.items()))


def _extractors(recipe: Recipe) -> tuple[Extractor, ...]:
    """Extractors that a recipe needs, without duplicates."""
    wanted: dict[Extractor, None] = dict.fromkeys((*needed(recipe), Fingerprints()))
    if recipe.people or recipe.reference_frame == "best":
        wanted.update(dict.fromkeys((Faces(), PersonLandmarks(), PersonPose())))
    for name in recipe.measure:
        extractor = catalog.load("extractor", name)()
        if all(map(available, extractor.imports)) and extractor.has_weights():
            wanted[extractor] = None
    return tuple(wanted)


def _clip(candidate: Candidate) -> Clip:
    origin = candidate.segment.source.origin
    return Clip(candidate.clip_id, candidate.media, origin, candidate.source_picture)
