"""Reference frame of a clip: the frame in the middle, or the one that shows everybody best."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets import media
from theval_datasets.extraction.mesh import PixelMesh, Points, by_frame, inter_ocular
from theval_datasets.extraction.outcomes import Values
from theval_datasets.features.people.summary import people
from theval_datasets.utils.files import atomic_write

_QUALITY: Final = 95
_FINALISTS: Final = 8
_TURN: Final = 45.0  # head rotation at which frontality is 0, degrees
_WIDE: Final = 0.25  # mouth opening that counts as fully open, inter-ocular distances
# Weights of the parts of the score, each of which is between 0 and 1.
_VISIBLE, _FRONTAL, _EYES, _MOUTH, _SHARP = 4.0, 2.0, 1.5, 1.0, 1.0
# Mesh points of both eyes: upper and lower lids, and corners.
_LIDS: Final = (
    ((159, 145), (158, 153), (160, 144), (33, 133)),
    ((386, 374), (385, 380), (387, 373), (362, 263)),
)
_LIPS: Final = (13, 14)

Floats = npt.NDArray[np.float64]


def middle(clip: Path, *, made_here: bool = False) -> tuple[float, npt.NDArray[np.uint8]]:
    """The frame in the middle of a clip, and its time.

    Args:
        clip: Path of the clip.
        made_here: Whether it was cut by this software; see `theval_datasets.media.read_frames`.

    Returns:
        Time in seconds, and uint8 (height, width, 3) in red, green, blue.
    """
    index = media.frame_index(clip)
    frames = media.read_frames(clip, [len(index.times) // 2], index, made_here=made_here)
    return float(frames.times[0]), frames.pixels[0]


def write_frame(target: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a reference frame as JPEG, atomically.

    Args:
        target: Output file.
        picture: uint8 (height, width, 3) in red, green, blue.
    """
    from PIL import Image

    with atomic_write(target) as stream:
        Image.fromarray(picture).save(
            stream, "jpeg", quality=_QUALITY, subsampling=0, optimize=False
        )


def choose(
    clip: Path, features: Mapping[str, Values], *, made_here: bool = False
) -> tuple[float, npt.NDArray[np.uint8]]:
    """The best frame among those that `faces` sampled, and its time.

    The score is a weighted sum of the share of people who are visible (weight 4) and of means over them:
    frontality (2), eye opening relative to their median (1.5), and mouth closure (1). The eight best
    frames are decoded, and the sharpness of their faces relative to the sharpest (1) is added. Without
    faces or meshes it is the frame in the middle.

    Args:
        clip: Path of the clip.
        features: Values of `faces`, `person_landmarks` and `person_pose`, where defined.
        made_here: See `middle`.

    Returns:
        Time in seconds, and uint8 (height, width, 3) in red, green, blue.
    """
    scores = _scores(features)
    if scores is None:
        return middle(clip, made_here=made_here)
    numbers, worth = scores
    index = media.frame_index(clip)
    away = np.abs(numbers - len(index.times) / 2)
    best = np.lexsort((away, -worth))[:_FINALISTS]
    best = best[np.argsort(numbers[best])]
    frames = media.read_frames(clip, numbers[best].tolist(), index, made_here=made_here)
    sharp = np.array(
        [
            _sharpness(p, int(n), features["faces"])
            for p, n in zip(frames.pixels, frames.indices, strict=True)
        ]
    )
    total = worth[best] + _SHARP * sharp / max(float(sharp.max()), 1e-9)
    winner = int(np.lexsort((away[best], -total))[0])
    return float(frames.times[winner]), frames.pixels[winner]


def _scores(features: Mapping[str, Values]) -> tuple[npt.NDArray[np.int64], Floats] | None:
    """Frame numbers, and their scores without sharpness."""
    if not {"faces", "person_landmarks", "person_pose"} <= features.keys():
        return None
    faces, mesh, pose = (features[n] for n in ("faces", "person_landmarks", "person_pose"))
    shown = people(faces)
    if not shown:
        return None
    eyes, mouth = _eyes_and_mouth(mesh)
    turned = np.hypot(pose["yaw"].astype(np.float64), pose["pitch"])
    frontal = 1 - np.minimum(1, turned / _TURN)
    for person in np.unique(mesh["person"]):
        own = mesh["person"] == person
        eyes[own] = np.minimum(1, eyes[own] / max(float(np.percentile(eyes[own], 75)), 1e-9))
    face = _FRONTAL * frontal + _EYES * eyes + _MOUTH * (1 - np.minimum(1, mouth / _WIDE))
    visible = np.zeros(len(faces["time"]))
    for frame in shown:
        visible[frame.samples] += 1
    worth = _VISIBLE * visible / len(shown)
    for sample, number in enumerate(faces["frame"].tolist()):
        rows = mesh["frame"] == number
        if rows.any():
            worth[sample] += float(face[rows].mean())
    return faces["frame"].astype(np.int64), worth


def _eyes_and_mouth(mesh: Values) -> tuple[Floats, Floats]:
    """Opening of eyes (lid distance by eye width) and mouth (lip distance by inter-ocular distance)."""
    points = PixelMesh(mesh["mesh"], int(mesh["width"]), int(mesh["height"]))
    eyes, mouth = by_frame(points, _openings).T
    return eyes, mouth


def _openings(points: Points) -> Floats:
    """Openings of eyes and mouth in some frames, (n, 2)."""
    flat = points[..., :2]
    eyes = np.zeros(len(flat))
    for *lids, corners in _LIDS:
        open_ = sum(np.linalg.norm(flat[:, a] - flat[:, b], axis=1) for a, b in lids) / len(lids)
        eyes += open_ / np.maximum(
            np.linalg.norm(flat[:, corners[0]] - flat[:, corners[1]], axis=1), 1e-9
        )
    lips = np.linalg.norm(flat[:, _LIPS[0]] - flat[:, _LIPS[1]], axis=1)
    return np.stack((eyes / 2, lips / np.maximum(inter_ocular(points), 1e-9)), axis=1)


def _sharpness(picture: npt.NDArray[np.uint8], number: int, faces: Values) -> float:
    """Variance of the Laplacian of the least sharp face in a frame."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    sample = int(np.flatnonzero(faces["frame"] == number)[0])
    values = []
    for left, top, right, bottom in faces["box"][faces["sample"] == sample].tolist():
        part = grey[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
        if part.size:
            small = cv2.resize(part, (96, 96), interpolation=cv2.INTER_AREA)
            values.append(float(cv2.Laplacian(small, cv2.CV_64F).var()))
    return min(values, default=0.0)
