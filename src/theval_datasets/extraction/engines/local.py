"""The local engine: worker processes of this machine, each of which loads its models once."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from theval_datasets.utils.workers import TIME_LIMIT, WorkerLost, WorkerPool, time_allowed

from ..jobs import ClipJob, ClipReport, Plan
from ..runner import Runner
from .base import longest_first, lost


def default_workers() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Runs a plan in worker processes.

    A worker that dies (killed, out of memory, a crash in native code) is replaced. Its clip is tried
    once more, then recorded as failed, so that no clip can stop the run.

    Attributes:
        workers: Number of processes; 0 runs in this process, without protection against crashes.
        time_limit: Time limit for work on a clip, as a multiple of its duration; 0 for no limit.
    """

    workers: int
    time_limit: float = TIME_LIMIT

    def run(self, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
        """Yield one report per clip, as clips are completed."""
        with WorkerPool(self.workers, functools.partial(_process, plan), self._limit) as pool:
            for job, report in pool.map(longest_first(jobs) if self.workers else jobs):
                yield lost(job, plan, report) if isinstance(report, WorkerLost) else report

    def _limit(self, job: ClipJob) -> float:
        return time_allowed(Path(job.path), self.time_limit)


def _process(plan: Plan) -> Callable[[ClipJob], ClipReport]:
    return Runner(plan).process
