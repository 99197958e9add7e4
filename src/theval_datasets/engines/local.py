"""The local engine: worker processes of this machine, so that a crash affects one item only.

A file can crash a decoder, make it loop, or exhaust the memory of the process that reads it, so untrusted
files are read in worker processes. Workers, and the programs they run, do not outlive the process that
started them.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final, TypeVar

from theval_datasets.utils.memory import keep_heap_compact
from theval_datasets.utils.quiet import silence_native_chatter

from .base import Engine, Pool, Resources, Worker, WorkerPool
from .limits import TIME_LIMIT
from .messages import Died, Done, Message, Ready, WorkerLost, raised

T = TypeVar("T")
R = TypeVar("R")

_LONGEST_WAIT: Final = 3600.0
WORTH_WORKERS = 64 << 20
"""Bytes of files of one's own from which on workers read or write them sooner than this process.

A worker needs a second to import what it needs; a process checks 100 MB in that time.
"""
_PRELOAD: Final = ("numpy", "theval_datasets.engines.local")
"""Modules that the fork server imports once; none of them may start threads."""
_GRACE: Final = 5.0
"""Seconds within which an idle worker has to end by itself."""


@dataclass(frozen=True)
class LocalEngine(Engine):
    """Runs functions in processes of this machine.

    Attributes:
        workers: Number of processes; 0 runs in this process, without protection against crashes.
        time_limit: Time limit for work on a file, as a multiple of its duration; 0 for no limit.
    """

    workers: int
    time_limit: float = TIME_LIMIT

    def pool(
        self,
        setup: Callable[[], Callable[[T], R]],
        limit: Callable[[T], float] = lambda _: math.inf,
        resources: Resources = Resources(),  # noqa: B008  # it is frozen
    ) -> Pool[T, R]:
        """See `Engine.pool`; the machine's resources are shared by all processes."""
        if not self.workers:
            return ThisProcess(setup)
        return LocalPool(self.workers, setup, limit)

    def for_own_files(self, n_items: int, n_bytes: int) -> LocalEngine:
        """See `Engine.for_own_files`; this process, if others would not pay for their start."""
        several = min(self.workers, n_items) > 1 and n_bytes >= WORTH_WORKERS
        return self if several else LocalEngine(0)


ONE_PROCESS: Final = LocalEngine(1)


class ThisProcess(Pool[T, R]):
    """This process in place of workers; what the function raises is raised here as it is."""

    def __init__(self, setup: Callable[[], Callable[[T], R]]) -> None:
        self._setup = setup
        self._work: Callable[[T], R] | None = None

    def map(
        self, items: Iterable[T], *, ordered: bool = False
    ) -> Iterator[tuple[T, R | WorkerLost]]:
        """See `Pool.map`; always in order."""
        for item in items:
            self._work = self._work or self._setup()
            yield item, self._work(item)

    def close(self, *, at_once: bool = False) -> None:
        """Forget the set-up."""
        self._work = None


@dataclass(slots=True, eq=False, kw_only=True)
class _Process(Worker[T]):
    process: BaseProcess
    pipe: Connection
    lifeline: Connection


class LocalPool(WorkerPool[T, R]):
    """Processes of this machine with one set-up.

    Args:
        size: Number of processes.
        setup: See `Engine.pool`.
        limit: Returns the seconds that an item may take.
        main: Whether the processes import the main module; by default if the set-up is defined there.
    """

    def __init__(
        self,
        size: int,
        setup: Callable[[], Callable[[T], R]],
        limit: Callable[[T], float] = lambda _: math.inf,
        *,
        main: bool | None = None,
    ) -> None:
        super().__init__(size, limit)
        self._setup = setup
        self._main = main
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if "forkserver" in methods:
            self._context.set_forkserver_preload(list(_PRELOAD))

    def close(self, *, at_once: bool = False) -> None:
        """See `Pool.close`."""
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

    def _start(self) -> _Process[T]:
        ours, theirs = self._context.Pipe()
        end, lifeline = self._context.Pipe(duplex=False)
        arguments = (theirs, end, self._setup, dict(os.environ))
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        needed = b"__main__" in pickle.dumps(self._setup) if self._main is None else self._main
        with _main_hidden(not needed):
            process.start()
        theirs.close()
        end.close()
        return _Process(process=process, pipe=ours, lifeline=lifeline)

    def _send(self, worker: _Process[T], item: T) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            worker.pipe.send(item)  # a dead worker is noticed when it is read from

    def _messages(self, seconds: float) -> list[tuple[_Process[T], Message]]:
        heard = {
            worker.pipe: worker for worker in self._workers if worker.attempt or not worker.ready
        }
        messages: list[tuple[_Process[T], Message]] = []
        for pipe in wait(list(heard), min(seconds, _LONGEST_WAIT)):
            worker = heard[pipe]
            try:
                message = worker.pipe.recv()
            except (EOFError, ConnectionError):
                worker.process.join()
                message = Died(worker.process.exitcode)
            messages.append((worker, message))
        return messages

    def _end(self, worker: _Process[T]) -> None:
        _kill(worker)
        worker.process.join()
        worker.pipe.close()
        worker.lifeline.close()

    def _why_not_ready(self, exit_code: int | None) -> str:
        return (
            f"{super()._why_not_ready(exit_code)}. A script that defines units of its own has to call "
            "this package below `if __name__ == '__main__':`"
        )


@contextmanager
def _main_hidden(hidden: bool) -> Iterator[None]:
    """Hide the main module from processes started meanwhile.

    A new process would otherwise run the user's script again, which fails or repeats its work unless
    that is below `if __name__ == "__main__":`.
    """
    if not hidden:
        yield
        return
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _kill(worker: _Process[Any]) -> None:
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
    keep_heap_compact()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent needs it no more
        try:
            work = setup()
        except Exception as error:  # noqa: BLE001  # it is raised by the parent
            pipe.send(raised(error))
            pipe.recv()  # until it closes the pipe
            return
        pipe.send(Ready())
        while True:
            item = pipe.recv()
            try:
                answer = ForkingPickler.dumps(Done(work(item)))
            except Exception as error:  # noqa: BLE001  # it is raised by the parent
                answer = ForkingPickler.dumps(raised(error))
            pipe.send_bytes(answer)


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
