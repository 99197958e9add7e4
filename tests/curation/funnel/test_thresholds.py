"""Only the threshold that decided about a clip counts it as rejected."""

from __future__ import annotations

import pytest
from funnel_run import judged, judgement, write_run

from theval_datasets import catalog
from theval_datasets.curation.funnel.funnel import funnel_of
from theval_datasets.curation.funnel.thresholds import distributions, rejecting


@pytest.fixture
def groups(tmp_path):
    """Of a run's clips: filter and value to the values of the kept, the rejected and the others."""

    def measure(*clips):
        named = [(f"clip-{i}", clip) for i, clip in enumerate(clips)]
        funnel = funnel_of(write_run(tmp_path, named))
        return {(d.filter, d.name): (d.kept, d.rejected, d.others) for d in funnel.distributions}

    return measure


SPEECH = {"speech_ratio": 0.9, "longest_pause": 1.0}


def test_a_value_that_did_not_decide_is_of_the_others(groups):
    measured = groups(
        [judgement("speech", **SPEECH)],
        [judgement("speech", "little-speech", speech_ratio=0.1, longest_pause=2.0)],
        [judgement("speech", "long-pause", speech_ratio=0.8, longest_pause=4.0)],
    )
    assert measured["speech", "speech_ratio"] == ((0.9,), (0.1,), (0.8,))
    assert measured["speech", "longest_pause"] == ((1.0,), (4.0,), (2.0,))


def test_only_the_first_filter_that_rejects_decides(groups):
    measured = groups(
        [judgement("resolution", side=800), judgement("speech", **SPEECH)],
        [
            judgement("resolution", "low-resolution", side=300),
            judgement("speech", "little-speech", speech_ratio=0.1, longest_pause=1.0),
        ],
    )
    assert measured["resolution", "side"] == ((800.0,), (300.0,), ())
    assert measured["speech", "speech_ratio"] == ((0.9,), (), (0.1,))


@pytest.mark.parametrize(
    ("height", "pixels", "decided"),
    [
        (0.19, 100, {"height"}),
        (0.2, 99, {"pixels"}),
        (0.19, 99, {"height", "pixels"}),
    ],
)
def test_of_two_thresholds_of_a_reason_the_crossed_ones_decide(groups, height, pixels, decided):
    measured = groups(
        [judgement("face_size", height=0.4, pixels=200, margin=0.1)],
        [judgement("face_size", "small-face", height=height, pixels=pixels, margin=0.1)],
    )
    assert {name for name in ("height", "pixels") if measured["face_size", name][1]} == decided


def test_a_share_decides_and_not_the_angles_that_it_counts(groups):
    measured = groups(
        [judgement("frontal", frontal=0.9, yaw=10, pitch=0, roll=0)],
        [judgement("frontal", "not-frontal", frontal=0.5, yaw=40, pitch=0, roll=0)],
    )
    assert measured["frontal", "frontal"] == ((0.9,), (0.5,), ())
    assert measured["frontal", "yaw"] == ((10.0,), (), (40.0,))


def test_distances_decide_when_they_are_small(groups):
    measured = groups(
        [judgement("near_duplicates", picture=0.3, frames=0.4, audio=0.5)],
        [judgement("near_duplicates", "duplicate", picture=0.0, frames=0.01, audio=0.02)],
    )
    assert measured["near_duplicates", "frames"] == ((0.4,), (0.01,), ())
    assert measured["near_duplicates", "audio"] == ((0.5,), (0.02,), ())
    assert measured["near_duplicates", "picture"] == ((0.3,), (), (0.0,))


def test_without_a_recipe_reasons_still_tell_the_value():
    rows = [
        judged("a", [judgement("speech", **SPEECH)], "gone:1"),
        judged(
            "b", [judgement("speech", "long-pause", speech_ratio=0.8, longest_pause=4.0)], "gone:1"
        ),
    ]
    by_name = {d.name: (d.kept, d.rejected, d.others, d.limits) for d in distributions(rows, None)}
    assert by_name == {
        "speech_ratio": ((0.9,), (), (0.8,), ()),
        "longest_pause": ((1.0,), (4.0,), (), ()),
    }


def test_a_reason_without_a_threshold_and_a_filter_of_another_package(groups):
    measured = groups(
        [judgement("frame_rate", fps=25), judgement("theirs", level=1)],
        [judgement("frame_rate", "variable-frame-rate", fps=24), judgement("theirs", level=2)],
        [judgement("frame_rate", fps=30), judgement("theirs", "loud", level=3)],
    )
    assert measured["frame_rate", "fps"] == ((25.0,), (), (24.0, 30.0))
    assert measured["theirs", "level"] == ((1.0,), (), (2.0, 3.0))


def test_clips_near_a_threshold_say_whether_it_decided(tmp_path):
    clips = [
        ("a", [judgement("speech", speech_ratio=0.51, longest_pause=0.1)]),
        ("b", [judgement("speech", "little-speech", speech_ratio=0.49, longest_pause=6.0)]),
        ("c", [judgement("speech", "long-pause", speech_ratio=0.52, longest_pause=5.0)]),
        ("d", [judgement("speech", speech_ratio=1.0, longest_pause=1.0)]),
    ]
    borders = funnel_of(write_run(tmp_path, clips)).borders
    near = {b.clip_id: (b.kept, b.decided, b.reason) for b in borders if b.name == "speech_ratio"}
    assert near == {
        "a": (True, False, None),
        "b": (False, True, "little-speech"),
        "c": (False, False, "long-pause"),
    }


def test_a_kept_row_is_rejected_by_nothing():
    assert rejecting(judged("a", [judgement("speech", **SPEECH)], "r")) is None


def test_deciding_values_have_thresholds():
    for name in catalog.names("filter"):
        judge = catalog.load("filter", name)
        for reason, names in judge.decides.items():
            assert set(names.split(",")) <= judge.shown.keys(), (name, reason)
