"""Faces at a low frame rate, to locate people in long sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import FrameRequest, Frames

from .people.detection_extractor import DetectionExtractor
from .people.detector import Detector


@dataclass(frozen=True)
class FaceScan(DetectionExtractor):
    """Boxes of all faces in a few frames a second, without tracks or identities.

    Attributes:
        fps: Sampling rate, frames a second.
    """

    fps: float = 2.0

    name: ClassVar[str] = "face_scan"
    source: ClassVar[str] = (
        "Guo et al., Sample and Computation Redistribution for Efficient Face Detection (2021)"
    )
    writes: ClassVar[tuple[Column, ...]] = (
        Column("time", "float64", ("sample",), "Times of the sampled frames.", unit="s", low=0),
        Column("sample", "int32", ("detection",), "Index of the face's sampled frame.", low=0),
        Column(
            "box",
            "float32",
            ("detection", 4),
            "Left, top, right, bottom; may reach beyond the frame.",
            unit="share of the frame",
        ),
        Column("score", "float32", ("detection",), "The detector's confidence.", low=0, high=1),
    )

    @property
    def frames(self) -> FrameRequest:
        """A few a second."""
        return FrameRequest(fps=self.fps, colour="bgr")

    def open(self, clip: ClipInputs, model: Any) -> _FaceScanner:
        """Begin with nothing."""
        return _FaceScanner(clip, model)


class _FaceScanner:
    def __init__(self, clip: ClipInputs, detector: Detector) -> None:
        self._clip = clip
        self._detector = detector
        self._times: list[float] = []
        self._samples: list[int] = []
        self._boxes: list[npt.NDArray[np.float32]] = []
        self._scores: list[float] = []

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            faces = self._detector.find(frame)
            self._samples += [len(self._times)] * len(faces)
            self._boxes += list(faces.boxes)
            self._scores += faces.scores.tolist()
            self._times.append(time)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        width, height = self._clip.size
        boxes = np.array(self._boxes, np.float32).reshape(-1, 4)
        return {
            "time": np.array(self._times),
            "sample": np.array(self._samples, np.int32),
            "box": boxes / np.array((width, height, width, height), np.float32),
            "score": np.array(self._scores, np.float32),
        }, {}
