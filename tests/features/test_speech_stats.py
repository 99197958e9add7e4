"""Speech in numbers: segments, pauses, and a ratio of powers that is undefined where it should be."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.errors import AbsentError
from theval_datasets.features.speech_stats import SpeechStats, signal_to_noise
from theval_datasets.media.frames import SAMPLE_RATE, Audio

SEGMENTS = np.array([[0.5, 1.5]])


def sound(noise: float, signal: float, start: float = 0.0) -> Audio:
    rng = np.random.default_rng(7)
    samples = noise * rng.standard_normal(2 * SAMPLE_RATE)
    samples[SAMPLE_RATE // 2 : SAMPLE_RATE * 3 // 2] += signal * rng.standard_normal(SAMPLE_RATE)
    return Audio(samples.astype(np.float32), start)


@given(st.floats(-5, 40))
def test_the_ratio_is_the_one_that_was_mixed(db):
    mixed = sound(0.01, 0.01 * 10 ** (db / 20))
    assert signal_to_noise(mixed, SEGMENTS) == pytest.approx(db, abs=0.6)


def test_a_late_start_shifts_the_segments():
    late = sound(0.01, 0.1, start=3.0)
    assert signal_to_noise(late, SEGMENTS + 3) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("audio", "segments", "reason"),
    [
        (sound(0.01, 0.1), np.zeros((0, 2)), "no-speech"),
        (sound(0.01, 0.1), np.array([[0.0, 2.0]]), "no-silence"),
        (sound(0.0, 0.1), SEGMENTS, "noiseless"),
        (Audio(np.linspace(1, 0, 2 * SAMPLE_RATE, dtype=np.float32)), np.array([[1.0, 2.0]]), "no-signal"),
    ],
)  # fmt: skip
def test_undefined_ratios_have_a_reason(audio, segments, reason):
    with pytest.raises(AbsentError) as absent:
        signal_to_noise(audio, segments)
    assert absent.value.reason == reason


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(SpeechStats(), talking, other, faceless, tmp_path, monkeypatch).values
    assert 0.3 < float(values["speech_ratio"]) < 1
    assert int(values["n_segments"]) >= 1
    assert float(values["speech_seconds"]) == pytest.approx(
        float(values["mean_segment"]) * int(values["n_segments"])
    )


def test_without_sound(media, tmp_path):
    features = contract.run(SpeechStats(), [media("no_audio"), media("plain")], tmp_path)
    assert features[0].outcome.reason == "no-audio"
    assert features[1].outcome.missing == {"mean_segment": "no-speech", "snr_db": "no-speech"}
    assert float(features[1].values["longest_pause"]) == pytest.approx(2.0, abs=0.1)
