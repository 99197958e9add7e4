"""Shots, with the exact frames of their cuts, and black shots."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import FrameRequest, Frames

_HEIGHT: Final = 144
_NOMINAL: Final = 25.0
"""Frame rate for PySceneDetect, which counts frames by a rate; only frame numbers are used."""


@dataclass(frozen=True)
class Shots(Extractor):
    """The first frames of shots, by PySceneDetect's adaptive detector on small frames.

    A cut is a change of content of at least `least` that is also at least `ratio` times the mean change of
    the two frames on either side, so that camera motion does not count; a change to or from black, by luma;
    or a change of the stored frame size, as in joined files. Fades are detected where they pass through
    black.

    Attributes:
        ratio: Minimum ratio of the change to the mean change of neighbouring frames.
        least: Minimum change of content, 0 to 255.
        black: Maximum mean luma of a black frame, 0 to 255.
    """

    ratio: float = 3.0
    least: float = 15.0
    black: float = 20.0

    name: ClassVar[str] = "shots"
    version: ClassVar[int] = 2
    source: ClassVar[str] = "PySceneDetect, adaptive detector"
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "time",
            "float64",
            ("frame",),
            "Time of each frame since the first frame.",
            unit="s",
            low=0,
        ),
        Column("luma", "float32", ("frame",), "Mean luma of each frame.", low=0, high=255),
        Column(
            "begin", "int64", ("shot",), "Index of each shot's first frame; the first is 0.", low=0
        ),
        Column("dark", "bool", ("shot",), "Whether a shot is black."),
        Column("n_shots", "int32", (), "Number of shots that are not black.", low=0),
        Column("end", "float64", (), "Last frame's time plus its length.", unit="s", low=0),
    )

    @property
    def frames(self) -> FrameRequest:
        """Every frame, small."""
        return FrameRequest(height=_HEIGHT, colour="bgr")

    def weights_id(self) -> str:
        """The detector's version."""
        return f"scenedetect-{importlib.metadata.version('scenedetect')}"

    def open(self, clip: ClipInputs, model: Any) -> _ShotAccumulator:
        """Create a new detector."""
        return _ShotAccumulator(clip, self)


class _ShotAccumulator:
    def __init__(self, clip: ClipInputs, rule: Shots) -> None:
        from scenedetect.detectors import AdaptiveDetector

        self._clip = clip
        self._rule = rule
        self._detector = AdaptiveDetector(
            adaptive_threshold=rule.ratio, min_content_val=rule.least, min_scene_len=1
        )
        self._times: list[float] = []
        self._luma: list[float] = []
        self._cuts: list[int] = []

    def update(self, batch: Frames) -> None:
        from scenedetect import FrameTimecode

        first = len(self._times)
        self._cuts += [first + int(i) for i in np.flatnonzero(batch.breaks)]
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            number = FrameTimecode(len(self._times), fps=_NOMINAL)
            cuts = self._detector.process_frame(number, frame)
            self._cuts += [int(cut.frame_num) for cut in cuts]
            self._times.append(time)
            blue, green, red = frame.reshape(-1, 3).mean(axis=0, dtype=np.float64).tolist()
            self._luma.append(0.299 * red + 0.587 * green + 0.114 * blue)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        luma = np.array(self._luma)
        black = luma <= self._rule.black
        turns = (np.flatnonzero(np.diff(black)) + 1).tolist()
        begin = np.array(sorted({0, *self._cuts, *turns}), dtype=np.int64)
        sizes = np.diff(np.append(begin, len(luma)))
        dark = np.add.reduceat(black.astype(np.int64), begin) == sizes
        return {
            "time": np.array(self._times),
            "luma": luma.astype(np.float32),
            "begin": begin,
            "dark": dark,
            "n_shots": np.array((~dark).sum(), np.int32),
            "end": np.array(max(self._clip.duration, self._times[-1])),
        }, {}
