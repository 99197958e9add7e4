"""Formants of synthetic vowels are where they were put."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Clip

from theval_datasets.errors import AbsentError
from theval_datasets.features.formants import Formants
from theval_datasets.media.frames import SAMPLE_RATE, Audio

pytest.importorskip("parselmouth", reason="the extra [formants] is not installed")


class Heard(Clip):
    def __init__(self, samples, start=0.0):
        super().__init__()
        self._audio = Audio(np.asarray(samples, np.float32), start)

    def audio(self):
        return self._audio


def vowel(f1: float, f2: float, seconds: float = 1.0):
    """A pulse train of 100 Hz through resonances at F1, F2, 2900, 3700 and 4600 Hz."""
    from scipy.signal import lfilter

    samples = np.zeros(int(seconds * SAMPLE_RATE))
    samples[:: SAMPLE_RATE // 100] = 1.0
    samples = lfilter([1.0], [1.0, -0.98], samples)  # a voice falls off; Praat counts on it
    for frequency, width in ((f1, 60), (f2, 90), (2900, 150), (3700, 200), (4600, 250)):
        radius = np.exp(-np.pi * width / SAMPLE_RATE)
        poles = [1, -2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE), radius**2]
        samples = lfilter([1.0], poles, samples)
    return samples / np.abs(samples).max() / 2


@pytest.mark.parametrize(("f1", "f2"), [(700, 1220), (300, 2200), (450, 1700)])
def test_a_vowel_has_the_formants_it_was_made_with(f1, f2):
    result, missing = Formants().compute(Heard(vowel(f1, f2), start=0.5), None)
    assert missing == {}
    assert float(result["f1_median"]) == pytest.approx(f1, rel=0.08)
    assert float(result["f2_median"]) == pytest.approx(f2, rel=0.08)
    assert result["time"].min() > 0.5


def test_the_peak_is_what_the_track_reaches():
    both = np.concatenate([vowel(300, 2200), vowel(700, 1220, 0.5)])
    result, _ = Formants().compute(Heard(both), None)
    assert float(result["f1_hz"]) == pytest.approx(700, rel=0.1)
    assert float(result["f2_hz"]) == pytest.approx(2200, rel=0.1)
    assert float(result["f1_median"]) < 400


def test_noise_and_scraps_have_no_voice():
    noise = np.random.default_rng(1).normal(0, 0.01, SAMPLE_RATE)
    for samples, reason in ((noise, "no-voice"), (vowel(500, 1500)[:800], "too-short")):
        with pytest.raises(AbsentError) as absent:
            Formants().compute(Heard(samples), None)
        assert absent.value.reason == reason


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(Formants(), talking, other, faceless, tmp_path, monkeypatch).values
    assert (values["f1"] < values["f2"]).all()
    assert len(values["time"]) == len(values["f1"]) > 20
