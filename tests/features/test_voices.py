"""Voices matched to people by time."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.features.active_speaker import ActiveSpeaker
from theval_datasets.features.people.voices import VoiceMatch, match_voices, voices_rttm
from theval_datasets.features.speakers import Speakers
from theval_datasets.features.voices import Voices


def voices(*turns):
    """Each turn is (start, end, voice)."""
    spans = np.array([turn[:2] for turn in turns], np.float64).reshape(-1, 2)
    return {"turns": spans, "speaker": np.array([turn[2] for turn in turns], np.int32)}


def people(seconds, *spans):
    """`spans[i]`: the seconds in which person i speaks; everybody is in sight all the time."""
    time = np.arange(seconds * 25) / 25
    speaking = [
        np.any([(time >= a) & (time < b) for a, b in own] or [np.zeros(len(time))], axis=0)
        for own in spans
    ]
    return {
        "time": np.tile(time, len(spans)),
        "person": np.repeat(np.arange(len(spans), dtype=np.int32), len(time)),
        "speaking": np.concatenate(speaking).astype(bool),
    }


def test_voices_go_to_those_who_speak_meanwhile():
    heard = people(8, [(4, 8)], [(0, 4)])
    matches = match_voices(voices((0, 4, 0), (4, 8, 1)), heard)
    assert matches == [VoiceMatch(0, 1, 1.0), VoiceMatch(1, 0, 1.0)]


def test_a_voice_of_nobody_visible_has_no_match():
    heard = people(8, [(0, 4)], [])
    assert match_voices(voices((0, 4, 0), (4, 8, 1)), heard) == [VoiceMatch(0, 0, 1.0)]


def test_a_person_has_one_voice_and_a_voice_one_person():
    heard = people(8, [(0, 8)])
    assert match_voices(voices((0, 5, 0), (5, 8, 1)), heard) == [VoiceMatch(0, 0, 1.0)]
    both = people(8, [(0, 8)], [(0, 7)])
    assert match_voices(voices((0, 8, 4)), both) == [VoiceMatch(4, 0, 1.0)]


def test_the_time_in_common_is_as_long_as_possible_in_all():
    # The first voice alone would go to the first person; then the second voice would have nobody.
    heard = people(10, [(0, 10)], [(0.5, 5.5)])
    matches = match_voices(voices((0, 6, 0), (6, 10, 1)), heard)
    assert [(match.voice, match.person) for match in matches] == [(0, 1), (1, 0)]


@pytest.mark.parametrize(("end", "matches"), [(2, 1), (1.96, 0)])
def test_a_share_below_the_minimum_is_no_match(end, matches):
    assert len(match_voices(voices((0, 4, 0)), people(4, [(0, end)]))) == matches


def test_only_the_time_in_which_a_person_is_in_sight_counts():
    heard = people(8, [(0, 2)])
    short = {name: values[:50] for name, values in heard.items()}
    assert match_voices(voices((0, 8, 0)), short) == [VoiceMatch(0, 0, 1.0)]


def test_nobody_in_sight_has_no_matches():
    nobody = {name: values[:0] for name, values in people(4, [(0, 4)]).items()}
    assert match_voices(voices((0, 4, 0)), nobody) == []


def test_the_feature_says_how_much_has_a_person():
    class Clip:
        def feature(self, extractor):
            known = {Speakers: voices((0, 3, 0), (3, 4, 1)), ActiveSpeaker: people(4, [(0, 3)])}
            return known[type(extractor)]

    values, absent = Voices().compute(Clip(), None)
    assert absent == {}
    assert values["voice"].tolist() == values["person"].tolist() == [0]
    assert float(values["matched_share"]) == pytest.approx(0.75)
    assert {name: str(array.dtype) for name, array in values.items()} == {
        column.name: column.dtype for column in Voices.writes
    }


def test_rttm_names_people_and_voices_without_a_person():
    lines = voices_rttm("my clip", voices((2, 3.5, 1), (0, 2, 0)), {1: 0}).splitlines()
    assert lines == [
        "SPEAKER my_clip 1 0.000 2.000 <NA> <NA> voice0 <NA> <NA>",
        "SPEAKER my_clip 1 2.000 1.500 <NA> <NA> person0 <NA> <NA>",
    ]
