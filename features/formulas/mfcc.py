"""Mel-frequency cepstral coefficients as networks for faces and speech were trained with them.

They are those of the package python_speech_features at its defaults: 13 coefficients per 10 ms, from windows
of 25 ms without tapering, after pre-emphasis; the first is the logarithm of the window's energy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

RATE: Final = 16_000
"""Sample rate in Hz."""
STEP: Final = 160
"""Samples between two rows: 10 ms."""
COEFFICIENTS: Final = 13
"""Number of coefficients of a row."""
_WINDOW: Final = 400
_FFT: Final = 512
_FILTERS: Final = 26
_EMPHASIS: Final = 0.97
_LIFTER: Final = 22
_FULL_SCALE: Final = 32_768
_ROWS: Final = 2048
"""Rows that are computed at once."""

Floats = npt.NDArray[np.float64]


def mfcc(
    samples: npt.NDArray[np.float32], begin: int = 0, rows: int | None = None
) -> npt.NDArray[np.float32]:
    """Cepstral coefficients of a sound, a row per 10 ms.

    Args:
        samples: (n,): mono audio at 16 kHz, in -1 to 1; it is rounded to 16 bits first.
        begin: Index of the sample at which the first row begins. Before the sound, where it is negative,
            and after the sound there is silence.
        rows: Number of rows; None for as many as the sound needs from there on.

    Returns:
        (rows, 13): coefficients.

    Examples:
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
        >>> mfcc(tone).shape
        (99, 13)
    """
    if rows is None:
        rows = (
            1 + max(0, -(-(len(samples) - begin - _WINDOW) // STEP)) if len(samples) > begin else 0
        )
    parts = [
        _rows(samples, begin + at * STEP, min(_ROWS, rows - at)) for at in range(0, rows, _ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, COEFFICIENTS), np.float32)


def _rows(samples: npt.NDArray[np.float32], begin: int, rows: int) -> npt.NDArray[np.float32]:
    first, last = begin - 1, begin + (rows - 1) * STEP + _WINDOW
    sound = np.zeros(last - first)
    low, high = max(0, first), min(len(samples), last)
    if high > low:
        part = np.rint(samples[low:high].astype(np.float64) * _FULL_SCALE)
        sound[low - first : high - first] = np.clip(part, -_FULL_SCALE, _FULL_SCALE - 1)
    emphasised = sound[1:] - _EMPHASIS * sound[:-1]
    emphasised[max(0, len(samples) - begin) :] = 0.0
    windows = np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW)[::STEP]
    power = np.abs(np.fft.rfft(windows, _FFT)) ** 2 / _FFT
    energy = _positive(power.sum(axis=1))
    bands = np.log(_positive(power @ _filters().T))
    cepstrum = bands @ _cosines().T
    cepstrum *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / _LIFTER)
    cepstrum[:, 0] = np.log(energy)
    return cepstrum.astype(np.float32)


def _positive(values: Floats) -> Floats:
    """Zeros replaced by the smallest step of a number near 1, so that their logarithm is finite."""
    return np.where(values == 0, np.finfo(np.float64).eps, values)


def _filters() -> Floats:
    """Triangular filters evenly spaced in mel from 0 Hz to half the rate, (26, 257)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    mels = np.linspace(0, top, _FILTERS + 2)
    bins = np.floor((_FFT + 1) * 700 * (10 ** (mels / 2595) - 1) / RATE)
    at = np.arange(_FFT // 2 + 1)
    filters = np.zeros((_FILTERS, _FFT // 2 + 1))
    for i, (low, middle, high) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        rising, falling = (at >= low) & (at < middle), (at >= middle) & (at < high)
        filters[i, rising] = (at[rising] - low) / (middle - low)
        filters[i, falling] = (high - at[falling]) / (high - middle)
    return filters


def _cosines() -> Floats:
    """The first rows of the orthonormal discrete cosine transform of type II, (13, 26)."""
    row, column = np.arange(COEFFICIENTS)[:, None], np.arange(_FILTERS)[None, :]
    cosines: Floats = np.cos(np.pi * row * (2 * column + 1) / (2 * _FILTERS)) * np.sqrt(
        2 / _FILTERS
    )
    cosines[0] /= np.sqrt(2)
    return cosines
