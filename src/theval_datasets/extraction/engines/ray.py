"""The Ray engine: the same runner in actors of a cluster.

Every actor loads its models once and is handed one clip at a time. Clips and cache lie in folders
that all nodes see. An actor whose node is lost is replaced where there is room; its clip is tried
once more, and finds in the cache whatever had been finished.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from theval_datasets.errors import ThevalError
from theval_datasets.utils.optional import require

from ..jobs import ClipJob, ClipReport, Plan
from ..runner import Runner
from .base import TRIES, longest_first, lost

_log = logging.getLogger(__name__)

_PATIENCE: Final = 300.0
"""Seconds to wait for the first actor to start, before giving up on the cluster."""


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Runs a plan in Ray actors.

    Attributes:
        workers: How many actors, of one CPU each.
        address: Of a running cluster; None starts one on this machine for the run.
    """

    workers: int
    address: str | None = None

    def run(self, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
        """Yield one report a clip as they end.

        Raises:
            MissingExtraError: Without the extra ``[ray]``.
            ThevalError: If the cluster gives no actor.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = require("ray", extra="ray")
        ours = not ray.is_initialized()
        if ours:
            local = {"num_cpus": self.workers, "include_dashboard": False}
            ray.init(
                address=self.address,
                log_to_driver=False,
                logging_level=logging.WARNING,
                **({} if self.address else local),
            )
        try:
            yield from _Actors(ray, min(self.workers, len(jobs)), plan).run(jobs)
        finally:
            if ours:
                ray.shutdown()


class _Actor:
    """What an actor is: a runner that stays."""

    def __init__(self, plan: Plan) -> None:
        self._runner = Runner(plan)

    def ready(self) -> None:
        """Answer as soon as the actor has started."""

    def process(self, job: ClipJob) -> ClipReport:
        return self._runner.process(job)


class _Actors:
    def __init__(self, ray: Any, size: int, plan: Plan) -> None:
        self._ray = ray
        self._size = size
        self._plan = plan
        self._kind = ray.remote(num_cpus=1)(_Actor)
        # What is under way: a job, or None for an actor that is starting.
        self._busy: dict[Any, tuple[Any, ClipJob | None]] = {}

    def run(self, jobs: Sequence[ClipJob]) -> Iterator[ClipReport]:
        waiting = longest_first(jobs)
        tries: dict[str, int] = {}
        left = len(jobs)
        for _ in range(self._size):
            self._start()
        while left:
            ended, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=_PATIENCE)
            if not ended and not any(job for _, job in self._busy.values()):
                raise ThevalError(
                    f"the Ray cluster started no actor of one CPU in {_PATIENCE:.0f} s; "
                    f"it has {self._ray.cluster_resources().get('CPU', 0):.0f} CPUs"
                )
            for reference in ended:
                actor, job = self._busy.pop(reference)
                try:
                    report = self._ray.get(reference)
                except self._ray.exceptions.RayError as error:
                    _log.warning("a Ray actor was lost: %s", type(error).__name__)
                    self._start()
                    if job is None:
                        continue
                    tries[job.clip_id] = tries.get(job.clip_id, 0) + 1
                    if tries[job.clip_id] < TRIES:
                        waiting.append(job)
                        continue
                    left -= 1
                    yield lost(job, self._plan)
                    continue
                if waiting:
                    following = waiting.popleft()
                    self._busy[actor.process.remote(following)] = (actor, following)
                if job is not None:
                    left -= 1
                    yield report

    def _start(self) -> None:
        actor = self._kind.remote(self._plan)
        self._busy[actor.ready.remote()] = (actor, None)
