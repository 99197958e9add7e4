"""Loudness: the root mean square around each frame's own time."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.features.loudness import Loudness, rms_at
from theval_datasets.media.frames import SAMPLE_RATE, Audio


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(Loudness(), talking, other, faceless, tmp_path, monkeypatch).values
    assert len(values["rms"]) == values["heard"].sum()
    assert values["rms"].max() > 0.02


def test_a_sine_has_its_rms_wherever_one_listens():
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    audio = Audio((0.5 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32), start=2.0)
    at = np.array([2.0, 2.01, 2.5, 2.999])
    assert rms_at(audio, at) == pytest.approx(np.full(4, 0.5 / np.sqrt(2)), rel=0.05)


def test_against_the_definition_sample_by_sample():
    rng = np.random.default_rng(3)
    audio = Audio(rng.normal(0, 0.1, 4000).astype(np.float32), start=0.1)
    for time in (0.1, 0.17, 0.2, 0.3495):
        centre = (time - 0.1) * SAMPLE_RATE
        window = audio.samples[max(0, round(centre - 400)) : min(4000, round(centre + 400))]
        expected = np.sqrt(np.mean(window.astype(np.float64) ** 2))
        assert rms_at(audio, np.array([time]))[0] == pytest.approx(expected, rel=1e-9)


def test_frames_outside_the_audio_are_not_heard(media, tmp_path):
    (late,) = contract.run(Loudness(), [media("late_audio")], tmp_path)
    heard = late.values["heard"]
    assert not heard[:9].any()
    assert heard[11:].all()
    assert len(late.values["rms"]) == heard.sum()
    loud = np.flatnonzero(heard)[late.values["rms"] > 0.2] / 25
    assert loud[0] == pytest.approx(1.4, abs=0.05)
