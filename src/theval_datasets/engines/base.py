"""The engine interface: one function over many items, in workers with a set-up of their own.

What holds for every engine:

- A worker makes its set-up once and receives one item at a time. Items are taken from their iterator
  only as workers become free, so that a stream of items is never held whole.
- A worker that dies, or whose machine is lost, is replaced. Its item is tried once more, then its result
  is a `WorkerLost`; the other items are not affected.
- An item that takes longer than it may is ended and not tried again.
- An exception of the function, or of the set-up, ends the run and is raised here with its message: what
  may go wrong with an item is a result of the function.
- Workers, and the programs that they run, do not outlive the process that started them.

The loop below keeps these promises; an engine starts workers, sends them items, and reports what they say.
"""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, Self, TypeVar

from theval_datasets.errors import ThevalError

from .limits import TIME_LIMIT, time_allowed
from .messages import TRIES, Died, Message, Raised, Ready, WorkerLost

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_AHEAD: Final = 4
"""Results per worker that are held back, at most, until an earlier one has arrived."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a worker needs besides one core. An engine that does not place workers ignores it.

    Attributes:
        gpus: Share of a GPU, 0 to 1.
        memory: Bytes of memory; 0 for no demand.
    """

    gpus: float = 0.0
    memory: int = 0


@dataclass(slots=True)
class Attempt(Generic[T]):
    """An item, and how often a worker died on it.

    Attributes:
        number: Place among the items, from 0.
        item: The item.
        deaths: Number of workers that died on it.
    """

    number: int
    item: T
    deaths: int = 0


@dataclass(slots=True, eq=False)
class Worker(Generic[T]):
    """A worker; engines add their own handles.

    Attributes:
        ready: Whether its set-up is made.
        attempt: The item in progress; None if it has none.
        limit: Time limit of that item in seconds.
        deadline: Moment of the monotonic clock at which the item is ended.
    """

    ready: bool = False
    attempt: Attempt[T] | None = None
    limit: float = math.inf
    deadline: float = math.inf


