"""Head pose from the 3-D points of the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import PixelMesh, Points, by_frame
from theval_datasets.extraction.outcomes import Values

from .landmarks import Landmarks

# Pairs of mirrored points on the two sides of the face (image left, image right), and pairs of points
# above each other on rigid parts of it.
_ACROSS: Final = (
    (33, 263), (133, 362), (127, 356), (234, 454), (93, 323), (54, 284), (103, 332), (132, 361),
    (58, 288), (67, 297), (162, 389), (21, 251), (116, 345), (123, 352),
)  # fmt: skip
_DOWN: Final = ((10, 152), (109, 148), (338, 377), (67, 176), (297, 400), (103, 150), (332, 379))


@dataclass(frozen=True)
class HeadPose(Extractor):
    """Pitch, yaw and roll of the head in degrees, for every frame with a face.

    The head's axes are fitted to the 3-D mesh: one through mirrored pairs of points, one from the forehead
    to the chin. The rotation is decomposed into roll about the camera's axis, then yaw, then pitch, so that
    rotating the picture changes roll only. Signs, as seen in the picture: yaw > 0 when the nose points to
    the right, pitch > 0 when it points up, roll > 0 when the head tilts clockwise. Pitch is 0 where the
    line from forehead to chin is parallel to the picture.
    """

    name: ClassVar[str] = "head_pose"
    source: ClassVar[str] = (
        "MediaPipe Face Mesh (Lugaresi et al., MediaPipe: A Framework for Building Perception "
        "Pipelines, 2019); the angles are defined by this package"
    )
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "pitch",
            "float32",
            ("face",),
            "Pitch of the head; above 0 when the nose points up.",
            unit="degree",
            low=-180,
            high=180,
        ),
        Column(
            "yaw",
            "float32",
            ("face",),
            "Yaw of the head; above 0 when the nose points to the right.",
            unit="degree",
            low=-180,
            high=180,
        ),
        Column(
            "roll",
            "float32",
            ("face",),
            "Roll of the head; above 0 when it tilts clockwise.",
            unit="degree",
            low=-180,
            high=180,
        ),
    )

    def needs(self) -> Sequence[Extractor]:
        """The mesh."""
        return (Landmarks(),)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Fit the axes in every frame with a face."""
        mesh = clip.feature(Landmarks())
        points = PixelMesh(mesh["mesh"], int(mesh["width"]), int(mesh["height"]))
        pitch, yaw, roll = by_frame(points, lambda some: np.stack(euler_angles(some), axis=1)).T
        return {
            "pitch": pitch.astype(np.float32),
            "yaw": yaw.astype(np.float32),
            "roll": roll.astype(np.float32),
        }, {}


Angles = npt.NDArray[np.float64]


def euler_angles(points: Points) -> tuple[Angles, Angles, Angles]:
    """Pitch, yaw and roll of heads, for x to the right, y downwards, z away from the camera.

    Args:
        points: (n, ≥ 468, 3): meshes in pixels.

    Returns:
        Three arrays (n,) in degrees: pitch and roll -180 to 180, yaw -90 to 90.

    Examples:
        >>> [angle.shape for angle in euler_angles(np.random.default_rng(0).uniform(0, 9, (2, 478, 3)))]
        [(2,), (2,), (2,)]
    """
    across = _mean_difference(points, _ACROSS)
    down = _mean_difference(points, _DOWN)
    x = across / np.linalg.norm(across, axis=1, keepdims=True)
    down = down - (down * x).sum(axis=1, keepdims=True) * x
    y = down / np.linalg.norm(down, axis=1, keepdims=True)
    z = np.cross(x, y)
    roll = np.degrees(np.arctan2(x[:, 1], x[:, 0]))
    yaw = np.degrees(np.arcsin(np.clip(x[:, 2], -1.0, 1.0)))
    pitch = -np.degrees(np.arctan2(y[:, 2], z[:, 2]))
    return pitch, yaw, roll


def _mean_difference(points: Points, pairs: tuple[tuple[int, int], ...]) -> Points:
    begin, end = zip(*pairs, strict=True)
    difference: Points = (points[:, end] - points[:, begin]).mean(axis=1)
    return difference
