"""Tasks on untrusted files in the workers of an engine, in which a failing item never ends the run.

Every exception of an item becomes a `Failure` with a reason. Only causes that do not depend on the item
end the run: wrong options, a missing program, a full disk.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from theval_datasets.engines.base import Engine, Pool
from theval_datasets.engines.messages import WorkerLost
from theval_datasets.errors import (
    InputError,
    MediaError,
    MissingExtraError,
    StorageError,
    ThevalError,
    UnsafePathError,
    WeightsMissingError,
)
from theval_datasets.utils.files import disk_fault
from theval_datasets.utils.memory import give_back, is_out_of_memory
from theval_datasets.utils.progress import progress

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

UNREADABLE: Final = "unreadable"
"""Reason for a file that this process may not read."""
BROKEN_RUN: Final = frozenset({UNREADABLE, "error", "out-of-memory", "timeout", "worker-lost"})
"""Reasons not caused by the media: another run may succeed, and this run ends with exit code 1."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Failure of an item.

    Attributes:
        reason: Slug.
        detail: Explanation of the reason.
        trace: Traceback of an unexpected exception.
        fatal: Exception that ends the run, where the cause does not depend on the item.
    """

    reason: str
    detail: str
    trace: str = ""
    fatal: type[ThevalError] | None = None


class Tasks:
    """Workers for the tasks of a run; use it as a context manager.

    Args:
        engine: Engine whose workers process the items.
    """

    def __init__(self, engine: Engine) -> None:
        self._pool: Pool[_Job, Any] = engine.pool(
            _attempting, lambda job: engine.time_allowed(job.path)
        )

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        self._pool.__exit__(kind, *details)

    def run(
        self,
        task: Callable[[T], R],
        items: Sequence[T],
        label: str | None,
        unit: str = "clip",
        *,
        path: Callable[[T], Path],
    ) -> Iterator[tuple[T, R | Failure]]:
        """Process all items.

        Args:
            task: Function of an item; it and its results have to be picklable.
            items: Picklable items.
            label: Label of the progress bar; None for no bar.
            unit: Unit that the bar counts.
            path: Returns the file that is read for an item, on which its time limit depends.

        Yields:
            Each item with its result or failure, in order of completion.

        Raises:
            InputError, StorageError: The cause of a failure does not depend on its item.
        """
        with progress(len(items), label, unit) if label else nullcontext() as bar:
            for job, result in self._pool.map([_Job(task, item, path(item)) for item in items]):
                item = job.item
                if bar is not None:
                    bar.update()
                if isinstance(result, WorkerLost):
                    yield item, Failure(result.reason, str(result))
                    continue
                if isinstance(result, Failure):
                    if result.fatal is not None:
                        raise result.fatal(result.detail)
                    if result.trace:
                        _log.error("%s failed:\n%s", label or "a task", result.trace)
                yield item, result


@dataclass(frozen=True, slots=True)
class _Job:
    task: Callable[[Any], Any]
    item: Any
    path: Path


def _attempting() -> Callable[[_Job], Any]:
    return _attempt


def _attempt(job: _Job) -> Any:
    try:
        return job.task(job.item)
    except Exception as error:  # noqa: BLE001  # an item never ends a run
        return failure_of(error)
    finally:
        give_back()


def failure_of(error: Exception) -> Failure:
    """The failure for an exception.

    Examples:
        >>> failure_of(MemoryError()).reason, failure_of(KeyError("x")).detail
        ('out-of-memory', "KeyError: 'x'")
    """
    if full := disk_fault(error):
        return Failure("storage", str(full), fatal=StorageError)
    if is_out_of_memory(error):
        return Failure("out-of-memory", "not enough memory")
    detail = str(error) or type(error).__name__
    match error:
        case UnsafePathError():
            return Failure("unsafe", detail)
        case MediaError():
            return Failure(error.reason, detail)
        case OSError():
            return Failure(UNREADABLE, error.strerror or detail)
        case InputError() | MissingExtraError() | WeightsMissingError():
            return Failure("input", detail, fatal=InputError)
        case _:
            trace = "".join(traceback.format_exception(error))
            return Failure("error", f"{type(error).__name__}: {detail}", trace)
