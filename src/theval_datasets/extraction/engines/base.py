"""Common parts of engines.

Every engine takes the same jobs and the same plan, and yields one report per clip in any order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from theval_datasets.utils.workers import TRIES, WorkerLost

from ..jobs import ClipJob, ClipReport, Plan
from ..outcomes import Outcome

__all__ = ["TRIES", "Engine", "longest_first", "lost"]


class Engine(Protocol):
    """Runs a plan over clips."""

    def run(self, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
        """Yield one report per clip, as clips are completed."""
        ...


def longest_first(jobs: Sequence[ClipJob]) -> deque[ClipJob]:
    """Jobs in the order of their distribution: large files first.

    At the end of a run, no worker is then left alone with a long clip.

    Examples:
        >>> len(longest_first([]))
        0
    """

    def size(job: ClipJob) -> int:
        try:
            return Path(job.path).stat().st_size
        except OSError:
            return 0  # the runner reports what is wrong with it

    return deque(sorted(jobs, key=size, reverse=True))


def lost(job: ClipJob, plan: Plan, how: WorkerLost) -> ClipReport:
    """The report of a clip that its workers did not complete."""
    outcome = Outcome("failed", how.reason, str(how))
    return ClipReport(job.clip_id, {extractor.name: outcome for extractor in plan.extractors})
