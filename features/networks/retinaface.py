"""RetinaFace of facexlib: the face detector of THEval's published code."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.utils.optional import require

from .device import chosen_device

WEIGHTS: Final = "retinaface"
CONFIDENCE: Final = 0.97
_LEAST_EYES: Final = 5.0
_SIDE: Final = 512
_BORDER: Final = (135, 133, 132)
# Eyes, nose and corners of the mouth in FFHQ's crops of 512 × 512 pixels.
_TEMPLATE: Final = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


class RetinaFace:
    """Detects faces with five points each.

    Args:
        state: File of its weights.
    """

    def __init__(self, state: Path) -> None:
        torch = require("torch", extra="iqa")
        with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere:
            warnings.simplefilter("ignore")  # facexlib uses old options of torchvision
            with contextlib.redirect_stdout(nowhere):
                module = require("facexlib.detection.retinaface", extra="iqa")
                self._net: Any = module.RetinaFace(
                    "resnet50", device=torch.device(chosen_device("iqa"))
                )
        loaded = torch.load(state, map_location="cpu", weights_only=True)
        self._net.load_state_dict({k.removeprefix("module."): v for k, v in loaded.items()})
        self._net.eval()
        self._torch = torch

    def find(self, frame: Pixels) -> Floats:
        """Faces of a frame, the most confident first.

        Args:
            frame: uint8 (height, width, 3) in red, green, blue.

        Returns:
            (n, 15): left, top, right, bottom in pixels, confidence 0 to 1, then x and y of the five points.
        """
        bgr = np.ascontiguousarray(frame[..., ::-1]).astype(np.float32)
        with self._torch.inference_mode():
            faces = self._net.detect_faces(bgr, CONFIDENCE)
        return np.asarray(faces, dtype=np.float64).reshape(-1, 15)


def aligned_face(frame: Pixels, faces: Floats) -> Pixels | None:
    """The face nearest to the frame's centre, aligned as in FFHQ.

    Faces whose eyes are less than 5 pixels apart do not count.

    Args:
        frame: uint8 (height, width, 3) in red, green, blue.
        faces: (n, 15): result of `RetinaFace.find`.

    Returns:
        uint8, (512, 512, 3); None without a face.
    """
    import cv2

    points = faces[:, 5:].reshape(-1, 5, 2)
    kept = np.linalg.norm(points[:, 0] - points[:, 1], axis=1) >= _LEAST_EYES
    if not kept.any():
        return None
    faces, points = faces[kept], points[kept]
    height, width = frame.shape[:2]
    centres = (faces[:, :2] + faces[:, 2:4]) / 2
    nearest = int(np.argmin(np.linalg.norm(centres - (width / 2, height / 2), axis=1)))
    matrix, _ = cv2.estimateAffinePartial2D(points[nearest], np.array(_TEMPLATE), method=cv2.LMEDS)
    if matrix is None:
        return None
    border = _BORDER[::-1]
    crop: Pixels = cv2.warpAffine(frame, matrix, (_SIDE, _SIDE), borderValue=border)
    return crop
