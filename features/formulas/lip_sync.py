"""Offset and confidence of lip sync from embeddings of faces and sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

SHIFT: Final = 15
"""Largest offset that is tried, in windows."""

_EPS: Final = 1e-6  # added to each difference, as torch's `pairwise_distance` does

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LipSync:
    """Lip sync of a stretch of a face.

    Attributes:
        offset: Windows by which the sound is ahead of the picture; below 0 it is late.
        confidence: Median of the mean distances less the smallest: LSE-C.
        distance: Smallest mean distance: LSE-D.
    """

    offset: int
    confidence: float
    distance: float


def mean_distances(
    faces: npt.NDArray[np.float32], sounds: npt.NDArray[np.float32], shift: int = SHIFT
) -> Floats:
    """Mean distance of faces and sounds for each offset between them.

    Before the first and after the last sound, embeddings are zeros, as in the authors' code.

    Args:
        faces: (n, d): embeddings of consecutive windows of the picture.
        sounds: (n, d): embeddings of the sound in the same windows.
        shift: Largest offset.

    Returns:
        (2 * shift + 1,): Euclidean distances; the first is that of a sound `shift` windows before its face.

    Examples:
        >>> mean_distances(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 1).round(3).tolist()
        [1.276, 0.0, 1.276]
    """
    n = len(faces)
    padded = np.pad(sounds.astype(np.float64), ((shift, shift), (0, 0)))
    apart = (faces - padded[j : j + n] + _EPS for j in range(2 * shift + 1))
    return np.array([np.linalg.norm(difference, axis=1).mean() for difference in apart])


def lip_sync(distances: Floats) -> LipSync:
    """Offset, confidence and distance of mean distances.

    Args:
        distances: (2 * shift + 1,): result of `mean_distances`.

    Examples:
        >>> lip_sync(np.array([9.0, 8.0, 3.0, 8.0, 8.5]))
        LipSync(offset=0, confidence=5.0, distance=3.0)
    """
    best = int(np.argmin(distances))
    distance = float(distances[best])
    return LipSync(len(distances) // 2 - best, float(np.median(distances)) - distance, distance)
