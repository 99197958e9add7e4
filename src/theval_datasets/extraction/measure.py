"""Computation of missing features by an engine."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from theval_datasets.engines.base import Engine, Resources
from theval_datasets.engines.limits import time_allowed
from theval_datasets.engines.messages import WorkerLost
from theval_datasets.utils.progress import progress

from .jobs import ClipJob, ClipReport, Plan
from .outcomes import Outcome
from .runner import Runner
from .store import FeatureStore, with_needs


def measure(
    store: FeatureStore, jobs: Sequence[ClipJob], engine: Engine, what: str, *, threads: int = 1
) -> Iterator[ClipReport]:
    """Compute the features of a store that are missing, with a progress bar.

    Outcomes that are not cached (missing weights, memory) are kept by the store.

    Args:
        store: Features to compute.
        jobs: Clips.
        engine: Engine that computes the missing features.
        what: Label of the progress bar.
        threads: Number of decoder threads per worker; changes no value.

    Yields:
        One report per clip: first those of cached clips, then the others as they are completed.

    Raises:
        StorageError: The cache, or another folder that is written to, is full or read-only.
        ValueError: The store has no cache location to compute into.
    """
    plan = Plan(store.extractors, store.location, threads)
    sha256_of = {job.clip_id: job.sha256 for job in jobs}
    left: list[ClipJob] = []
    failed = 0
    with progress(len(jobs), what) as bar:
        for job in jobs:
            known = store.report(job)
            if known is None:
                left.append(job)
                continue
            bar.update()
            yield known
        for report in run_plan(engine, left, plan):
            store.keep(sha256_of[report.clip_id], report.outcomes)
            failed += sum(outcome.status == "failed" for outcome in report.outcomes.values())
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()
            yield report


def compute(
    store: FeatureStore, jobs: Sequence[ClipJob], engine: Engine, what: str, *, threads: int = 1
) -> dict[str, ClipReport]:
    """Like `measure`, but returns all reports by clip id."""
    return {
        report.clip_id: report for report in measure(store, jobs, engine, what, threads=threads)
    }


def run_plan(engine: Engine, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
    """Run a plan over clips, cached or not.

    Yields:
        One report per clip, as clips are completed. A clip whose workers die, or that exceeds its time
        limit, is recorded as failed, so that no clip can stop the run.
    """
    reports = engine.map(
        functools.partial(_processing, plan),
        longest_first(jobs) if engine.workers else jobs,
        lambda job: time_allowed(job.size, engine.time_limit),
        resources_of(plan),
    )
    for job, report in reports:
        yield _lost(job, plan, report) if isinstance(report, WorkerLost) else report


def resources_of(plan: Plan) -> Resources:
    """What a worker needs for a plan: it holds the models of all extractors.

    Examples:
        >>> resources_of(Plan((), "cache"))
        Resources(gpus=0, memory=0)
    """
    extractors = with_needs(plan.extractors)
    return Resources(
        min(1, sum(extractor.gpus for extractor in extractors)),
        sum(extractor.memory for extractor in extractors),
    )


def longest_first(jobs: Sequence[ClipJob]) -> deque[ClipJob]:
    """Jobs in the order of their distribution: large files first.

    At the end of a run, no worker is then left alone with a long clip.

    Examples:
        >>> len(longest_first([]))
        0
    """

    return deque(sorted(jobs, key=lambda job: job.size, reverse=True))


def _processing(plan: Plan) -> Callable[[ClipJob], ClipReport]:
    return Runner(plan).process


def _lost(job: ClipJob, plan: Plan, how: WorkerLost) -> ClipReport:
    """The report of a clip that its workers did not complete."""
    outcome = Outcome("failed", how.reason, str(how))
    return ClipReport(job.clip_id, {extractor.name: outcome for extractor in plan.extractors})
