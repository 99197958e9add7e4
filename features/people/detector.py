"""Face detection in a picture: SCRFD through insightface, or MediaPipe's detector."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ..networks.face_mesh import load_mediapipe
from .pack import load_model

Pixels = npt.NDArray[np.uint8]

CONFIDENCE: Final = 0.5
_INPUT: Final = (640, 640)


@dataclass(frozen=True, slots=True)
class Detections:
    """The detected faces of a picture.

    Attributes:
        boxes: float32 (n, 4): left, top, right, bottom in pixels; may reach beyond the picture.
        points: float32 (n, 5, 2): eyes (image left, image right), nose, corners of the mouth (left,
            right) in pixels.
        scores: float32 (n,): confidences, 0 to 1.
    """

    boxes: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


class Detector(Protocol):
    """Finds faces."""

    def find(self, frame: Pixels) -> Detections:
        """Detect faces in a picture, uint8 (height, width, 3) in blue, green, red."""
        ...


class Scrfd:
    """SCRFD of an InsightFace pack.

    It misses faces that fill the picture. A picture without detections is therefore scanned again with a
    black border of half its height.

    Args:
        file: ONNX file of the model.
    """

    def __init__(self, file: Path) -> None:
        self._model = load_model(file)
        self._model.prepare(-1, det_thresh=CONFIDENCE, input_size=_INPUT)

    def find(self, frame: Pixels) -> Detections:
        """Detect faces, and again with a border if a face may fill the frame.

        Args:
            frame: Blue, green, red, uint8, (height, width, 3).
        """
        result = self._look(frame)
        if len(result):
            return result
        import cv2

        border = frame.shape[0] // 2
        padded = cv2.copyMakeBorder(frame, border, border, border, border, cv2.BORDER_CONSTANT)
        again = self._look(padded)
        shift = np.float32(border)
        return Detections(again.boxes - shift, again.points - shift, again.scores)

    def _look(self, frame: Pixels) -> Detections:
        boxes, points = self._model.detect(np.ascontiguousarray(frame))
        return Detections(
            boxes[:, :4].astype(np.float32),
            points.astype(np.float32).reshape(-1, 5, 2),
            boxes[:, 4].astype(np.float32),
        )


class MediaPipeDetector:
    """MediaPipe's full-range detector, part of its package, which misses more small faces than SCRFD.

    It returns one point for the mouth, which is used for both corners.
    """

    def __init__(self) -> None:
        solutions = load_mediapipe().solutions
        self._model: Any = solutions.face_detection.FaceDetection(CONFIDENCE, model_selection=1)

    @staticmethod
    def identity() -> str:
        """Name and version of the package that contains the model."""
        return f"mediapipe-{importlib.metadata.version('mediapipe')}"

    def find(self, frame: Pixels) -> Detections:
        """Detect faces.

        Args:
            frame: Blue, green, red, uint8, (height, width, 3).
        """
        height, width = frame.shape[:2]
        rgb = np.ascontiguousarray(frame[..., ::-1])
        result = self._model.process(rgb).detections or ()
        size = np.array((width, height), dtype=np.float32)
        boxes, points, scores = [], [], []
        for face in result:
            box = face.location_data.relative_bounding_box
            boxes.append((box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height))
            keys = [(p.x, p.y) for p in face.location_data.relative_keypoints]
            points.append([keys[0], keys[1], keys[2], keys[3], keys[3]])
            scores.append(face.score[0])
        return Detections(
            np.array(boxes, dtype=np.float32).reshape(-1, 4) * np.tile(size, 2),
            np.array(points, dtype=np.float32).reshape(-1, 5, 2) * size,
            np.array(scores, dtype=np.float32),
        )
