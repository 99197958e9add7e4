"""What workers report: that they are ready, the result of an item, an error, or their end."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from typing import Any, Final

from theval_datasets import errors
from theval_datasets.errors import ThevalError

TRIES: Final = 2
"""Number of attempts for an item whose worker dies."""
_SENT_AS_THEY_ARE: Final = (ThevalError, OSError, MemoryError, ImportError)


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The result of an item whose workers all died, or that exceeded its time limit.

    Attributes:
        exit_code: Exit code of the last worker; negative for a signal; None if unknown.
        seconds: The time limit, if it was exceeded.

    Examples:
        >>> WorkerLost(seconds=30).reason, WorkerLost(exit_code=-9).reason
        ('timeout', 'worker-lost')
        >>> str(WorkerLost(exit_code=-9))
        '2 worker processes died on it, the last with exit code -9'
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


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has made its set-up."""


@dataclass(frozen=True, slots=True)
class Done:
    """An item is done.

    Attributes:
        result: Its result.
    """

    result: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The set-up or the function raised an exception, which ends the run.

    Attributes:
        error: The exception, or one with its message that can be sent to another process.
        trace: Traceback of an exception that is not raised on purpose; else "".
    """

    error: Exception
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Died:
    """A worker has ended.

    Attributes:
        exit_code: Exit code; negative for a signal; None if unknown.
    """

    exit_code: int | None = None


Message = Ready | Done | Raised | Died


def raised(error: Exception) -> Raised:
    """The message for an exception.

    Examples:
        >>> raised(ValueError("no number")).error
        ThevalError('ValueError: no number')
    """
    if isinstance(error, _SENT_AS_THEY_ARE):
        return Raised(_sendable(error))
    trace = "".join(traceback.format_exception(error))
    return Raised(ThevalError(f"{type(error).__name__}: {error}"), trace)


def _sendable(error: Exception) -> Exception:
    """An error of the same kind, or the nearest kind above it, that arrives with its message."""
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
        if type(copy) is type(error) and str(copy) == str(error):
            return error
    except Exception:  # noqa: BLE001, S110  # whatever a class does when it is made again
        pass
    for kind in type(error).__mro__:
        if getattr(errors, kind.__name__, None) is kind:
            try:
                near: Exception = kind(str(error))
            except TypeError:
                continue
            return near
    return ThevalError(f"{type(error).__name__}: {error}")
