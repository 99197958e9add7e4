"""THEval's five signal metrics in the `paper` definition, as pure functions.

All take cached features, so that nothing is decoded. Symbols follow appendix B of the paper. Frames
without a face are left out; undefined values raise `AbsentError` with the reason.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.mesh import (
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    LOWER_INNER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
    SCALE,
    UPPER_INNER_LIP,
    Mesh,
    PixelMesh,
    Points,
    by_frame,
    face_centre,
    inter_ocular,
)
from theval_datasets.utils.spool import blocks

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

GRID: Final = 256.0
"""Side of the square frame in which lip distances are measured, as in the published values."""
MIN_SILENCE: Final = 0.3
"""Minimum length of a silence in seconds (B.3)."""
_PAIRS: Final = np.array(list(combinations(range(len(LIPS)), 2)))
_BLOCKS: Final = 195


def lip_dynamics(mesh: Mesh) -> float:
    """Mean over the 780 pairs of lip points of the standard deviation of their distance.

    Equations 12 and 13, all pairs of the 40 points, N - 1, coordinates in a 256×256 frame.

    Args:
        mesh: (n, 478, 3): mesh as stored integers.

    Returns:
        Pixels of that frame, at least 0.

    Raises:
        AbsentError: There are fewer than two frames.

    Examples:
        >>> lip_dynamics(np.zeros((2, 478, 3), np.int16))
        0.0
    """
    _need_two(len(mesh))
    lips = np.concatenate([block[:, LIPS, :2] for block in blocks(mesh)])
    spreads = []
    for pairs in np.split(_PAIRS, _BLOCKS):  # all at once take 20 kB a frame
        begin, end = (lips[:, side].astype(np.float64) * (SCALE * GRID) for side in pairs.T)
        sides = begin - end
        spreads.append(np.hypot(sides[..., 0], sides[..., 1]).std(axis=0, ddof=1))
    return float(np.concatenate(spreads).mean())


def head_motion(
    points: Points | PixelMesh,
    angles: Floats,
    frames: npt.NDArray[np.int64],
    unit: float = 1.0,
) -> float:
    """sqrt(mean std(angles) · mean var(Δ angles) + mean var(centre)).

    Equations 14 to 26 with N - 1. Δ is taken only between consecutive frames that both have a face. The
    sum adds degrees to the unit of length, which in the paper is pixels, so that the same motion is larger
    in a larger frame. With the width of the face as the unit, the sizes of frame and face do not matter.

    Args:
        points: Mesh in pixels, (n, 478, 3).
        angles: Pitch, yaw and roll in degrees, (n, 3).
        frames: (n,): index of each of the n frames in the clip, ascending.
        unit: Unit of the centre, in pixels.

    Returns:
        At least 0.

    Raises:
        AbsentError: There are fewer than two frames, or fewer than two pairs of consecutive frames.

    Examples:
        >>> still = np.zeros((3, 478, 3))
        >>> head_motion(still, np.zeros((3, 3)), np.arange(3))
        0.0
    """
    _need_two(len(points))
    steps = np.diff(angles, axis=0)[np.diff(frames) == 1]
    _need_two(len(steps))
    spread = angles.std(axis=0, ddof=1).mean()
    speed = steps.var(axis=0, ddof=1).mean()
    drift = (by_frame(points, face_centre) / unit).var(axis=0, ddof=1).mean()
    return float(np.sqrt(spread * speed + drift))


def eyebrow_dynamics(points: Points | PixelMesh) -> float:
    """Standard deviation of the brow-to-eye distance in units of the inter-ocular distance.

    Equations 27 and 28; the distance is vertical, between centroids, mean of both sides.

    Args:
        points: Mesh in pixels, (n, 478, 3).

    Returns:
        At least 0.

    Raises:
        AbsentError: There are fewer than two frames.

    Examples:
        >>> points = np.random.default_rng(0).uniform(0, 100, (1, 478, 3)).repeat(2, axis=0)
        >>> eyebrow_dynamics(points)
        0.0
    """
    _need_two(len(points))
    return float(by_frame(points, _brow_height).std(ddof=1))


def _brow_height(points: Points) -> Floats:
    y = points[:, :, 1]
    left = np.abs(y[:, LEFT_BROW].mean(axis=1) - y[:, LEFT_EYE].mean(axis=1))
    right = np.abs(y[:, RIGHT_BROW].mean(axis=1) - y[:, RIGHT_EYE].mean(axis=1))
    relative: Floats = (left + right) / 2 / inter_ocular(points)
    return relative


def silent_lip_stability(points: Points | PixelMesh, silence: Flags) -> float:
    """Median absolute deviation of the mouth opening over silent frames.

    Equations 29 to 31.

    Args:
        points: Mesh in pixels, (n, 478, 3).
        silence: (n,): whether each frame is in a silence of at least 300 ms.

    Returns:
        In inter-ocular distances, at least 0.

    Raises:
        AbsentError: Fewer than two frames are silent.

    Examples:
        >>> points = np.random.default_rng(0).uniform(0, 100, (1, 478, 3)).repeat(3, axis=0)
        >>> silent_lip_stability(points, np.array([True, True, False]))
        0.0
    """
    if not silence.any():
        raise AbsentError("no-silence")
    _need_two(int(silence.sum()))
    opening = by_frame(points, _lip_gap)[silence]
    return float(np.median(np.abs(opening - np.median(opening))))


def _lip_gap(points: Points) -> Floats:
    gaps = np.abs(points[:, UPPER_INNER_LIP, 1] - points[:, LOWER_INNER_LIP, 1]).mean(axis=1)
    relative: Floats = gaps / inter_ocular(points)
    return relative


def mouth_openness(points: Points | PixelMesh) -> Floats:
    """Distance of the mean inner upper and lower lip (eq. 32).

    Args:
        points: Mesh in pixels, (n, 478, 3).

    Returns:
        In inter-ocular distances, at least 0, (n,).

    Examples:
        >>> mouth_openness(np.random.default_rng(0).uniform(0, 100, (2, 478, 3))).shape
        (2,)
    """
    return by_frame(points, _openness)


def _openness(points: Points) -> Floats:
    upper = points[:, UPPER_INNER_LIP, 1].mean(axis=1)
    lower = points[:, LOWER_INNER_LIP, 1].mean(axis=1)
    openness: Floats = np.abs(upper - lower) / inter_ocular(points)
    return openness


def lip_sync(openness: Floats, loudness: Floats) -> float:
    """Mean absolute difference of min-max-normalised openness and loudness over speech frames.

    Equations 33 and 34, without the ε: a constant signal has no normalised form.

    Args:
        openness: (n,): mouth openness of the speech frames with a face.
        loudness: (n,): RMS of the same frames.

    Returns:
        0 to 1.

    Raises:
        AbsentError: There are fewer than two frames, or a signal is constant.

    Examples:
        >>> lip_sync(np.array([0.0, 1.0, 0.5, 0.0]), np.array([0.0, 0.25, 0.25, 0.0]))
        0.125
    """
    _need_two(len(openness))
    return float(np.abs(_unit_range(openness) - _unit_range(loudness)).mean())


def speech_flags(
    times: Floats, segments: Floats, start: float, end: float
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Flags of speech, and of silences of at least 300 ms, at each frame time.

    Args:
        times: (n,): frame times in seconds.
        segments: (m, 2): start and end of speech in seconds, sorted and disjoint.
        start: Start of the audio in seconds.
        end: End of the audio in seconds.

    Returns:
        Two int8 arrays (n,): 1 for yes, 0 for no, -1 outside the audio.

    Examples:
        >>> speech, silence = speech_flags(
        ...     np.array([0.1, 0.6, 1.5]), np.array([[0.0, 0.5]]), start=0.0, end=1.0
        ... )
        >>> speech.tolist(), silence.tolist()
        ([1, 0, -1], [0, 1, -1])
    """
    edges = np.concatenate(([start], segments.ravel(), [end])).reshape(-1, 2)
    silences = edges[edges[:, 1] - edges[:, 0] >= MIN_SILENCE]
    outside = (times < start) | (times >= end)
    speech = np.where(outside, -1, _within(times, segments)).astype(np.int8)
    silence = np.where(outside, -1, _within(times, silences)).astype(np.int8)
    return speech, silence


def _within(times: Floats, spans: Floats) -> Flags:
    """Whether each time is within one of the half-open spans, which are sorted and disjoint."""
    if not len(spans):
        return np.zeros(len(times), dtype=np.bool_)
    span = np.searchsorted(spans[:, 0], times, side="right") - 1
    inside: Flags = (span >= 0) & (times < spans[np.maximum(span, 0), 1])
    return inside


def _unit_range(signal: Floats) -> Floats:
    low, high = signal.min(), signal.max()
    if high == low:
        raise AbsentError("constant")
    scaled: Floats = (signal - low) / (high - low)
    return scaled


def _need_two(count: int) -> None:
    if count < 2:
        raise AbsentError("too-few-frames", f"expected at least 2 usable frames, got {count}")
