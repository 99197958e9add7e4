"""Frame rate of a clip, and its regularity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import Clip, Features, Filter, Verdict, check_range, keep, reject, undecided


@dataclass(frozen=True)
class FrameRate(Filter):
    """Keeps clips within a range of frame rates.

    Attributes:
        min_fps: Minimum measured frame rate.
        max_fps: Maximum measured frame rate; None for no limit.
        variable: Whether a variable frame rate is allowed.
    """

    min_fps: float = 20.0
    max_fps: float | None = None
    variable: bool = True

    shown: ClassVar[Mapping[str, str]] = {"fps": "min_fps,max_fps"}
    decides: ClassVar[Mapping[str, str]] = {"low-frame-rate": "fps", "high-frame-rate": "fps"}

    def __post_init__(self) -> None:
        check_range("the range of frame rates", self.min_fps, self.max_fps)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the measured rate, with a tolerance of 0.01 frames per second."""
        fps = clip.media.fps
        if fps is None:
            return undecided("single-frame")
        if fps < self.min_fps - 0.01:
            return reject("low-frame-rate", fps=fps)
        if self.max_fps is not None and fps > self.max_fps + 0.01:
            return reject("high-frame-rate", fps=fps)
        if clip.media.variable_rate and not self.variable:
            return reject("variable-frame-rate", fps=fps)
        return keep(fps=fps)
