"""The local engine: worker processes of this machine.

Each worker loads its models once and is handed one clip at a time. A worker that dies (killed,
out of memory, a crash in native code) is replaced; its clip is tried once more, then recorded as
failed, so that no clip can stop the run.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from theval_datasets.utils.quiet import silence_native_chatter

from ..runner import ClipJob, ClipReport, Plan, Runner
from . import TRIES, longest_first, lost

_log = logging.getLogger(__name__)


def default_workers() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Runs a plan in worker processes.

    Attributes:
        workers: How many; 0 runs in this process, without its protection against crashes.
    """

    workers: int

    def run(self, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
        """Yield one report a clip as they end."""
        if not self.workers:
            runner = Runner(plan)
            yield from (runner.process(job) for job in jobs)
            return
        yield from _Pool(min(self.workers, len(jobs)), plan).run(jobs)


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: ClipJob | None = None


class _Pool:
    def __init__(self, size: int, plan: Plan) -> None:
        self._size = size
        self._plan = plan
        self._context = multiprocessing.get_context("spawn")

    def run(self, jobs: Sequence[ClipJob]) -> Iterator[ClipReport]:
        waiting = longest_first(jobs)
        tries: dict[str, int] = {}
        workers: list[_Worker] = []
        try:
            workers = [self._start() for _ in range(self._size)]
            for worker in workers:
                self._hand_out(worker, waiting)
            while any(worker.job for worker in workers):
                busy = {worker.pipe: worker for worker in workers if worker.job}
                for pipe in wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]  # only connections were waited for
                    job = worker.job
                    if job is None:
                        continue
                    try:
                        report: ClipReport | None = worker.pipe.recv()
                    except (EOFError, ConnectionError):
                        report = None
                    if report is None:
                        worker.process.join()
                        tries[job.clip_id] = tries.get(job.clip_id, 0) + 1
                        _log.warning(
                            "a worker ended with code %s on %s",
                            worker.process.exitcode,
                            job.clip_id,
                        )
                        workers[workers.index(worker)] = worker = self._start()
                        if tries[job.clip_id] < TRIES:
                            waiting.append(job)
                        else:
                            yield lost(job, self._plan)
                    else:
                        yield report
                    self._hand_out(worker, waiting)
                for worker in workers:
                    if worker.job is None and waiting:
                        self._hand_out(worker, waiting)
        finally:
            for worker in workers:
                worker.pipe.close()
            for worker in workers:
                worker.process.join(timeout=5)
                if worker.process.is_alive():
                    worker.process.terminate()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._plan), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand_out(self, worker: _Worker, waiting: deque[ClipJob]) -> None:
        worker.job = waiting.popleft() if waiting else None
        if worker.job:
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                worker.pipe.send(worker.job)  # a worker that is dead is noticed when it is read


def _work(pipe: Connection, plan: Plan) -> None:
    """A worker's life: one job after another, until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence_native_chatter()
    runner = Runner(plan)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, ConnectionError):
            return
        pipe.send(runner.process(job))
