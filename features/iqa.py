"""Image quality of frames, faces and mouths: THEval's three quality metrics, `paper` definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import LIPS, Points, pixels
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import Frames

from .landmarks import Landmarks
from .networks.pyiqa import Name, Scorer
from .networks.quality import QualityExtractor, ScoringQueue

METRICS: Final[Mapping[str, Name]] = {
    "global_aesthetics": "topiq_iaa",
    "face_quality": "topiq_nr-face",
    "mouth_quality": "musiq-spaq",
}
_FACE_SCALE: Final = 1.3
_MOUTH_MARGIN: Final = 0.1

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Iqa(QualityExtractor):
    """TOPIQ-IAA of frames, TOPIQ-CGFIQA of faces, MUSIQ-SPAQ of mouths; each the mean over frames.

    The face crop is a square of 1.3 times the box of the mesh; the mouth crop is the box of the 40 lip
    points with a margin of 10 % of its width; both end at the frame's edge. Frames without a face have no
    scores of face and mouth. A network without weights leaves its metric undefined (`weights-missing`).
    Networks run on CUDA where available, unless `THEVAL_DEVICE` names another device.

    Attributes:
        fps: Number of scored frames a second; None for every frame, as in the paper.
    """

    name: ClassVar[str] = "iqa"
    source: ClassVar[str] = "THEval, appendix A"
    networks: ClassVar[Mapping[str, Name]] = METRICS
    second_pass: ClassVar[bool] = True
    gpus: ClassVar[float] = 0.25
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "global_aesthetics",
            "float64",
            (),
            "Mean TOPIQ-IAA (AVA) of the frames.",
            nullable=True,
            unit="score 1-10",
            low=0,
        ),
        Column(
            "face_quality",
            "float64",
            (),
            "Mean TOPIQ-CGFIQA of the face.",
            nullable=True,
            unit="score 0-1",
            low=0,
        ),
        Column(
            "mouth_quality",
            "float64",
            (),
            "Mean MUSIQ of the mouth crop.",
            nullable=True,
            unit="score 0-100",
            low=0,
        ),
        Column("time", "float64", ("sample",), "Times of the sampled frames.", unit="s", low=0),
        Column("face", "bool", ("sample",), "Whether the frame has a face."),
        Column(
            "frame_score",
            "float32",
            ("sample",),
            "TOPIQ-IAA (AVA) of each frame.",
            nullable=True,
            unit="score 1-10",
            low=0,
        ),
        Column(
            "face_score",
            "float32",
            ("face",),
            "TOPIQ-CGFIQA of each face.",
            nullable=True,
            unit="score 0-1",
            low=0,
        ),
        Column(
            "mouth_score",
            "float32",
            ("face",),
            "MUSIQ-SPAQ of each mouth.",
            nullable=True,
            unit="score 0-100",
            low=0,
        ),
    )

    def needs(self) -> Sequence[Extractor]:
        """The mesh, for the crops."""
        return (Landmarks(),)

    def setup(self) -> Any:
        """Load the networks that have weights."""
        return self.scorers()

    def open(self, clip: ClipInputs, model: Any) -> _CropScorer:
        """Read the mesh, if there is one."""
        try:
            mesh: Values | None = clip.feature(Landmarks())
        except AbsentError:
            mesh = None
        return _CropScorer(model, mesh)


class _CropScorer:
    """Collects crops and scores them in batches of constant size."""

    def __init__(self, scorers: Mapping[str, Scorer], mesh: Values | None) -> None:
        self._mesh = mesh
        self._row = None if mesh is None else np.cumsum(mesh["face"]) - 1
        self._lines = {metric: ScoringQueue(scorer) for metric, scorer in scorers.items()}
        self._times: list[float] = []
        self._faces: list[bool] = []

    def update(self, batch: Frames) -> None:
        for frame, time, index in zip(batch.pixels, batch.times, batch.indices, strict=True):
            points = self._points(int(index))
            self._times.append(float(time))
            self._faces.append(points is not None)
            crops = {"global_aesthetics": frame}
            if points is not None:
                crops |= {"face_quality": face_crop(frame, points)}
                crops |= {"mouth_quality": mouth_crop(frame, points)}
            for metric, crop in crops.items():
                if metric in self._lines:
                    self._lines[metric].add(crop)

    def _points(self, index: int) -> Points | None:
        mesh = self._mesh
        if mesh is None or self._row is None:
            return None
        if index >= len(mesh["face"]) or not mesh["face"][index]:
            return None
        row = int(self._row[index])
        face: Points = pixels(mesh["mesh"][row : row + 1], int(mesh["width"]), int(mesh["height"]))[
            0
        ]
        return face

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        values: Values = {"time": np.array(self._times), "face": np.array(self._faces, bool)}
        missing: dict[str, str] = {}
        columns = {
            "global_aesthetics": "frame_score",
            "face_quality": "face_score",
            "mouth_quality": "mouth_score",
        }
        for metric, column in columns.items():
            if metric not in self._lines:
                missing |= {metric: "weights-missing", column: "weights-missing"}
                continue
            scores = self._lines[metric].done()
            if len(scores):
                values[metric] = np.array(scores.mean())
                values[column] = scores.astype(np.float32)
            else:
                missing |= {metric: "no-face", column: "no-face"}
        return values, missing


def face_crop(frame: Pixels, points: Points) -> Pixels:
    """Square crop of a face: 1.3 times the longer side of the box of its 468 points.

    Args:
        frame: uint8, (height, width, 3).
        points: Mesh in pixels, (478, 3).

    Returns:
        uint8, (rows, columns, 3): the part of the square within the frame, at least one pixel.

    Examples:
        >>> points = np.full((478, 3), 50.0)
        >>> points[0] = (70.0, 60.0, 0.0)
        >>> face_crop(np.zeros((100, 100, 3), np.uint8), points).shape
        (26, 26, 3)
    """
    low, high = points[:468, :2].min(axis=0), points[:468, :2].max(axis=0)
    half = float((high - low).max()) * _FACE_SCALE / 2
    centre = (low + high) / 2
    return _part(frame, centre - half, centre + half)


def mouth_crop(frame: Pixels, points: Points) -> Pixels:
    """Crop of a mouth: the box of the 40 lip points with a margin of a tenth of its width.

    Args:
        frame: uint8, (height, width, 3).
        points: Mesh in pixels, (478, 3).

    Returns:
        uint8, (rows, columns, 3): the part of the box within the frame, at least one pixel.

    Examples:
        >>> mouth_crop(np.zeros((100, 100, 3), np.uint8), np.full((478, 3), 50.0)).shape
        (1, 1, 3)
    """
    lips = points[list(LIPS), :2]
    low, high = lips.min(axis=0), lips.max(axis=0)
    margin = float(high[0] - low[0]) * _MOUTH_MARGIN
    return _part(frame, low - margin, high + margin)


def _part(frame: Pixels, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> Pixels:
    """The part of a frame between two corners, at least one pixel."""
    height, width = frame.shape[:2]
    x0, y0 = np.clip(np.floor(low), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(high), (x0 + 1, y0 + 1), (width, height)).astype(int)
    # Copied: frames are shared and must not be kept alive by a small part of them.
    return frame[y0:y1, x0:x1].copy()
