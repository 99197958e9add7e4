"""THEval's signal metrics as computed by the authors' published code, including its quirks.

These formulas differ from those of the paper (`signals`) in standard deviations, normalisation and
frames. Values of the two definitions are not comparable. Every quirk that changes a value is stated in
the function concerned.
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
    UPPER_INNER_LIP,
    Points,
)
from theval_datasets.media.frames import Audio, Header

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Segments = tuple[tuple[float, float], ...]

GRID: Final = 256
AUDIO_RATE: Final = 44_100
WINDOW: Final = 0.05
MIN_SILENCE: Final = 0.3
MIN_SPEECH_SHARE: Final = 0.1
EPSILON: Final = 1e-8
SMALLEST_SCALE: Final = 1e-3
_PAIRS: Final = np.array(list(combinations(range(len(LIPS)), 2)))
_EYE_CORNERS: Final = ((33, 133), (362, 263))


def speech_frames(speech: Segments, rate: float, n_frames: int) -> Flags:
    """Frames in speech: from int(start · rate) to int(end · rate), both included.

    Args:
        speech: Start and end of each segment, in seconds.
        rate: Frame rate, frames a second.
        n_frames: Number of frames, n.

    Returns:
        (n,).

    Examples:
        >>> speech_frames(((0.1, 0.3),), rate=10, n_frames=5).tolist()
        [False, True, True, True, False]
    """
    flags = np.zeros(n_frames, dtype=np.bool_)
    for start, end in speech:
        flags[int(start * rate) : int(end * rate) + 1] = True
    return flags


def silent_frames(speech: Segments, header: Header) -> Flags:
    """Frames outside speech in runs of at least 0.3 · rate; all of them if there is no speech.

    Args:
        speech: Start and end of each segment, in seconds.
        header: Frame rate and number of frames, n, as stated by the container.

    Returns:
        (n,).

    Examples:
        >>> silent_frames(((0.3, 0.5),), Header(rate=10, n_frames=8)).tolist()
        [True, True, True, False, False, False, False, False]
    """
    quiet = ~speech_frames(speech, header.rate, header.n_frames)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.view(np.int8), [0]))))
    for begin, end in edges.reshape(-1, 2):
        if end - begin < MIN_SILENCE * header.rate:
            quiet[begin:end] = False
    return quiet


def lip_distances(face: Points) -> Floats:
    """Distances between all pairs of the 40 lip points of a face, in a 256×256 frame.

    Args:
        face: Normalised coordinates, (≥ 468, 3).

    Returns:
        (780,): distances in pixels of that frame.

    Examples:
        >>> lip_distances(np.zeros((468, 3))).shape
        (780,)
    """
    lips = face[LIPS, :2] * GRID
    sides = lips[_PAIRS[:, 0]] - lips[_PAIRS[:, 1]]
    distances: Floats = np.hypot(sides[:, 0], sides[:, 1])
    return distances


def lip_dynamics(distances: list[Floats]) -> float:
    """Mean over pairs of the standard deviation over frames (N, not N - 1).

    Args:
        distances: Results of `lip_distances`, (780,) each, for the frames with a face.

    Returns:
        Pixels of a 256×256 frame, at least 0.

    Raises:
        AbsentError: There are fewer than two frames.

    Examples:
        >>> lip_dynamics([np.zeros(780), np.full(780, 2.0)])
        1.0
    """
    if len(distances) < 2:
        raise AbsentError("too-few-frames" if distances else "no-face")
    return float(np.std(distances, axis=0).mean())


def brow_distances(face: Points, width: int, height: int) -> Floats | None:
    """Distance of each brow's centroid from its eye's, relative to the distance of the eyes' centroids.

    Args:
        face: Normalised coordinates, (≥ 468, 3).
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.

    Returns:
        (2,): left and right; None for a face whose eyes nearly coincide.

    Examples:
        >>> face = np.zeros((478, 3))
        >>> face[list(RIGHT_EYE), 0] = face[list(RIGHT_BROW), 0] = 0.4
        >>> face[list(LEFT_BROW) + list(RIGHT_BROW), 1] = 0.1
        >>> brow_distances(face, 100, 100).round(3).tolist()
        [0.25, 0.25]
    """
    points = face[:, :2] * (width, height)
    eyes = [points[list(eye)].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE)]
    brows = [points[list(brow)].mean(axis=0) for brow in (LEFT_BROW, RIGHT_BROW)]
    scale = np.linalg.norm(eyes[0] - eyes[1])
    if scale < SMALLEST_SCALE:
        return None
    sides = [np.linalg.norm(brow - eye) for brow, eye in zip(brows, eyes, strict=True)]
    relative: Floats = np.array(sides) / scale
    return relative


def eyebrow_dynamics(distances: list[Floats]) -> float:
    """Mean absolute change from one frame with a face to the next, left and right pooled.

    Frames without a face are bridged.

    Args:
        distances: Results of `brow_distances`, (2,) each, for the frames with a face.

    Returns:
        In distances of the eyes' centroids, at least 0.

    Raises:
        AbsentError: There are fewer than two frames.

    Examples:
        >>> eyebrow_dynamics([np.array([0.5, 0.5]), np.array([1.0, 0.5])])
        0.25
    """
    if len(distances) < 2:
        raise AbsentError("too-few-frames" if distances else "no-face")
    return float(np.abs(np.diff(distances, axis=0)).mean())


def lip_opening(face: Points) -> float:
    """Mean |Δy| of the 8 inner-lip pairs, relative to the distance of the outer eye corners.

    Args:
        face: Normalised coordinates, (≥ 468, 3), scaled to a 256×256 frame here.

    Returns:
        At least 0.

    Examples:
        >>> face = np.zeros((478, 3))
        >>> face[UPPER_INNER_LIP, 1], face[LOWER_INNER_LIP, 1] = 0.5, 0.6
        >>> face[263, 0] = 0.4
        >>> round(lip_opening(face), 3)
        0.25
    """
    points = face[:, :2] * GRID
    gaps = np.abs(points[UPPER_INNER_LIP, 1] - points[LOWER_INNER_LIP, 1])
    return float(gaps.mean() / np.linalg.norm(points[33] - points[263]))


def silent_lip_stability(openings: list[float]) -> float:
    """Median absolute deviation around the mean, not the median.

    Examples:
        >>> silent_lip_stability([0.0, 0.0, 1.0, 3.0])
        1.0
    """
    if len(openings) < 2:
        raise AbsentError("too-few-frames", f"{len(openings)} silent frames with a face")
    values = np.array(openings)
    return float(np.median(np.abs(values - values.mean())))


def mouth_openness(face: Points) -> float:
    """|mean y of the upper lip - mean y of the lower lip| / |Δx of the eyes' centres|.

    Args:
        face: Normalised coordinates, (≥ 468, 3).

    Returns:
        At least 0.

    Examples:
        >>> face = np.zeros((478, 3))
        >>> face[UPPER_INNER_LIP, 1], face[LOWER_INNER_LIP, 1] = 0.5, 0.6
        >>> face[[362, 263], 0] = 0.4
        >>> round(mouth_openness(face), 3)
        0.25
    """
    gap = face[UPPER_INNER_LIP, 1].mean() - face[LOWER_INNER_LIP, 1].mean()
    right, left = (face[list(corners), 0].mean() for corners in _EYE_CORNERS)
    return float(abs(gap) / abs(right - left))


def frame_loudness(audio: Audio, rate: float, n_frames: int) -> Floats:
    """RMS of 50 ms every 50 ms, centred and padded with zeros, interpolated to i / rate.

    Args:
        audio: Audio track from its own start.
        rate: Frame rate, frames a second.
        n_frames: Number of frames, n.

    Returns:
        (n,): RMS relative to full scale, 0 to 1.

    Examples:
        >>> from types import SimpleNamespace
        >>> tone = SimpleNamespace(rate=16_000, samples=np.full(16_000, 0.5, np.float32))
        >>> frame_loudness(tone, 25, 3).round(3).tolist()
        [0.354, 0.471, 0.5]
    """
    size = int(WINDOW * audio.rate)
    padded = np.pad(audio.samples.astype(np.float64), size // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::size]
    rms = np.sqrt(np.mean(windows**2, axis=1))
    results: Floats = np.interp(
        np.arange(n_frames) / rate, np.arange(len(rms)) * size / audio.rate, rms
    )
    return results


def lip_sync(openness: Floats, loudness: Floats, speech: Flags) -> float:
    """Mean absolute difference of min-max-normalised openness and loudness over speech frames.

    Args:
        openness: (n,): results of `mouth_openness`, one per frame; NaN without a face.
        loudness: (n,): result of `frame_loudness`.
        speech: (n,): result of `speech_frames`.

    Returns:
        0 to 1.

    Raises:
        AbsentError: Less than a tenth of the frames are speech, or fewer than two have a face.

    Examples:
        >>> openness, speech = np.array([0.0, 1.0, 2.0]), np.array([True, True, True])
        >>> round(lip_sync(openness, np.array([0.1, 0.3, 0.2]), speech), 3)
        0.333
    """
    if speech.mean() < MIN_SPEECH_SHARE:
        raise AbsentError("no-speech", f"speech in {speech.mean():.0%} of the frames, 10% needed")
    used = speech & np.isfinite(openness)
    if used.sum() < 2:
        raise AbsentError("too-few-frames", f"{used.sum()} speech frames with a face")
    return float(np.abs(_scaled(openness[used]) - _scaled(loudness[used])).mean())


def _scaled(signal: Floats) -> Floats:
    """Scale to 0…1 with an ε, so that a constant signal silently becomes 0."""
    scaled: Floats = (signal - signal.min()) / (signal.max() - signal.min() + EPSILON)
    return scaled