class Pool(ABC, Generic[T, R]):
    """Workers with one set-up, started when first needed and kept; use it as a context manager.

    Examples:
        >>> import math
        >>> from .local import LocalEngine
        >>> with LocalEngine(workers=0).pool(lambda: math.factorial) as pool:
        ...     list(pool.map([2, 3])), list(pool.map([4]))
        ([(2, 2), (3, 6)], [(4, 24)])
        >>> pool.close()  # leaving the block does this too
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        self.close(at_once=kind is not None)

    @abstractmethod
    def map(
        self, items: Iterable[T], *, ordered: bool = False
    ) -> Iterator[tuple[T, R | WorkerLost]]:
        """Process all items.

        Args:
            items: Items; they and their results have to be picklable.
            ordered: Whether results come in the order of the items; by default as they are completed.

        Yields:
            Each item with its result.

        Raises:
            Exception: What the function or the set-up raised.
            ThevalError: Workers end before they are ready.
        """

    @abstractmethod
    def close(self, *, at_once: bool = False) -> None:
        """End all workers.

        Args:
            at_once: Whether to abandon items in progress.
        """


class WorkerPool(Pool[T, R]):
    """The loop of all pools whose workers are other processes.

    Args:
        size: Number of workers.
        limit: Returns the seconds that an item may take.
    """

    def __init__(self, size: int, limit: Callable[[T], float]) -> None:
        self._size = size
        self._limit = limit
        self._workers: list[Any] = []
        self._stillborn = 0
        self._most_stillborn = TRIES
        self._in_use = False

    @abstractmethod
    def _start(self) -> Worker[T]:
        """Start a worker."""

    @abstractmethod
    def _send(self, worker: Any, item: T) -> None:
        """Give an item to a worker that is ready; if it is dead, its next message says so."""

    @abstractmethod
    def _messages(self, seconds: float) -> list[tuple[Any, Message]]:
        """Wait for messages of workers; none if there are none within some seconds."""

    @abstractmethod
    def _end(self, worker: Any) -> None:
        """End a worker and the programs it runs, whatever it is doing; it may be dead."""

    def _why_not_ready(self, exit_code: int | None) -> str:
        """Explanation of workers that end before they are ready."""
        return f"a worker process ended with code {exit_code} before it was ready"

    def map(
        self, items: Iterable[T], *, ordered: bool = False
    ) -> Iterator[tuple[T, R | WorkerLost]]:
        """See `Pool.map`."""
        if self._in_use:
            raise RuntimeError("this pool is already in use: its results would be mixed up")
        self._in_use = True
        try:
            yield from self._map(iter(items), ordered)
        except BaseException:
            self.close(at_once=True)
            raise
        finally:
            self._in_use = False

    def _map(self, source: Iterator[T], ordered: bool) -> Iterator[tuple[T, R | WorkerLost]]:
        waiting: deque[Attempt[T]] = deque()
        held: dict[int, tuple[T, R | WorkerLost]] = {}
        taken = given = 0
        more = True
        ahead = _AHEAD * self._size if ordered else math.inf

        def employ() -> None:
            nonlocal taken, more
            busy = sum(worker.attempt is not None for worker in self._workers)
            while more and len(waiting) + busy < self._size and taken - given < ahead:
                try:
                    waiting.append(Attempt(taken, next(source)))
                except StopIteration:
                    more = False
                else:
                    taken += 1
            self._hand_out(waiting)

        employ()
        while waiting or any(worker.attempt for worker in self._workers):
            results, fault = self._results(waiting)
            if fault is None:
                employ()  # the workers go on while the results are used
            for attempt, result in results:
                held[attempt.number] = attempt.item, result
                number = given if ordered else attempt.number
                while number in held:
                    given += 1
                    yield held.pop(number)
                    number += 1
            if fault is not None:
                self._give_up(fault)
            employ()  # results that were held back may have made room

    def _give_up(self, fault: Raised) -> NoReturn:
        """Raise the exception that ends the run."""
        if fault.trace:
            _log.error("a worker failed:\n%s", fault.trace)
        raise fault.error

    def _hand_out(self, waiting: deque[Attempt[T]]) -> None:
        """Give items to workers that have none, and start workers for the others."""
        for worker in self._workers:
            if waiting and worker.ready and worker.attempt is None:
                worker.attempt = waiting.popleft()
                worker.limit = self._limit(worker.attempt.item)
                worker.deadline = time.monotonic() + worker.limit
                self._send(worker, worker.attempt.item)
        starting = sum(not worker.ready for worker in self._workers)
        while starting < len(waiting) and len(self._workers) < self._size:
            self._workers.append(self._start())
            starting += 1

    def _results(
        self, waiting: deque[Attempt[T]]
    ) -> tuple[list[tuple[Attempt[T], R | WorkerLost]], Raised | None]:
        """Wait for results of items, or an exception that ends the run."""
        results: list[tuple[Attempt[T], R | WorkerLost]] = []
        fault: Raised | None = None
        for worker, message in self._messages(self._patience()):
            attempt: Attempt[T] | None = worker.attempt
            if isinstance(message, Ready):
                worker.ready = True
                self._stillborn = 0
            elif isinstance(message, Raised):
                fault = fault or message
            elif isinstance(message, Died):
                self._discard(worker)
                if attempt is None:
                    self._note_stillborn(message.exit_code)
                    continue
                _log.warning(
                    "a worker process ended with code %s and is replaced", message.exit_code
                )
                attempt.deaths += 1
                if attempt.deaths < TRIES:
                    waiting.append(attempt)
                else:
                    results.append((attempt, WorkerLost(message.exit_code)))
            elif attempt is not None:
                worker.attempt = None
                results.append((attempt, message.result))
        now = time.monotonic()
        for worker in [one for one in self._workers if one.attempt and now > one.deadline]:
            results.append((worker.attempt, WorkerLost(seconds=worker.limit)))
            self._discard(worker)
        return results, fault

    def _discard(self, worker: Worker[T]) -> None:
        self._workers.remove(worker)
        self._end(worker)

    def _note_stillborn(self, exit_code: int | None) -> None:
        self._stillborn += 1
        if self._stillborn >= self._most_stillborn:
            raise ThevalError(self._why_not_ready(exit_code))

    def _patience(self) -> float:
        """Seconds until an item may have exceeded its limit."""
        first = min(
            (worker.deadline for worker in self._workers if worker.attempt), default=math.inf
        )
        return max(0.0, first - time.monotonic())


class Engine(ABC):
    """Runs functions over items; use it as a context manager, so that what it holds is released.

    Attributes:
        workers: Number of items that are processed at once.
        time_limit: Time limit for work on a file, as a multiple of its duration; 0 for no limit.
        shares_disk: Whether all workers are on this machine and see its temporary folders.

    Examples:
        >>> import math
        >>> from .local import LocalEngine
        >>> with LocalEngine(workers=0) as engine:  # 0 runs in this process
        ...     list(engine.map(lambda: math.sqrt, [1, 4, 9]))
        [(1, 1.0), (4, 2.0), (9, 3.0)]
        >>> with LocalEngine(workers=0) as engine, engine.pool(lambda: math.sqrt) as pool:
        ...     [root for _, root in pool.map([25])]
        [5.0]
        >>> LocalEngine(workers=8).for_own_files(n_items=1, n_bytes=1).workers  # no process is started
        0
        >>> LocalEngine(workers=8, time_limit=0).time_allowed(Path("a.mp4"))
        inf
    """

    workers: int
    time_limit: float = TIME_LIMIT
    shares_disk: bool = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:  # noqa: B027  # most hold nothing
        """Release what the engine holds; nothing, unless it says so."""

    @abstractmethod
    def pool(
        self,
        setup: Callable[[], Callable[[T], R]],
        limit: Callable[[T], float] = lambda _: math.inf,
        resources: Resources = Resources(),  # it is frozen
    ) -> Pool[T, R]:
        """Workers with a set-up.

        Args:
            setup: Called once in each worker; returns the function that is called on every item. It
                has to be picklable.
            limit: Returns the seconds that an item may take; called in this process.
            resources: What a worker needs.
        """

    def map(
        self,
        setup: Callable[[], Callable[[T], R]],
        items: Iterable[T],
        limit: Callable[[T], float] = lambda _: math.inf,
        resources: Resources = Resources(),  # it is frozen
        *,
        ordered: bool = False,
    ) -> Iterator[tuple[T, R | WorkerLost]]:
        """Process items with workers that are ended afterwards; see `pool` and `Pool.map`."""
        with self.pool(setup, limit, resources) as pool:
            yield from pool.map(items, ordered=ordered)

    def for_own_files(self, n_items: int, n_bytes: int) -> Engine:
        """The engine for files of one's own making, which need no protection against crashes.

        Args:
            n_items: Number of items.
            n_bytes: Their size.
        """
        return self

    def time_allowed(self, path: Path) -> float:
        """Seconds that work on a file may take, see `limits.time_allowed`."""
        try:
            n_bytes = path.stat().st_size
        except OSError:
            n_bytes = 0
        return time_allowed(n_bytes, self.time_limit)
