"""Turns and off-screen speech from scores, and the pictures that the network gets."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.runner import Runner
from theval_datasets.features.active_speaker import (
    ActiveSpeaker,
    SpeakingRule,
    Turn,
    smoothed,
    speaking,
    speech_at,
    speech_on_screen,
    turns,
)
from theval_datasets.utils.files import sha256_file


def rows(*tracks, person=None):
    """Values of tracks, each given as (first picture, scores)."""
    lengths = [len(scores) for _, scores in tracks]
    number = np.concatenate([first + np.arange(len(scores)) for first, scores in tracks])
    track = np.repeat(np.arange(len(tracks), dtype=np.int32), lengths)
    who = track if person is None else np.asarray(person, np.int32)[track]
    scores = np.concatenate([np.asarray(scores, np.float32) for _, scores in tracks])
    values = {"track": track, "person": who, "time": number / 25, "score": scores}
    return values | {"speech": np.ones(len(track), bool)}


def spans(*lengths):
    """Scores that alternate between -1 and 1, beginning with -1, for so many pictures each."""
    signs = np.where(np.arange(len(lengths)) % 2, 1.0, -1.0)
    return np.repeat(signs, lengths)


def test_turns_are_spans_in_seconds_by_start_and_track():
    values = rows((0, spans(25, 50, 25)), (50, spans(0, 25)))
    assert turns(values) == [Turn(1.0, 3.0, 0), Turn(2.0, 3.0, 1)]


@pytest.mark.parametrize(("score", "speaks"), [(0.0, True), (-0.001, False)])
def test_the_threshold_is_a_speaking_score(score, speaks):
    assert speaking(rows((0, [score] * 30))).tolist() == [speaks] * 30


def test_the_threshold_can_be_changed_afterwards():
    values = rows((0, [1.0] * 25 + [3.0] * 25))
    assert turns(values, SpeakingRule(threshold=2.0)) == [Turn(1.0, 2.0, 0)]


def test_nobody_speaks_where_no_speech_is_heard_unless_asked_to():
    values = rows((0, [1.0] * 75))
    values["speech"] = speech_at(values["time"], np.array([[1.0, 2.0]]))
    assert turns(values) == [Turn(1.0, 2.0, 0)]
    assert turns(values, SpeakingRule(speech_only=False)) == [Turn(0.0, 3.0, 0)]


@pytest.mark.parametrize(("pause", "count"), [(4, 1), (5, 2)])
def test_short_pauses_are_filled(pause, count):
    assert len(turns(rows((0, spans(10, 20, pause, 20, 10))))) == count


@pytest.mark.parametrize(("length", "count"), [(4, 0), (5, 1)])
def test_short_turns_are_left_out(length, count):
    assert len(turns(rows((0, spans(10, length, 10))))) == count
    assert len(turns(rows((0, spans(0, length, 10))))) == count


def test_a_track_that_was_out_of_sight_has_a_turn_on_each_side():
    track = rows((0, [1.0] * 25))
    later = rows((75, [1.0] * 25))
    values = {name: np.concatenate((track[name], later[name])) for name in track}
    assert turns(values) == [Turn(0.0, 1.0, 0), Turn(3.0, 4.0, 0)]


def test_no_rows_have_no_turns():
    values = rows((0, []))
    assert turns(values) == []
    assert speaking(values).tolist() == []


def test_speech_of_nobody_visible_is_off_screen():
    values = rows((0, spans(25, 50, 125)))
    on_screen = speech_on_screen(values, np.array([[1.0, 5.0]]), 8.0)
    assert on_screen.off_screen.tolist() == [[3.0, 5.0]]
    assert on_screen.visible == pytest.approx(0.5)
    assert on_screen.speaking_at_once == 0.0


def test_speech_without_any_row_is_off_screen_until_the_pictures_end():
    on_screen = speech_on_screen(rows((0, [])), np.array([[1.0, 9.0]]), 4.0)
    assert on_screen.off_screen.tolist() == [[1.0, 4.0]]
    assert on_screen.visible == 0.0


@pytest.mark.parametrize(("frames", "count"), [(9, 0), (10, 1)])
def test_a_moment_is_not_off_screen(frames, count):
    values = rows((0, spans(0, 50, frames, 50)))
    on_screen = speech_on_screen(values, np.array([[0.0, 4.4]]), 4.4, SpeakingRule(max_pause=0.0))
    assert len(on_screen.off_screen) == count
    assert (on_screen.visible == 1.0) == (count == 0)


def test_two_tracks_of_one_person_do_not_speak_at_once():
    values = rows((0, [1.0] * 50), (25, [1.0] * 50))
    segments = np.array([[0.0, 3.0]])
    assert speech_on_screen(values, segments, 3.0).speaking_at_once == pytest.approx(1 / 3)
    same = rows((0, [1.0] * 50), (25, [1.0] * 50), person=(0, 0))
    assert speech_on_screen(same, segments, 3.0).speaking_at_once == 0.0


def test_shares_without_speech_are_undefined():
    on_screen = speech_on_screen(rows((0, [1.0] * 50)), np.zeros((0, 2)), 2.0)
    assert (on_screen.visible, on_screen.speaking_at_once, len(on_screen.off_screen)) == (
        None,
        None,
        0,
    )


def test_averages_at_the_ends_are_over_fewer_values():
    values = np.array([5.0, 0.0, 1.0, 3.0, 7.0])
    by_hand = [2.0, 2.25, 3.2, 2.75, 11 / 3]
    assert smoothed(values, 5) == pytest.approx(by_hand)
    assert smoothed(values, 0).tolist() == smoothed(values, 1).tolist() == values.tolist()


@pytest.mark.parametrize("wrong", [{"windows": ()}, {"windows": (0.01,)}, {"smoothing": -0.1}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        ActiveSpeaker(**wrong)


@pytest.fixture(scope="module")
def random_network(tmp_path_factory):
    """A folder of models with LR-ASD at random weights."""
    torch = pytest.importorskip("torch", reason="no extra with torch is installed")
    from lr_asd_reference import random_reference

    folder = tmp_path_factory.mktemp("models")
    (folder / "lr_asd").mkdir()
    torch.save(random_reference(1).state_dict(), folder / "lr_asd/finetuning_TalkSet.model")
    return folder


@pytest.mark.slow
def test_scores_depend_on_the_clip_alone(
    random_network, talking, other, faceless, tmp_path, monkeypatch
):
    monkeypatch.setenv("THEVAL_MODELS", str(random_network))
    feature = contract.check(ActiveSpeaker(), talking, other, faceless, tmp_path, monkeypatch)
    times = feature.values["time"]
    assert len(times) > 25
    assert times == pytest.approx(np.arange(len(times)) / 25)
    assert np.ptp(feature.values["score"]) > 0


@pytest.mark.slow
def test_what_cannot_be_scored_says_why(random_network, media, talking, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(random_network))
    no_audio, silent, still = contract.run(
        ActiveSpeaker(), [media("no_audio"), media("silent"), media("still")], tmp_path / "a"
    )
    for feature in (no_audio, silent, still):
        assert feature.outcome.reason == "no-face"  # faces are looked for first
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert not ActiveSpeaker().has_weights()
    report = Runner(Plan((ActiveSpeaker(),), str(tmp_path / "b"))).process(
        ClipJob("a", str(talking), sha256_file(talking))
    )
    outcome = report.outcomes["active_speaker"]
    assert (outcome.status, outcome.reason) == ("failed", "weights-missing")
    assert "theval-data models fetch lr-asd" in str(outcome.detail)


@pytest.mark.real
@pytest.mark.slow
def test_real_people_speak_in_their_turns(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    media = shared_data / "media"
    turns_of_two, silence, mute, drawn = contract.run(
        ActiveSpeaker(),
        [
            media / "multi/derived_two_people_turns.mp4",
            media / "negative/liveportrait_d18.mp4",
            media / "single/mead_M030_front_neutral_level1_001.mp4",
            media / "negative/cartoon.mp4",
        ],
        tmp_path,
    )
    assert silence.outcome.reason == "digital-silence"
    assert mute.outcome.reason == "no-audio"
    assert drawn.outcome.reason == "no-face"
    values = turns_of_two.values
    truth = values["time"] < 4
    truth[values["track"] == 1] ^= True
    clear = values["speech"] & (np.abs(values["time"] - 4) > 0.2)
    assert (values["speaking"] == truth)[clear].mean() >= 0.9
    assert len(values["off_screen"]) == 0
    assert float(values["speaker_visible"]) == 1.0
