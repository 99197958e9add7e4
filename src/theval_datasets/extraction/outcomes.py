"""Outcomes: how an extractor ended on a clip, what an exception becomes, which ones are cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy.typing as npt

from theval_datasets.errors import (
    AbsentError,
    EmptyMediaError,
    MediaError,
    MissingExtraError,
    WeightsMissingError,
)
from theval_datasets.utils.memory import is_out_of_memory

Array = npt.NDArray[Any]
Values = dict[str, Array]
"""What an extractor computed: column name to array (0-d for a scalar)."""

Status = Literal["ok", "empty", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one extractor ended on one clip.

    Attributes:
        status: `ok`; `empty`: the media is fine, the thing is not in it; `failed`: it should have
            worked.
        reason: Slug; None exactly when `ok`.
        detail: For people.
        missing: For `ok`: columns that are undefined for this clip all the same, with the reason.
    """

    status: Status
    reason: str | None = None
    detail: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.reason is None) != (self.status == "ok"):
            raise ValueError(f"an outcome has a reason exactly when it is not ok; got {self!r}")


@dataclass(frozen=True, slots=True)
class Feature:
    """What an extractor left in the cache for one clip: the outcome, and the values when ok."""

    outcome: Outcome
    values: Values = field(default_factory=dict)


UNAVAILABLE: Final = frozenset({"weights-missing", "extra-missing"})
"""Reasons of failures that lie in the installation, not in the clip."""


def outcome_of(error: Exception) -> Outcome:
    """The outcome that an exception stands for.

    Examples:
        >>> outcome_of(AbsentError("no-face"))
        Outcome(status='empty', reason='no-face', detail=None, missing={})
    """
    detail = str(error) or type(error).__name__
    if is_out_of_memory(error):
        return Outcome("failed", "out-of-memory", detail)
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
        case OSError():
            return Outcome("failed", "io-error", detail)
        case _:
            return Outcome("failed", "error", f"{type(error).__name__}: {detail}")


_OF_MEDIA: Final = frozenset({"broken-media", "not-media", "zero-frames", "truncated", "too-large"})
_FAILURES: Final = _OF_MEDIA | {"missing", "changed", "error", "io-error", "out-of-memory"}


def decided_by_media(outcome: Outcome) -> bool:
    """Whether another run would end alike: only then is an outcome kept in the cache.

    Examples:
        >>> decided_by_media(Outcome("failed", "truncated", ""))
        True
        >>> decided_by_media(Outcome("failed", "out-of-memory", ""))
        False
    """
    return outcome.status != "failed" or outcome.reason in _OF_MEDIA
