"""Worker processes that handle one item at a time, so that a crash affects one item only.

A file can crash a decoder or exhaust the memory of the process that reads it, so untrusted files are
read in worker processes. A worker that dies is replaced; its item is tried once more, then reported as
lost. Workers, and the programs they run, do not outlive the process that started them.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from theval_datasets.errors import ThevalError

from .quiet import silence_native_chatter

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

TRIES: Final = 2
"""Number of attempts for an item whose worker dies."""
_PRELOAD: Final = ("numpy", "theval_datasets.utils.workers")
"""Modules that the fork server imports once; none of them may start threads."""
_GRACE: Final = 5.0
"""Seconds within which an idle worker has to end by itself."""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The result of an item on which every worker that tried it died.

    Attributes:
        exit_code: Exit code of the last worker; negative for a signal.
    """

    exit_code: int | None

    def __str__(self) -> str:
        return f"{TRIES} worker processes died on it, the last with exit code {self.exit_code}"


@dataclass(slots=True)
class _Worker(Generic[T]):
    process: BaseProcess
    pipe: Connection
    lifeline: Connection
    item: tuple[int, T] | None = None
    ready: bool = False


class WorkerPool(Generic[T, R]):
    """Worker processes that are started when first needed; use it as a context manager.

    Args:
        size: Number of processes; 0 runs in this process, without protection against crashes.
        setup: Called once in each worker; returns the function that is called on every item. It has to
            be picklable, and so do the function's results; an exception ends the worker.
    """

    def __init__(self, size: int, setup: Callable[[], Callable[[T], R]]) -> None:
        self._size = size
        self._setup = setup
        self._workers: list[_Worker[T]] = []
        self._here: Callable[[T], R] | None = None
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if "forkserver" in methods:
            self._context.set_forkserver_preload(list(_PRELOAD))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(at_once=error is not None)

    def map(self, items: Iterable[T]) -> Iterator[tuple[T, R | WorkerLost]]:
        """Process all items, in their order as workers become free.

        Yields:
            Each item with its result, in order of completion.

        Raises:
            ThevalError: A worker process ended before it was ready.
        """
        if not self._size:
            self._here = self._here or self._setup()
            for item in items:
                yield item, self._here(item)
            return
        try:
            yield from self._map(deque(enumerate(items)))
        except BaseException:
            self.close(at_once=True)
            raise

    def close(self, *, at_once: bool = False) -> None:
        """End all workers.

        Args:
            at_once: Whether to abandon items in progress.
        """
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.pipe.close()
            if at_once:
                worker.lifeline.close()
        for worker in workers:
            worker.process.join(timeout=_GRACE)
            worker.lifeline.close()
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join(timeout=_GRACE)

    def _map(self, waiting: deque[tuple[int, T]]) -> Iterator[tuple[T, R | WorkerLost]]:
        tries: dict[int, int] = {}
        while len(self._workers) < min(self._size, len(waiting)):
            self._workers.append(self._start())
        for worker in self._workers:
            _hand_out(worker, waiting)
        while busy := {worker.pipe: worker for worker in self._workers if worker.item}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # only connections are waited for
                number, item = worker.item  # type: ignore[misc]  # it is busy
                try:
                    received = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    worker = self._replaced(worker)
                    exit_code = worker.process.exitcode
                    tries[number] = tries.get(number, 0) + 1
                    if tries[number] < TRIES:
                        waiting.append((number, item))
                    else:
                        yield item, WorkerLost(exit_code)
                    continue
                if not worker.ready:
                    worker.ready = True
                    continue
                worker.item = None
                _hand_out(worker, waiting)
                yield item, received
            for worker in self._workers:
                if worker.item is None and waiting:
                    _hand_out(worker, waiting)

    def _replaced(self, worker: _Worker[T]) -> _Worker[T]:
        """Replace a dead worker, which is returned, by a new one."""
        worker.process.join()
        worker.pipe.close()
        worker.lifeline.close()
        code = worker.process.exitcode
        if not worker.ready:
            raise ThevalError(
                f"a worker process ended with code {code} before it was ready. A script that "
                "defines units of its own has to call this package below `if __name__ == '__main__':`"
            )
        _log.warning("a worker process ended with code %s and is replaced", code)
        self._workers[self._workers.index(worker)] = self._start()
        return worker

    def _start(self) -> _Worker[T]:
        ours, theirs = self._context.Pipe()
        end, lifeline = self._context.Pipe(duplex=False)
        arguments = (theirs, end, self._setup, dict(os.environ))
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        with _main_for(self._setup):
            process.start()
        theirs.close()
        end.close()
        return _Worker(process, ours, lifeline)


@contextmanager
def _main_for(setup: Callable[[], Any]) -> Iterator[None]:
    """Hide the main module from processes started meanwhile, unless the setup is defined there.

    A new process would otherwise run the user's script again, which fails or repeats its work unless
    that is below `if __name__ == "__main__":`.
    """
    if b"__main__" in pickle.dumps(setup):
        yield
        return
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _hand_out(worker: _Worker[T], waiting: deque[tuple[int, T]]) -> None:
    worker.item = waiting.popleft() if waiting else None
    if worker.item:
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            worker.pipe.send(worker.item[1])  # a dead worker is noticed when it is read from


def _work(
    pipe: Connection,
    lifeline: Connection,
    setup: Callable[[], Callable[[Any], Any]],
    environment: Mapping[str, str],
) -> None:
    """Main function of a worker: process items until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # so that programs it has started end with it
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    silence_native_chatter()
    work = setup()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent needs it no more
        pipe.send(None)
        while True:
            item = pipe.recv()
            pipe.send(work(item))


def _end_with_parent(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, ConnectionError, OSError):
        lifeline.recv_bytes()
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
