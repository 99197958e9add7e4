"""Outcomes of extractors: their states, their derivation from exceptions, and which are cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
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
"""Values of an extractor: arrays (0-d for a scalar) by column."""

Status = Literal["ok", "empty", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one extractor on one clip.

    Attributes:
        status: `ok`: there are values; `empty`: the media is sound but holds nothing to measure;
            `failed`: something went wrong.
        reason: Slug of the reason; None if and only if the status is `ok`.
        detail: Explanation for people.
        missing: Reasons of the columns that are undefined for this clip although the status is `ok`.
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
    """Result of an extractor for one clip, as cached: the outcome, and the values if it is `ok`.

    Attributes:
        outcome: Outcome.
        values: Values by column.
        whole: Whether no value was left out when it was read.
    """

    outcome: Outcome
    values: Values = field(default_factory=dict)
    whole: bool = True


UNAVAILABLE: Final = frozenset({"weights-missing", "extra-missing"})
"""Reasons of failures that are due to the installation, not the clip."""


def outcome_of(error: Exception) -> Outcome:
    """The outcome that an exception results in.

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
    """Whether another run would have the same outcome; only such outcomes are cached.

    Examples:
        >>> decided_by_media(Outcome("failed", "truncated", ""))
        True
        >>> decided_by_media(Outcome("failed", "out-of-memory", ""))
        False
    """
    return outcome.status != "failed" or outcome.reason in _OF_MEDIA


def compute_each(metrics: Mapping[str, Callable[[], float]]) -> tuple[Values, dict[str, str]]:
    """Compute metrics that may be undefined, each on its own.

    Args:
        metrics: Functions by column; one that raises `AbsentError` leaves its column undefined.

    Returns:
        Values of the others, and the reasons of the undefined.

    Examples:
        >>> def rate():
        ...     raise AbsentError("no-speech")
        >>> compute_each({"rate": rate, "level": lambda: 0.5})
        ({'level': array(0.5)}, {'rate': 'no-speech'})
    """
    values: Values = {}
    missing: dict[str, str] = {}
    for name, metric in metrics.items():
        try:
            values[name] = np.array(metric())
        except AbsentError as absent:
            missing[name] = absent.reason
    return values, missing
