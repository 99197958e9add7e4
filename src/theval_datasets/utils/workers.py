"""Worker processes that handle one item at a time, so that a crash affects one item only.

A file can crash a decoder, make it loop, or exhaust the memory of the process that reads it, so untrusted
files are read in worker processes. A worker that dies is replaced; its item is tried once more, then
reported as lost. A worker whose item takes longer than it may is killed. Workers, and the programs they
run, do not outlive the process that started them.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from theval_datasets.errors import StorageError, ThevalError

from .quiet import silence_native_chatter

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

TRIES: Final = 2
"""Number of attempts for an item whose worker dies."""
TIME_LIMIT: Final = 100.0
"""Default limit of the time that work on a file may take, as a multiple of the duration of its media."""
_LEAST_TIME: Final = 1800.0
"""Seconds that work on any file may take, loading of models included."""
_LOW_RATE: Final = 25_000.0
"""Bytes per second of media of a low rate: durations estimated with it are long ones."""
_LONGEST_WAIT: Final = 3600.0
_PRELOAD: Final = ("numpy", "theval_datasets.utils.workers")
"""Modules that the fork server imports once; none of them may start threads."""
_GRACE: Final = 5.0
"""Seconds within which an idle worker has to end by itself."""


def time_allowed(path: Path, factor: float) -> float:
    """Time limit for work on a media file; generous, so that only what hangs exceeds it.

    The duration is estimated from the size of the file, since headers can be wrong.

    Args:
        path: The file.
        factor: Limit as a multiple of the duration; 0 for no limit.

    Returns:
        Seconds, at least 1800.

    Example:
        >>> time_allowed(Path(os.devnull), 100.0), time_allowed(Path(os.devnull), 0)
        (1800.0, inf)
    """
    if not factor:
        return math.inf
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return max(_LEAST_TIME, factor * size / _LOW_RATE)


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The result of an item whose workers all died, or that exceeded its time limit.

    Attributes:
        exit_code: Exit code of the last worker; negative for a signal; None if unknown.
        seconds: The time limit, if it was exceeded.
    """

    exit_code: int | None = None
    seconds: float | None = None

    @property
    def reason(self) -> str:
        """Slug."""
        return "worker-lost" if self.seconds is None else "timeout"

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"it took more than {self.seconds:,.0f} s and was ended (see --time-limit)"
        last = "" if self.exit_code is None else f", the last with exit code {self.exit_code}"
        return f"{TRIES} worker processes died on it{last}"


@dataclass(slots=True)
class _Worker(Generic[T]):
    process: BaseProcess
    pipe: Connection
    lifeline: Connection
    item: tuple[int, T] | None = None
    ready: bool = False
    limit: float = math.inf
    deadline: float = math.inf


class WorkerPool(Generic[T, R]):
    """Worker processes that are started when first needed; use it as a context manager.

    Args:
        size: Number of processes; 0 runs in this process, without protection against crashes.
        setup: Called once in each worker; returns the function that is called on every item. It has to
            be picklable, and so do the function's results. A `StorageError` of the function ends the
            run, any other exception the worker.
        limit: Returns the seconds that an item may take. After them it is not tried again.
    """

    def __init__(
        self,
        size: int,
        setup: Callable[[], Callable[[T], R]],
        limit: Callable[[T], float] = lambda _: math.inf,
    ) -> None:
        self._size = size
        self._limit = limit
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
            StorageError: Raised by the function: every further item would fail too.
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
                _kill(worker)
                worker.process.join(timeout=_GRACE)

    def _map(self, waiting: deque[tuple[int, T]]) -> Iterator[tuple[T, R | WorkerLost]]:
        tries: dict[int, int] = {}
        while len(self._workers) < min(self._size, len(waiting)):
            self._workers.append(self._start())
        for worker in self._workers:
            self._hand_out(worker, waiting)
        while busy := {worker.pipe: worker for worker in self._workers if worker.item}:
            ended = wait(list(busy), _left(busy.values()))
            for worker in [one for one in busy.values() if one.pipe not in ended]:
                if worker.item and time.monotonic() > worker.deadline:
                    _kill(worker)
                    self._replaced(worker)
                    yield worker.item[1], WorkerLost(seconds=worker.limit)
            for pipe in ended:
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
                    self._start_clock(worker)
                    continue
                if isinstance(received, StorageError):
                    raise received
                worker.item = None
                self._hand_out(worker, waiting)
                yield item, received
            for worker in self._workers:
                if worker.item is None and waiting:
                    self._hand_out(worker, waiting)

    def _hand_out(self, worker: _Worker[T], waiting: deque[tuple[int, T]]) -> None:
        worker.item = waiting.popleft() if waiting else None
        if worker.item:
            if worker.ready:
                self._start_clock(worker)
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                worker.pipe.send(worker.item[1])  # a dead worker is noticed when it is read from

    def _start_clock(self, worker: _Worker[T]) -> None:
        if worker.item:
            worker.limit = self._limit(worker.item[1])
            worker.deadline = time.monotonic() + worker.limit

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


def _left(busy: Iterable[_Worker[Any]]) -> float:
    """Seconds to wait until a worker may have exceeded its limit; no more than the system can wait."""
    first = min(worker.deadline for worker in busy)
    return min(_LONGEST_WAIT, max(0.0, first - time.monotonic()))


def _kill(worker: _Worker[Any]) -> None:
    """End a worker and the programs it runs, whatever it is doing."""
    number = worker.process.pid
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number and hasattr(os, "killpg") and os.getpgid(number) == number:
            os.killpg(number, signal.SIGKILL)
    worker.process.kill()


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
    _end_with_parent(lifeline)
    silence_native_chatter()
    work = setup()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent needs it no more
        pipe.send(None)
        while True:
            item = pipe.recv()
            try:
                result = work(item)
            except StorageError as error:
                result = error
            pipe.send(result)


def _end_with_parent(lifeline: Connection) -> None:
    """Let this process and the programs it runs be killed as soon as the parent is no more.

    A thread waits for that, and where there is Linux its kernel too: the thread waits in vain while a
    decoder that loops holds the interpreter.
    """
    threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | fcntl.FASYNC)


def _wait_for_end(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, ConnectionError, OSError):
        lifeline.recv_bytes()
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
