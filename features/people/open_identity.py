"""Identity by dlib's face network, whose weights come with a package, without downloads.

Two faces are compared by the Euclidean distance of their 128-d descriptors, which are not of length 1. The
network's authors take at most 0.6 for one person.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.utils.optional import require

from .identity import IdentityScore, Indices, Sightings, matched

EXTRA: Final = "identity-open"
MODULES: Final = ("dlib", "face_recognition_models")
SAME: Final = 0.6
"""Largest distance of two faces of one person."""
_SIDE: Final = 2.4  # side of the square around a face, in distances of the eyes
_PREDICTOR: Final = "shape_predictor_5_face_landmarks.dat"
_NETWORK: Final = "dlib_face_recognition_resnet_model_v1.dat"

Descriptors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class DlibRecogniser:
    """Computes descriptors of faces.

    Raises:
        MissingExtraError: The packages are not installed.
    """

    def __init__(self) -> None:
        dlib = require("dlib", extra=EXTRA)
        folder = _models()
        self._rectangle = dlib.rectangle
        self._predictor = dlib.shape_predictor(str(folder / _PREDICTOR))
        self._network: Any = dlib.face_recognition_model_v1(str(folder / _NETWORK))

    @staticmethod
    def identity() -> str:
        """Identity for cache keys: versions of the code and of the package with the weights.

        Raises:
            MissingExtraError: The packages are not installed.
        """
        dlib = require("dlib", extra=EXTRA)
        _models()
        weights = importlib.metadata.version("face-recognition-models")
        return f"dlib-{dlib.__version__}+face-recognition-models-{weights}"

    def embed(self, frame: Pixels, points: npt.NDArray[np.float32]) -> Descriptors:
        """Descriptor of a face, (128,).

        Args:
            frame: uint8 (height, width, 3) in red, green, blue.
            points: (5, 2): eyes, nose, corners of the mouth in pixels.
        """
        left, top, right, bottom = square(points)
        face = self._predictor(frame, self._rectangle(left, top, right, bottom))
        return np.array(self._network.compute_face_descriptor(frame, face), dtype=np.float32)


def square(points: npt.NDArray[np.float32]) -> tuple[int, int, int, int]:
    """The square in which a face's landmarks are searched for, independent of the detector.

    Its scale is the distance of the eyes, or that from the eyes to the mouth for a head that is turned.

    Args:
        points: (5, 2): eyes, nose, corners of the mouth in pixels.

    Returns:
        Left, top, right, bottom in pixels.

    Examples:
        >>> square(np.array([(40, 40), (60, 40), (50, 50), (42, 60), (58, 60)], np.float32))
        (26, 26, 74, 74)
    """
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    scale = max(np.linalg.norm(points[1] - points[0]), np.linalg.norm(mouth - eyes))
    low = np.rint(points[2] - _SIDE * scale / 2).astype(int)
    high = np.rint(points[2] + _SIDE * scale / 2).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def by_distance(reference: Descriptors, sightings: Sightings, frames: Indices) -> IdentityScore:
    """Mean distance of the people of a clip in some frames to a reference.

    Args:
        reference: (N, dim): descriptors of the subjects.
        sightings: Descriptors in the frames sampled once a second.
        frames: (L,): indices of the frames that count.

    Returns:
        The result, whose `consistency` is the mean distance.
    """
    apart = np.linalg.norm(
        reference[:, None].astype(np.float64) - sightings.embedding[None], axis=2
    )
    people = np.unique(sightings.person)
    means = np.stack([apart[:, sightings.person == p].mean(axis=1) for p in people], axis=1)
    return matched(means, sightings, frames, lambda subject, own: apart[subject, own])


def _models() -> Path:
    """Folder of the weights; the package is not imported, since it needs a module that setuptools removed."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        require("face_recognition_models", extra=EXTRA)  # raises
        raise AssertionError("unreachable")
    return Path(next(iter(spec.submodule_search_locations))) / "models"
