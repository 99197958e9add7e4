"""Position of a short recording in a long one, by a feature robust to gain, codec and noise.

The feature is the change over time of the log energy in bands between 200 Hz and 3.8 kHz, every 10 ms,
clipped and standardised by band over the recording. It is correlated by FFT in all bands at once and
normalised by the energy of the overlapped part. The peak is interpolated between steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets import media
from theval_datasets.media.frames import SAMPLE_RATE, FloatArray

STEP: Final = 0.01
"""Step between features, in seconds."""
THRESHOLD: Final = 0.33
"""Lowest score of a match. Of clips of 2 to 8 s in an hour of speech, those with noise at 10 dB scored
0.40 to 0.79, unrelated ones at most 0.29."""
MIN_SECONDS: Final = 1.0
"""Smallest length of a short recording, in seconds."""
_WINDOW: Final = 512
_BANDS: Final = 24
_LOW, _HIGH = 200.0, 3800.0
_HELD: Final = 3.0
_BLOCK: Final = 8192
_APART: Final = 0.5  # distance up to which two peaks count as one, seconds

SoundFeature = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Match:
    """A possible position of the short recording.

    Attributes:
        start: Seconds from the first sample of the long recording.
        score: Correlation of the features, -1 to 1.
        margin: Difference to the best score elsewhere.
    """

    start: float
    score: float
    margin: float


def feature_of(samples: FloatArray) -> SoundFeature:
    """The feature of a track.

    Args:
        samples: (n,): mono audio at 16 kHz, in [-1, 1].

    Returns:
        float32 (steps, bands), a row per 10 ms; (0, bands) for a track that is too short.

    Examples:
        >>> feature_of(np.zeros(16000)).shape
        (97, 24)
    """
    hop = round(STEP * SAMPLE_RATE)
    count = max(0, (len(samples) - _WINDOW) // hop + 1)
    if count < 3:
        return np.zeros((0, _BANDS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::hop]
    bins = np.rint(np.geomspace(_LOW, _HIGH, _BANDS + 1) * _WINDOW / SAMPLE_RATE).astype(np.int64)
    bins = np.maximum.accumulate(np.maximum(bins, np.arange(len(bins)) + bins[0]))
    shape = np.hanning(_WINDOW).astype(np.float32)
    energy = np.empty((count, _BANDS), np.float32)
    for start in range(0, count, _BLOCK):
        spectrum = np.fft.rfft(windows[start : start + _BLOCK] * shape, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        energy[start : start + _BLOCK] = np.add.reduceat(power, bins, axis=1)[:, :_BANDS]
    # each band has its own floor, below which differences are noise
    energy += 0.02 * energy.mean(axis=0) + 1e-9
    level = np.log(energy)
    change = np.zeros_like(level)
    change[1:-1] = level[2:] - level[:-2]
    change -= change.mean(axis=0)
    change /= np.maximum(change.std(axis=0), 1e-6)
    return np.clip(change, -_HELD, _HELD)


def best_match(short: SoundFeature, long: SoundFeature) -> Match | None:
    """The best match of a short recording in a long one; None if it is too short or too long.

    Args:
        short: (n, bands): feature of the short recording.
        long: (m, bands): feature of the long recording.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> sound = rng.normal(0, 0.1, 80_000).astype(np.float32)
        >>> match = best_match(feature_of(sound[32_000:64_000]), feature_of(sound))
        >>> round(match.start, 2)
        2.0
    """
    n, m = len(short), len(long)
    if n < round(MIN_SECONDS / STEP) or m < n:
        return None
    from scipy import fft

    size = fft.next_fast_len(m + n, real=True)
    total = np.zeros(m - n + 1)
    for band in range(short.shape[1]):
        a = fft.rfft(long[:, band].astype(np.float64), size)
        b = fft.rfft(short[::-1, band].astype(np.float64), size)
        total += fft.irfft(a * b, size)[n - 1 : m]
    energy = np.concatenate(([0.0], np.cumsum((long.astype(np.float64) ** 2).sum(axis=1))))
    under = energy[n:] - energy[:-n]
    own = float((short.astype(np.float64) ** 2).sum())
    score = total / np.sqrt(np.maximum(under, 1e-3 * own) * max(own, 1e-9))
    at = int(np.argmax(score))
    away = round(_APART / STEP)
    rest = np.concatenate([score[: max(0, at - away)], score[at + away + 1 :]])
    second = float(rest.max()) if len(rest) else 0.0
    return Match((at + _between(score, at)) * STEP, float(score[at]), float(score[at]) - second)


def _between(score: npt.NDArray[np.float64], at: int) -> float:
    """Offset of the peak from its step, by the parabola through it and its neighbours."""
    if not 0 < at < len(score) - 1:
        return 0.0
    left, middle, right = score[at - 1 : at + 2].tolist()
    curve = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curve, -0.5, 0.5)) if curve < 0 else 0.0


def feature_of_file(path: Path) -> SoundFeature:
    """The feature of a file's sound, from its own first sample.

    Raises:
        MediaError: It has no sound, or does not decode.
    """
    return feature_of(media.read_audio(path, aligned=False).samples)
