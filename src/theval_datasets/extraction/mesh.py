"""Points of the MediaPipe Face Mesh, and how they are stored.

The mesh has 468 points and 10 refined iris points. Coordinates are normalised: x and z by the
frame's width, y by its height. They are stored as int16 in units of `SCALE`, rounded once, in the
extractor; every metric is computed from the stored integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.utils.spool import release

N_POINTS: Final = 478
SCALE: Final = 1.0 / 16384.0

Mesh = npt.NDArray[np.int16]
Points = npt.NDArray[np.float64]

# The unique points of MediaPipe's FACEMESH_LIPS, _LEFT/_RIGHT_EYEBROW and _LEFT/_RIGHT_EYE.
LIPS: Final = (
    0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191,
    267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415,
)  # fmt: skip
LEFT_BROW: Final = (276, 282, 283, 285, 293, 295, 296, 300, 334, 336)
RIGHT_BROW: Final = (46, 52, 53, 55, 63, 65, 66, 70, 105, 107)
LEFT_EYE: Final = (
    249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466,
)  # fmt: skip
RIGHT_EYE: Final = (
    7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246,
)  # fmt: skip
UPPER_INNER_LIP: Final = (191, 80, 81, 82, 13, 312, 311, 310)
LOWER_INNER_LIP: Final = (95, 88, 178, 87, 14, 317, 402, 318)

_CHUNK: Final = 512
_LARGEST: Final = np.iinfo(np.int16).max


def quantise(points: Points) -> Mesh:
    """Round normalised coordinates to stored integers, clipped at ±2 frames.

    Args:
        points: Coordinates in widths (x, z) and heights (y) of the frame, any shape.

    Returns:
        int16 in units of `SCALE`, the same shape.

    Examples:
        >>> quantise(np.array([0.5, -0.25])).tolist()
        [8192, -4096]
    """
    scaled = np.rint(np.asarray(points) / SCALE)
    stored: Mesh = np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int16)
    return stored


def pixels(mesh: Mesh, width: int, height: int) -> Points:
    """Convert stored integers to pixels; z is in pixels of the width.

    Args:
        mesh: int16 in units of `SCALE`, (..., 3).
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.

    Returns:
        float64, (..., 3).

    Examples:
        >>> pixels(quantise(np.array([[0.5, 0.5, 0.0]])), 640, 480).round(2).tolist()
        [[320.0, 240.0, 0.0]]
    """
    factors = np.array([width, height, width], dtype=np.float64) * SCALE
    points: Points = mesh.astype(np.float64) * factors
    return points


class PixelMesh:
    """Meshes in pixels, converted some frames at a time so that long clips fit into memory.

    Args:
        mesh: int16 in units of `SCALE`, (n, points, 3).
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        at: (k,): rows of `mesh` to use, such as those of one track; None for all.
    """

    def __init__(
        self, mesh: Mesh, width: int, height: int, at: npt.NDArray[np.intp] | None = None
    ) -> None:
        self._mesh = mesh
        self._size = (width, height)
        self._at = at

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._mesh if self._at is None else self._at)

    def __getitem__(self, frames: slice) -> Points:
        """Some frames in pixels: float64, (k, points, 3)."""
        some = self._mesh[frames if self._at is None else self._at[frames]]
        points = pixels(some, *self._size)
        release(self._mesh)
        return points


def by_frame(
    points: Points | PixelMesh, quantity: Callable[[Points], npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """A quantity of every frame, computed some frames at a time.

    Args:
        points: Meshes in pixels, (n, points, 3).
        quantity: Function from (k, points, 3) to (k, ...) that treats each frame by itself.

    Returns:
        The quantity, (n, ...).

    Examples:
        >>> by_frame(np.zeros((3, 478, 3)), lambda points: points[:, 0, 0]).tolist()
        [0.0, 0.0, 0.0]
    """
    starts = range(0, max(1, len(points)), _CHUNK)
    return np.concatenate([quantity(points[i : i + _CHUNK]) for i in starts])


def inter_ocular(points: Points) -> npt.NDArray[np.float64]:
    """Distance between the centroids of the two eye contours.

    Args:
        points: (n, 478, ≥ 2).

    Returns:
        In the unit of `points`, (n,).

    Examples:
        >>> points = np.zeros((1, 478, 2))
        >>> points[0, LEFT_EYE] = (3.0, 4.0)
        >>> inter_ocular(points).tolist()
        [5.0]
    """
    left = points[:, LEFT_EYE, :2].mean(axis=1)
    right = points[:, RIGHT_EYE, :2].mean(axis=1)
    distance: npt.NDArray[np.float64] = np.linalg.norm(left - right, axis=1)
    return distance


def face_width(points: Points | PixelMesh) -> float:
    """Median width of the bounding box of the 468 face points over frames.

    Args:
        points: (n, 478, ≥ 2).

    Returns:
        In the unit of `points`.

    Examples:
        >>> points = np.zeros((1, 478, 2))
        >>> points[0, 0] = (100.0, 50.0)
        >>> face_width(points)
        100.0
    """
    return float(np.median(by_frame(points, _width)))


def _width(points: Points) -> npt.NDArray[np.float64]:
    x = points[:, :468, 0]
    wide: npt.NDArray[np.float64] = x.max(axis=1) - x.min(axis=1)
    return wide


def face_centre(points: Points) -> npt.NDArray[np.float64]:
    """Centre of the bounding box of the 468 face points.

    Args:
        points: (n, 478, ≥ 2).

    Returns:
        x and y in the unit of `points`, (n, 2).

    Examples:
        >>> points = np.zeros((1, 478, 2))
        >>> points[0, 0] = (100.0, 50.0)
        >>> face_centre(points).tolist()
        [[50.0, 25.0]]
    """
    face = points[:, :468, :2]
    centre: npt.NDArray[np.float64] = (face.min(axis=1) + face.max(axis=1)) / 2
    return centre
