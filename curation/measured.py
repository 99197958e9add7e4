"""Measuring files for a curated run, through the same cache and workers as `extract`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from theval_datasets import media
from theval_datasets.cache import Cache, Recipe, recipe_of
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import CacheError, ThevalError
from theval_datasets.jobs import ClipJob, ClipReport, Plan
from theval_datasets.outcomes import outcome_of
from theval_datasets.progress import progress
from theval_datasets.runner import Runner
from theval_datasets.schema import Extractor, Feature, Outcome, Values

_log = logging.getLogger(__name__)

_SMALL: Final = 1 << 18
"""Bytes up to which a feature is held in memory once it was read."""


class Store:
    """Features of files, computed where they are not in the cache.

    Args:
        extractors: What is measured.
        cache: Path or URL.
        workers: Processes; 0 measures in this one.
    """

    def __init__(self, extractors: Sequence[Extractor], cache: str, workers: int) -> None:
        self._plan = Plan(tuple(extractors), cache)
        self._cache = Cache(cache)
        self._workers = workers
        self._recipes: dict[str, Recipe] = {}
        self._absent: dict[str, Outcome] = {}
        self._reported: dict[str, Mapping[str, Outcome]] = {}
        for extractor in extractors:
            try:
                self._recipes[extractor.name] = recipe_of(extractor, media.decoder_version())
            except ThevalError as error:
                self._absent[extractor.name] = outcome_of(error)

    def measure(self, files: Sequence[tuple[str, Path, str]], what: str) -> None:
        """Measure files.

        Args:
            files: Name, path and SHA-256 of each.
            what: For the progress bar, in a word.
        """
        runner = Runner(self._plan)
        jobs = {sha256: ClipJob(name, str(path.resolve()), sha256) for name, path, sha256 in files}
        left: list[ClipJob] = []
        with progress(len(jobs), what) as bar:
            for job in jobs.values():
                known = runner.cached(job)
                if known is None:
                    left.append(job)
                else:
                    self._take(job, known)
                    bar.update()
            by_name = {job.clip_id: job for job in left}
            for report in LocalEngine(self._workers).run(left, self._plan) if left else ():
                self._take(by_name[report.clip_id], report)
                bar.update()

    def _take(self, job: ClipJob, report: ClipReport) -> None:
        self._reported[job.sha256] = report.outcomes

    def features(self, sha256: str) -> Mapping[str, Feature]:
        """The features of a file, by extractor; large ones are read from the cache each time."""
        return _Features(self, sha256)

    def names(self) -> list[str]:
        """The extractors."""
        return [extractor.name for extractor in self._plan.extractors]

    def read(self, extractor: str, sha256: str) -> Feature | None:
        """One feature; None if it was never measured."""
        if extractor in self._absent:
            return Feature(self._absent[extractor])
        if extractor in self._recipes:
            try:
                found = self._cache.read(self._recipes[extractor], sha256)
            except CacheError as error:
                _log.warning("%s", error)
                found = None
            if found is not None:
                return found
        outcome = self._reported.get(sha256, {}).get(extractor)
        if outcome is None or outcome.status == "ok":
            return None
        return Feature(outcome)


class _Features(Mapping[str, Feature]):
    def __init__(self, store: Store, sha256: str) -> None:
        self._store = store
        self._sha256 = sha256
        self._held: dict[str, Feature] = {}

    def __getitem__(self, extractor: str) -> Feature:
        if extractor in self._held:
            return self._held[extractor]
        if extractor not in self._store.names():
            raise KeyError(extractor)
        found = self._store.read(extractor, self._sha256)
        if found is None:
            raise KeyError(extractor)
        if sum(array.nbytes for array in found.values.values()) <= _SMALL:
            self._held[extractor] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._store.names() if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, extractor: object) -> bool:
        try:
            self[str(extractor)]
        except KeyError:
            return False
        return True


def values_of(features: Mapping[str, Feature]) -> dict[str, Values]:
    """The values of those that are ok."""
    found = {name: features[name] for name in features}
    return {name: one.values for name, one in found.items() if one.outcome.status == "ok"}
