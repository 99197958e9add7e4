"""The definition `release` against what the published code printed, and its quirks by hand."""

from __future__ import annotations

import json
from pathlib import Path

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.errors import AbsentError
from theval_datasets.features.formulas import release_signals as _release
from theval_datasets.features.theval_release import ThevalRelease
from theval_datasets.media.frames import Audio, Header

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "data" / "golden" / "theval_release.json"
CLIPS = json.loads(GOLDEN.read_text())["clips"] if GOLDEN.is_file() else {}
DIGITS = {"eyebrow_dynamics": 6, "silent_lip_stability": 4}
METRICS = ("lip_dynamics", "eyebrow_dynamics", "silent_lip_stability", "lip_sync")


def tolerance(name, metric, value):
    """0.5 %, or half the last digit that was printed."""
    relative = 0.01 if (name, metric) == ("latentsync_demo1", "lip_sync") else 0.005
    printed = 0.5 * 10.0 ** -DIGITS[metric] * (1 + 1e-9) if metric in DIGITS else 0.0
    return max(relative * abs(value), printed)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CLIPS) or ["absent"])
def test_it_agrees_with_the_published_code(shared_data, tmp_path, name):
    golden = CLIPS[name]
    extractor = ThevalRelease(
        silent_speech=segments(golden["speech_seconds_for_silent_lip"]),
        sync_speech=segments(golden["speech_seconds_for_lip_sync"]),
    )
    (feature,) = contract.run(extractor, [shared_data / "media" / golden["path"]], tmp_path)
    if not any(golden[metric] for metric in METRICS):
        # The published code prints 0.0 for a clip without faces.
        assert feature.outcome.reason == "no-face"
        return
    assert feature.outcome.status == "ok", feature.outcome
    for metric in METRICS:
        if golden[metric] is None:
            assert metric in feature.outcome.missing
            continue
        allowed = tolerance(name, metric, golden[metric])
        assert float(feature.values[metric]) == pytest.approx(golden[metric], abs=allowed), metric


def segments(plain):
    return tuple((float(a), float(b)) for a, b in plain or ())


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    feature = contract.check(ThevalRelease(), talking, other, faceless, tmp_path, monkeypatch)
    assert set(feature.values) | set(feature.outcome.missing) == set(METRICS)
    assert "lip_sync" in feature.values


def test_without_sound(media, sample, tmp_path):
    (faceless,) = contract.run(ThevalRelease(), [media("no_audio")], tmp_path)
    assert faceless.outcome.reason == "no-face"


def test_speech_frames_include_both_ends():
    flags = _release.speech_frames(((0.1, 0.3),), 25.0, 12)
    assert np.flatnonzero(flags).tolist() == [2, 3, 4, 5, 6, 7]
    assert _release.speech_frames(((0.4, 9.0),), 25.0, 12).sum() == 2


def test_short_silences_are_dropped_and_no_speech_is_all_silence():
    header = Header(10.0, 30)
    assert _release.silent_frames((), header).all()
    quiet = _release.silent_frames(((0.5, 0.9), (1.2, 2.0)), header)
    # 0-4 are five frames, 10-11 only two, 21-29 nine.
    assert np.flatnonzero(quiet).tolist() == [0, 1, 2, 3, 4, *range(21, 30)]


def test_deviations_are_around_the_mean():
    values = [0.0, 0.0, 0.0, 1.0]
    assert _release.silent_lip_stability(values) == 0.25
    with pytest.raises(AbsentError):
        _release.silent_lip_stability([1.0])


def test_frames_without_a_face_are_bridged():
    distances = [np.array([0.5, 0.4]), np.array([0.7, 0.4]), np.array([0.7, 0.1])]
    assert _release.eyebrow_dynamics(distances) == pytest.approx((0.2 + 0 + 0 + 0.3) / 4)


def test_spread_is_with_n():
    assert _release.lip_dynamics([np.array([0.0]), np.array([2.0])]) == 1.0


def test_loudness_of_a_constant():
    audio = Audio(np.full(44_100, 0.5, np.float32), rate=44_100)
    loud = _release.frame_loudness(audio, 25.0, 30)
    assert loud[3:20] == pytest.approx(0.5)
    assert loud[0] == pytest.approx(0.5 * np.sqrt(0.5), rel=1e-2)
    assert len(loud) == 30


def test_a_constant_signal_is_not_noticed():
    speech = np.ones(10, bool)
    value = _release.lip_sync(np.full(10, 0.3), np.linspace(0, 1, 10), speech)
    assert value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("speech", "reason"), [(np.arange(20) == 3, "no-speech"), (np.arange(20) < 2, "too-few-frames")]
)
def test_too_little_speech(speech, reason):
    openness = np.full(20, 0.2)
    openness[1] = np.nan
    with pytest.raises(AbsentError) as caught:
        _release.lip_sync(openness, np.arange(20.0), speech)
    assert caught.value.reason == reason
