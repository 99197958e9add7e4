"""Which outcome an exception stands for, and which outcomes last."""

from __future__ import annotations

from typing import Final

from theval_datasets.errors import (
    AbsentError,
    EmptyMediaError,
    MediaError,
    MissingExtraError,
    WeightsMissingError,
)
from theval_datasets.schema import Outcome

UNAVAILABLE: Final = frozenset({"weights-missing", "extra-missing"})
"""Reasons of failures that lie in the installation, not in the clip."""


def outcome_of(error: Exception) -> Outcome:
    """The outcome that an exception stands for."""
    detail = str(error) or type(error).__name__
    match error:
        case AbsentError():
            failed = error.reason in UNAVAILABLE or error.reason in _FAILURES
            return Outcome("failed" if failed else "empty", error.reason, error.detail)
        case EmptyMediaError():
            return Outcome("empty", error.reason, detail)
        case MediaError():
            return Outcome("failed", error.reason, detail)
        case WeightsMissingError():
            return Outcome("failed", "weights-missing", detail)
        case MissingExtraError():
            return Outcome("failed", "extra-missing", detail)
        case MemoryError():
            return Outcome("failed", "out-of-memory", detail)
        case OSError():
            return Outcome("failed", "io-error", detail)
        case _:
            return Outcome("failed", "error", f"{type(error).__name__}: {detail}")


_OF_MEDIA: Final = frozenset({"broken-media", "not-media", "zero-frames", "truncated", "too-large"})
_FAILURES: Final = _OF_MEDIA | {"missing", "changed", "error", "io-error", "out-of-memory"}


def decided_by_media(outcome: Outcome) -> bool:
    """Whether another run would end alike: only then is an outcome kept in the cache."""
    return outcome.status != "failed" or outcome.reason in _OF_MEDIA
