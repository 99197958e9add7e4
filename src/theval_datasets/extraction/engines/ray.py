"""The Ray engine: the same runner in actors of a cluster.

Every actor loads its models once and receives one clip at a time. Clips and cache must be in folders
that all nodes can read. An actor whose node is lost is replaced if the cluster has room; its clip is
tried once more, with the features that are already cached.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import StorageError, ThevalError
from theval_datasets.utils.optional import require
from theval_datasets.utils.workers import TIME_LIMIT, WorkerLost, time_allowed

from ..jobs import ClipJob, ClipReport, Plan
from ..runner import Runner
from .base import TRIES, longest_first, lost

_log = logging.getLogger(__name__)

_PATIENCE: Final = 300.0
"""Seconds to wait for the first actor to start."""


_CLUSTER: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable that, set to 0, restricts a Ray started here to the loopback interface."""


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Runs a plan in Ray actors.

    Attributes:
        workers: Number of actors, of one CPU each.
        address: Address of a running cluster; None starts one on this machine for the run, which no
            other machine can reach.
        time_limit: Time limit for work on a clip, as a multiple of its duration; 0 for no limit.
    """

    workers: int
    address: str | None = None
    time_limit: float = TIME_LIMIT

    def run(self, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
        """Yield one report per clip, as clips are completed.

        Raises:
            MissingExtraError: The extra [ray] is not installed.
            ThevalError: The cluster starts no actor.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self.address is None:
            os.environ.setdefault(_CLUSTER, "0")  # Ray reads it when it is imported
        ray = require("ray", extra="ray")
        ours = not ray.is_initialized()
        if ours:
            local = {"num_cpus": self.workers, "include_dashboard": False}
            ray.init(
                address=self.address or "local",
                log_to_driver=False,
                logging_level=logging.WARNING,
                **({} if self.address else local),
            )
            here = ray.util.get_node_ip_address()
            if self.address is None and not ip_address(here).is_loopback:
                _log.warning(
                    "Ray listens on %s, where other machines may reach it: it was imported before this "
                    "run. Import it after setting %s=0 to keep it to this machine.",
                    here,
                    _CLUSTER,
                )
        try:
            yield from _Actors(ray, min(self.workers, len(jobs)), plan, self.time_limit).run(jobs)
        finally:
            if ours:
                ray.shutdown()


class _Actor:
    """An actor: a runner that is kept between clips."""

    def __init__(self, plan: Plan) -> None:
        self._runner = Runner(plan)

    def ready(self) -> None:
        """Return as soon as the actor has started."""

    def process(self, job: ClipJob) -> ClipReport:
        return self._runner.process(job)


@dataclass(frozen=True, slots=True)
class _Task:
    """A running task: a clip, or the start of an actor, which has no clip.

    Attributes:
        actor: Actor that runs the task.
        job: Clip; None for the start of an actor.
        limit: Time limit in seconds.
        deadline: Moment of the monotonic clock at which the task is stopped.
    """

    actor: Any
    job: ClipJob | None = None
    limit: float = math.inf
    deadline: float = math.inf


class _Actors:
    def __init__(self, ray: Any, size: int, plan: Plan, time_limit: float) -> None:
        self._ray = ray
        self._time_limit = time_limit
        self._size = size
        self._plan = plan
        self._kind = ray.remote(num_cpus=1)(_Actor)
        self._busy: dict[Any, _Task] = {}

    def run(self, jobs: Sequence[ClipJob]) -> Iterator[ClipReport]:
        waiting = longest_first(jobs)
        tries: dict[str, int] = {}
        left = len(jobs)
        for _ in range(self._size):
            self._start()
        while left:
            ended, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=self._patience())
            late = [] if ended else self._late()
            left -= len(late)
            yield from late
            if not (ended or late or any(task.job for task in self._busy.values())):
                raise ThevalError(
                    f"the Ray cluster started no actor of one CPU in {_PATIENCE:.0f} s; "
                    f"it has {self._ray.cluster_resources().get('CPU', 0):.0f} CPUs"
                )
            for reference in ended:
                task = self._busy.pop(reference)
                job = task.job
                try:
                    report = self._ray.get(reference)
                except StorageError as error:  # Ray's error is an instance of the cause's class too
                    raise getattr(error, "cause", error) from None
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
                    yield lost(job, self._plan, WorkerLost())
                    continue
                if waiting:
                    self._hand_out(task.actor, waiting.popleft())
                if job is not None:
                    left -= 1
                    yield report

    def _start(self) -> None:
        actor = self._kind.remote(self._plan)
        self._busy[actor.ready.remote()] = _Task(actor)

    def _hand_out(self, actor: Any, job: ClipJob) -> None:
        limit = time_allowed(Path(job.path), self._time_limit)
        task = _Task(actor, job, limit, time.monotonic() + limit)
        self._busy[actor.process.remote(job)] = task

    def _patience(self) -> float:
        """Seconds to wait for a task to end."""
        first = min(task.deadline for task in self._busy.values())
        return max(0.0, min(_PATIENCE, first - time.monotonic()))

    def _late(self) -> list[ClipReport]:
        """Stop the tasks that exceed their time limit."""
        reports: list[ClipReport] = []
        for reference, task in list(self._busy.items()):
            if task.job is not None and time.monotonic() > task.deadline:
                del self._busy[reference]
                self._ray.kill(task.actor)
                self._start()
                reports.append(lost(task.job, self._plan, WorkerLost(seconds=task.limit)))
        return reports
