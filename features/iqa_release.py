"""THEval's three quality metrics as computed by the authors' public code: definition `release`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column
from theval_datasets.extraction.mesh import LIPS
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, content_hash, find, known
from theval_datasets.media.frames import Frames

from .iqa import Iqa
from .landmarks import Landmarks
from .networks import retinaface as _retinaface
from .networks.face_mesh import FaceMesh
from .networks.pyiqa import Name, Scorer
from .networks.quality import QualityExtractor, ScoringQueue

METRICS: Final[Mapping[str, Name]] = {
    "global_aesthetics": "topiq_iaa",
    "face_quality": "topiq_nr-face",
    "mouth_quality": "musiq",
}
_TOGETHER: Final = 64
_MARGIN: Final = 10
_MOST_FACES: Final = 10

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class IqaRelease(QualityExtractor):
    """TOPIQ-IAA of frames, TOPIQ face of the aligned centre face, MUSIQ (KonIQ) of mouths.

    The face is detected and aligned by facexlib's RetinaFace; frames without a face are left out, where the
    published code fails on the clip. Mouth crops are of all faces of an untracked, unrefined mesh: the box
    of the 40 lip points with a margin of 10 pixels, padded with zeros to the largest of each batch of 64. A
    network without weights leaves its metric undefined (`weights-missing`).

    Attributes:
        fps: Number of scored frames a second; None for every frame.
    """

    name: ClassVar[str] = "iqa_release"
    source: ClassVar[str] = "THEval, published code"
    networks: ClassVar[Mapping[str, Name]] = METRICS
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 0.25
    writes: ClassVar[tuple[Column, ...]] = (
        *(column for column in Iqa.writes if column.name in METRICS),
        Column("n_frames", "int32", (), "Sampled frames.", low=1),
        Column("n_faces", "int32", (), "Number of scored faces.", nullable=True, low=0),
        Column("n_mouths", "int32", (), "Number of scored mouths.", nullable=True, low=0),
    )

    def weights(self) -> Sequence[Weights]:
        """The networks' states, the face detector, and the mesh."""
        return (*super().weights(), known(_retinaface.WEIGHTS), *Landmarks().weights())

    def weights_id(self) -> str:
        """Hashes of the networks' and the detector's weights; `none` for missing ones."""
        detector = find(known(_retinaface.WEIGHTS))
        digest = content_hash(detector) if detector else "none"
        return f"{super().weights_id()}+retinaface-{digest}+{Landmarks().weights_id()}"

    def setup(self) -> Any:
        """Load the networks that have weights, the detector, and the mesh."""
        scorers = self.scorers()
        detector = find(known(_retinaface.WEIGHTS))
        finder = None
        if detector is None:
            scorers.pop("face_quality", None)
        elif "face_quality" in scorers:
            finder = _retinaface.RetinaFace(detector)
        return scorers, finder, FaceMesh(max_faces=_MOST_FACES, refine=False, static=True)

    def open(self, clip: ClipInputs, model: Any) -> _ReleaseScorer:
        """Begin."""
        return _ReleaseScorer(*model)


class _ReleaseScorer:
    def __init__(self, scorers: Mapping[str, Scorer], finder: Any, mesh: FaceMesh) -> None:
        self._finder = finder
        self._mesh = mesh
        self._lines = {
            metric: _PaddedQueue(scorer, _TOGETHER)
            if metric == "mouth_quality"
            else ScoringQueue(scorer)
            for metric, scorer in scorers.items()
        }
        self._frames = 0

    def update(self, batch: Frames) -> None:
        for frame in batch.pixels:
            self._frames += 1
            if "global_aesthetics" in self._lines:
                self._lines["global_aesthetics"].add(frame)
            if self._finder is not None:
                face = _retinaface.aligned_face(frame, self._finder.find(frame))
                if face is not None:
                    self._lines["face_quality"].add(face)
            if "mouth_quality" in self._lines:
                for points in self._mesh.faces(frame):
                    self._lines["mouth_quality"].add(_mouth(frame, points))

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        values: Values = {"n_frames": np.array(self._frames, np.int32)}
        missing: dict[str, str] = {}
        counts = {"face_quality": "n_faces", "mouth_quality": "n_mouths"}
        for metric in METRICS:
            count = counts.get(metric)
            if metric not in self._lines:
                missing |= dict.fromkeys(filter(None, (metric, count)), "weights-missing")
                continue
            scores = self._lines[metric].done()
            if count:
                values[count] = np.array(len(scores), np.int32)
            if len(scores):
                values[metric] = np.array(scores.mean())
            else:
                missing[metric] = "no-face"
        return values, missing


class _PaddedQueue(ScoringQueue):
    """A queue that pads pictures with zeros, right and below, to the size of the largest in a batch."""

    def _together(self, pictures: list[Pixels]) -> list[Pixels]:
        height = max(picture.shape[0] for picture in pictures)
        width = max(picture.shape[1] for picture in pictures)
        return [
            np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0))) for p in pictures
        ]


def _mouth(frame: Pixels, points: npt.NDArray[np.float64]) -> Pixels:
    """The box of the lip points in whole pixels, with a margin of 10 pixels."""
    height, width = frame.shape[:2]
    lips = (points[list(LIPS), :2] * (width, height)).astype(int)
    low = np.clip(lips.min(axis=0) - _MARGIN, 0, (width - 1, height - 1))
    high = np.clip(lips.max(axis=0) + _MARGIN, low + 1, (width, height))
    return frame[low[1] : high[1], low[0] : high[0]].copy()
