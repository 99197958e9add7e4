"""Fréchet distances between sets of features, and the motion metrics of two-person talking heads.

``FD² = |μ1 - μ2|² + tr(S1 + S2 - 2 (S1 S2)^½)`` (D. C. Dowson and B. V. Landau, 1982; M. Heusel et
al., "GANs Trained by a Two Time-Scale Update Rule", 2017). As in that literature, "distance" means the
squared distance. P-FD is the same between pairs: each motion joined, frame by frame, with the motion
of the other person (E. Ng et al., "Learning to Listen", 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

Floats = npt.NDArray[np.float64]


def frechet_distance(real: npt.ArrayLike, generated: npt.ArrayLike) -> float:
    """Squared Fréchet distance between the normal distributions fitted to two sets of features.

    Args:
        real: (n, dimensions): features of real videos, n ≥ 2.
        generated: (m, dimensions): features of generated videos, m ≥ 2.

    Returns:
        At least 0, in squared units of the features.

    Raises:
        InputError: If the shapes do not fit, or values are not finite.

    Examples:
        >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
        9.0
    """
    a, b = _features(real, "real"), _features(generated, "generated")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"the features differ in size: {a.shape[1]} and {b.shape[1]}")
    return frechet_of_moments(
        a.mean(axis=0), np.cov(a, rowvar=False), b.mean(axis=0), np.cov(b, rowvar=False)
    )


def frechet_of_moments(
    mean1: npt.ArrayLike, cov1: npt.ArrayLike, mean2: npt.ArrayLike, cov2: npt.ArrayLike
) -> float:
    """Squared Fréchet distance of two normal distributions, without a general matrix root.

    The trace of ``(S1 S2)^½`` is the sum of the roots of the eigenvalues of ``S1^½ S2 S1^½``, which
    is symmetric: singular covariances need no special care.

    Args:
        mean1: (d,): mean of the first distribution.
        cov1: (d, d): its covariance.
        mean2: (d,): mean of the second distribution.
        cov2: (d, d): its covariance.

    Returns:
        At least 0, in squared units of the features.

    Examples:
        >>> frechet_of_moments([0.0], [[1.0]], [3.0], [[4.0]])
        10.0
    """
    m1, m2 = np.atleast_1d(np.asarray(mean1, float)), np.atleast_1d(np.asarray(mean2, float))
    s1, s2 = np.atleast_2d(np.asarray(cov1, float)), np.atleast_2d(np.asarray(cov2, float))
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(_without_noise(values))) @ vectors.T
    trace = float(np.sqrt(_without_noise(np.linalg.eigvalsh(root @ s2 @ root))).sum())
    distance = float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2.0 * trace)
    return max(0.0, distance)


def _without_noise(eigenvalues: Floats) -> Floats:
    """Eigenvalues of a positive semidefinite matrix, with rounding errors set to 0."""
    noise = len(eigenvalues) * np.finfo(np.float64).eps * np.abs(eigenvalues).max(initial=0.0)
    return np.where(eigenvalues > noise, eigenvalues, 0.0)


def paired_frechet_distance(
    real: npt.ArrayLike, generated: npt.ArrayLike, partner: npt.ArrayLike
) -> float:
    """P-FD: the distance between (real, partner) and (generated, partner), frame by frame.

    Args:
        real: (frames, dimensions): recorded motion.
        generated: (frames, dimensions): generated motion in answer to the same partner.
        partner: (frames, dimensions of the partner): the other person's motion at the same frames.

    Returns:
        At least 0, in squared units of the features.

    Raises:
        InputError: If the numbers of frames differ.

    Examples:
        >>> partner = [[0.0], [1.0], [0.0]]
        >>> paired_frechet_distance([[0.0], [1.0], [2.0]], [[1.0], [2.0], [3.0]], partner)
        1.0
    """
    a, b, c = _features(real, "real"), _features(generated, "generated"), _features(partner, "p")
    if not len(a) == len(b) == len(c):
        raise InputError(
            f"expected as many frames on each side, got {len(a)}, {len(b)} and {len(c)}"
        )
    return frechet_distance(np.hstack([a, c]), np.hstack([b, c]))


@dataclass(frozen=True)
class MotionScores:
    """Distances of generated from recorded motion, at least 0; lower is better.

    Attributes:
        fd: Squared Fréchet distance.
        p_fd: Squared Fréchet distance joined with the partner's motion; None without a partner.
        mse: Mean squared error.
    """

    fd: float
    p_fd: float | None
    mse: float


def motion_scores(
    real: Sequence[Mapping[str, npt.ArrayLike]],
    generated: Sequence[Mapping[str, npt.ArrayLike]],
    *,
    partner: Sequence[Mapping[str, npt.ArrayLike]] | None = None,
    parts: Sequence[str] = ("expression", "jaw", "pose"),
) -> dict[str, MotionScores]:
    """FD, P-FD and MSE of each part of the motion, over all frames of all clips.

    Args:
        real: For each clip, arrays (frames, dimensions) by part.
        generated: Generated motion of the same clips and frames.
        partner: The other person's motion in the same clips.
        parts: Names of the parts to score.

    Raises:
        InputError: If the sides differ in clips or frames, or a part is missing.

    Examples:
        >>> real, generated = [{"jaw": [0.0, 1.0, 2.0]}], [{"jaw": [0.5, 1.5, 2.5]}]
        >>> motion_scores(real, generated, parts=["jaw"])["jaw"].mse
        0.25
    """
    if len(real) != len(generated) or (partner is not None and len(partner) != len(real)):
        raise InputError("expected the same clips on every side")
    scores = {}
    for part in parts:
        a, b = _joined(real, part), _joined(generated, part)
        if a.shape != b.shape:
            raise InputError(f"{part}: expected the same frames, got {a.shape} and {b.shape}")
        scores[part] = MotionScores(
            fd=frechet_distance(a, b),
            p_fd=None if partner is None else paired_frechet_distance(a, b, _joined(partner, part)),
            mse=float(((a - b) ** 2).mean()),
        )
    return scores


def _joined(clips: Sequence[Mapping[str, npt.ArrayLike]], part: str) -> Floats:
    arrays = []
    for index, clip in enumerate(clips):
        if part not in clip:
            raise InputError(f"clip {index} has no {part}; it has {', '.join(sorted(clip))}")
        array = np.asarray(clip[part], np.float64)
        arrays.append(array[:, None] if array.ndim == 1 else array)
    if not arrays:
        raise InputError("expected at least one clip, got none")
    return np.concatenate(arrays)


def _features(values: npt.ArrayLike, name: str) -> Floats:
    array = np.asarray(values, np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) < 2 or not np.isfinite(array).all():
        raise InputError(
            f"expected {name} features of (n ≥ 2, dimensions), all finite, got {array.shape}"
        )
    return array
