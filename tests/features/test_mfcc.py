"""Cepstral coefficients, against the numbers of python_speech_features 0.6."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.features.formulas.mfcc import STEP, mfcc

# python_speech_features.mfcc(samples, 16000, numcep=13, winlen=0.025, winstep=0.01) of `sound()`.
GOLDEN = {
    0: (
        13.2315,
        5.7179,
        -22.4442,
        -0.4989,
        36.5042,
        23.8325,
        -21.6392,
        -32.9738,
        -3.1122,
        4.9097,
        -21.6235,
        -35.7406,
        -13.4998,
    ),
    30: (
        19.3979,
        5.6394,
        -23.7787,
        -1.5905,
        36.7123,
        23.0257,
        -25.7303,
        -37.2190,
        -5.4630,
        2.9644,
        -27.3445,
        -42.1674,
        -16.6547,
    ),
    49: (
        19.4107,
        3.6792,
        -21.5006,
        2.5410,
        39.0492,
        27.4338,
        -15.6268,
        -27.7844,
        -3.2544,
        3.5641,
        -20.2299,
        -32.2310,
        -12.0339,
    ),
    50: (
        15.1865,
        -9.2201,
        -0.1944,
        -2.4797,
        -0.1279,
        -0.8242,
        0.0953,
        -0.8360,
        -0.7671,
        -1.4064,
        -0.8614,
        -1.1820,
        -1.1152,
    ),
    56: (
        -36.0437,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        -0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
    ),
    62: (
        19.7383,
        -34.7062,
        -10.7430,
        -13.8947,
        -4.4613,
        -3.0953,
        -4.9482,
        -6.3396,
        -1.7796,
        -1.2211,
        5.6286,
        -1.2607,
        -3.3982,
    ),
    70: (
        20.0582,
        -33.8811,
        -7.5754,
        -9.7836,
        0.0202,
        -5.7120,
        -6.3822,
        -5.8136,
        -4.6578,
        -5.7804,
        -2.5576,
        -1.3030,
        -2.5966,
    ),
    85: (
        19.7278,
        -34.1768,
        -5.8728,
        -1.8756,
        -5.9750,
        -5.6411,
        -5.4942,
        -2.5945,
        0.7089,
        3.0745,
        1.4572,
        -1.1068,
        -10.2488,
    ),
}


def sound() -> np.ndarray:
    """Two tones that grow, then silence, then noise of a linear congruential generator; 16 bits."""
    time = np.arange(8000) / 16_000
    tones = 9000 * time * (np.sin(2 * np.pi * 220 * time) + np.sin(2 * np.pi * 1500 * time))
    noise, state = np.zeros(3900), 1
    for i in range(len(noise)):
        state = (1_103_515_245 * state + 12_345) % (1 << 31)
        noise[i] = state / (1 << 31) * 4000 - 2000
    return np.concatenate((np.rint(tones), np.zeros(2000), np.rint(noise)))


def test_coefficients_are_those_of_the_peer_library():
    result = mfcc((sound() / 32_768).astype(np.float32))
    assert result.shape == (86, 13)
    for row, expected in GOLDEN.items():
        assert result[row] == pytest.approx(expected, abs=2e-4)


def test_silence_has_finite_coefficients():
    assert np.isfinite(mfcc(np.zeros(5000, np.float32))).all()


@pytest.mark.parametrize(
    ("samples", "rows"), [(0, 0), (1, 1), (400, 1), (401, 2), (560, 2), (561, 3)]
)
def test_there_are_rows_for_all_samples(samples, rows):
    assert mfcc(np.ones(samples, np.float32)).shape == (rows, 13)


def test_rows_do_not_depend_on_how_many_are_computed_at_once():
    samples = (sound() / 32_768).astype(np.float32)
    whole = mfcc(samples)
    parts = [mfcc(samples, at * STEP, min(7, 86 - at)) for at in range(0, 86, 7)]
    assert np.concatenate(parts) == pytest.approx(whole, abs=1e-4)


def test_before_and_after_the_sound_there_is_silence():
    samples = (sound() / 32_768).astype(np.float32)
    early = mfcc(samples, -5 * STEP, 100)
    padded = mfcc(
        np.concatenate((np.zeros(5 * STEP, np.float32), samples, np.zeros(5 * STEP, np.float32)))
    )
    assert early[:90] == pytest.approx(padded[:90], abs=1e-4)
    assert early[-1] == pytest.approx(mfcc(np.zeros(400, np.float32))[0], abs=1e-4)
