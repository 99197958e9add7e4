"""Duration of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import Clip, Features, Filter, Verdict, check_range, keep, reject


@dataclass(frozen=True)
class Duration(Filter):
    """Keeps clips within a range of lengths.

    Attributes:
        min_seconds: Minimum duration in seconds.
        max_seconds: Maximum duration in seconds; None for no limit.
    """

    min_seconds: float = 3.0
    max_seconds: float | None = None

    shown: ClassVar[Mapping[str, str]] = {"seconds": "min_seconds,max_seconds"}
    decides: ClassVar[Mapping[str, str]] = {"too-short": "seconds", "too-long": "seconds"}

    def __post_init__(self) -> None:
        check_range("the range of seconds", self.min_seconds, self.max_seconds)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the probed duration, with a tolerance of 10 ms."""
        seconds = clip.media.duration
        if seconds < self.min_seconds - 0.01:
            return reject("too-short", seconds=seconds)
        if self.max_seconds is not None and seconds > self.max_seconds + 0.01:
            return reject("too-long", seconds=seconds)
        return keep(seconds=seconds)
