"""Where a source may be cut, on made-up measurements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.curation.segmentation.spans import SegmentRule, find_spans
from theval_datasets.extraction.outcomes import Feature, Outcome

FPS = 25


def shots(*parts):
    """`(seconds, dark)` of each shot."""
    counts = [round(seconds * FPS) for seconds, _ in parts]
    begin = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
    total = sum(counts)
    return {
        "time": np.arange(total) / FPS,
        "begin": begin,
        "dark": np.array([dark for _, dark in parts]),
        "end": np.array(total / FPS),
    }


def faces(counts, height=0.4):
    """How many faces each of two samples a second holds."""
    sample = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    boxes = np.tile(np.array([0.3, 0.2, 0.6, 0.2 + height], np.float32), (len(sample), 1))
    return Feature(
        Outcome("ok"), {"time": np.arange(len(counts)) / 2, "sample": sample, "box": boxes}
    )


def speech(*segments):
    return Feature(Outcome("ok"), {"segments": np.array(segments, float).reshape(-1, 2)})


RULE = SegmentRule(min_seconds=3, aim_seconds=8, max_seconds=12)
TALK = speech((0, 200))


def test_a_shot_of_the_right_length_stays_whole_to_the_frame():
    spans, refused = find_spans(shots((8, False)), faces([1] * 16), TALK, RULE)
    (span,) = spans
    assert (span.first, span.last, span.start, span.end) == (0, 200, 0.0, 8.0)
    assert refused == []


def test_no_span_reaches_over_a_cut_or_into_black():
    spans, refused = find_spans(
        shots((5, False), (0.6, True), (5.4, False)), faces([1] * 22), TALK, RULE
    )
    assert [(s.start, s.end) for s in spans] == [(0.0, 5.0), (5.6, 11.0)]
    assert [(r.reason, round(r.start, 3)) for r in refused] == [("black", 5.0)]


@pytest.mark.parametrize(
    ("counts", "rule", "expected"),
    [
        ([0] * 20, {}, []),
        ([2] * 20, {}, []),
        ([2] * 20, {"min_people": 2, "max_people": 2}, [(0, 10)]),
        ([1] * 10 + [0] * 10, {}, [(0, 4.75)]),
        ([1] * 9 + [0] + [1] * 10, {}, [(0, 10)]),
        ([1] * 8 + [0, 0] + [1] * 10, {}, [(0, 3.75), (4.75, 10)]),
        ([1] * 5 + [0] * 15, {}, []),
    ],
)
def test_the_wanted_people_are_there_throughout(counts, rule, expected):
    rule = SegmentRule(**({"min_seconds": 3, "aim_seconds": 8, "max_seconds": 12} | rule))
    spans, _ = find_spans(shots((10, False)), faces(counts), TALK, rule)
    assert [(s.start, s.end) for s in spans] == [
        (pytest.approx(a, abs=0.04), pytest.approx(b, abs=0.04)) for a, b in expected
    ]


def test_small_faces_do_not_count():
    spans, refused = find_spans(shots((8, False)), faces([1] * 16, 0.05), TALK, RULE)
    assert spans == []
    assert refused[0].reason == "no-such-people"


def test_little_speech_is_refused():
    spans, refused = find_spans(shots((8, False)), faces([1] * 16), speech((1, 2)), RULE)
    assert spans == []
    assert [r.reason for r in refused] == ["little-speech"]


@pytest.mark.parametrize("reason", ["no-audio", "digital-silence"])
def test_a_source_that_is_silent_is_refused_for_that_reason(reason):
    silent = Feature(Outcome("empty", reason))
    spans, refused = find_spans(shots((8, False)), faces([1] * 16), silent, RULE)
    assert spans == []
    assert [r.reason for r in refused] == [reason]


def test_long_shots_are_divided_in_pauses_and_words_stay_whole():
    segments = [(i * 4 + 0.5, i * 4 + 3.9) for i in range(15)]
    spans, _ = find_spans(shots((60, False)), faces([1] * 120), speech(*segments), RULE)
    assert len(spans) >= 5
    for span in spans:
        assert RULE.min_seconds <= span.end - span.start <= RULE.max_seconds
        for edge in (span.start, span.end):
            assert not any(a + 0.05 < edge < b - 0.05 for a, b in segments), edge
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(spans))
    mean = np.mean([s.end - s.start for s in spans])
    assert mean == pytest.approx(RULE.aim_seconds, rel=0.35)


def test_without_any_pause_it_is_cut_all_the_same():
    spans, _ = find_spans(shots((40, False)), faces([1] * 80), speech((0, 40)), RULE)
    assert len(spans) >= 4
    assert max(s.end - s.start for s in spans) <= RULE.max_seconds + 0.05


@given(
    st.lists(st.tuples(st.floats(0.2, 30), st.booleans()), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_whatever_comes_spans_are_in_order_in_one_shot_and_of_allowed_length(parts, seed):
    rng = np.random.default_rng(seed)
    source = shots(*parts)
    counts = rng.integers(0, 3, max(1, int(float(source["end"]) * 2))).tolist()
    edges = np.sort(rng.uniform(0, float(source["end"]), 8)).reshape(-1, 2)
    spans, _ = find_spans(source, faces(counts), speech(*edges), RULE)
    borders = [*source["begin"].tolist(), len(source["time"])]
    for span in spans:
        inside = [a for a, b in itertools.pairwise(borders) if a <= span.first < span.last <= b]
        assert len(inside) == 1
        assert RULE.min_seconds - 0.11 <= span.end - span.start <= RULE.max_seconds + 0.05


def test_rules_that_cannot_be_met_are_refused():
    with pytest.raises(ValueError, match="min_seconds"):
        SegmentRule(min_seconds=9, aim_seconds=8)
    with pytest.raises(ValueError, match="min_people"):
        SegmentRule(min_people=2, max_people=1)
