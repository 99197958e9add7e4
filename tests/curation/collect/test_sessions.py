"""Which clips a participant sees: counts, contents, repeats, checks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theval_datasets.curation.collect.plan import SessionRules, StudyPlan
from theval_datasets.curation.collect.prepared import PreparedStudy, StudyItem
from theval_datasets.curation.collect.sessions import (
    Presentation,
    plan_presentations,
    session_sizes,
    spaced,
)


def study_of(contents: list[str], *, golden: int = 0, **changes) -> PreparedStudy:
    """A study with an item for each content."""
    plan = StudyPlan("score", "s", "c", "q", ("t0", "t1", "t2"))
    roles = ["training"] * 3 + ["golden"] * golden + ["rated"] * len(contents)
    shown = [*(f"t{n}" for n in range(3)), *(f"g{n}" for n in range(golden)), *contents]
    items = tuple(
        StudyItem(number, role, content, (f"clip{number}",), (None,), ("a.mp4",), low=0.0, high=5.0)
        for number, (role, content) in enumerate(zip(roles, shown, strict=True))
    )
    return PreparedStudy(1, replace(plan, **changes), None, "t", "c", (), items)


def contents_of(study: PreparedStudy, planned: list[Presentation]) -> list[str]:
    return [study.items[item.item].content for item in planned]


def test_counts_differ_by_one_at_most_whatever_a_participant_rates():
    study = study_of([f"c{n}" for n in range(20)], clips_per_participant=7)
    shown: Counter[int] = Counter()
    for participant in range(1, 12):
        planned = plan_presentations(study, shown, participant)
        rated = [p.item for p in planned if p.role == "rated" and p.repetition == 1]
        assert len(rated) == len(set(rated)) == 7
        shown.update(rated)
        counts = [shown[item.number] for item in study.of_role("rated")]
        assert max(counts) - min(counts) <= 1


def test_a_participant_has_an_order_of_their_own_and_always_the_same():
    study = study_of([f"c{n}" for n in range(20)])
    first = plan_presentations(study, {}, 1)
    assert first == plan_presentations(study, {}, 1)
    assert first != plan_presentations(study, {}, 2)
    other = replace(study, plan=replace(study.plan, seed=1))
    assert first != plan_presentations(other, {}, 1)
    assert [p.position for p in first] == list(range(len(first)))
    assert [p.item for p in first[:3]] == [0, 1, 2]
    assert {p.session for p in first[:3]} == {0}


def test_the_papers_set_takes_its_sessions():
    sizes = session_sizes(5492, SessionRules(), golden=False)
    assert sum(sizes) == 5492
    assert max(sizes) - min(sizes) <= 1
    most = max(sizes)
    assert most + round(0.05 * most) + most // 10 <= 200
    assert most + 1 + round(0.05 * (most + 1)) + (most + 1) // 10 > 200 or len(sizes) > 28
    bare = SessionRules(repeat_share=0, trap_every=0, golden_every=0)
    assert len(session_sizes(5492, bare, golden=False)) == 28  # the number of the paper
    assert session_sizes(200, bare, golden=False) == [200]
    assert session_sizes(201, bare, golden=False) == [101, 100]
    assert session_sizes(0, bare, golden=False) == []


@pytest.mark.parametrize("golden", [0, 3])
def test_repeats_traps_and_golden_clips_come_in_their_shares(golden):
    study = study_of([f"c{n}" for n in range(100)], golden=golden)
    planned = [p for p in plan_presentations(study, {}, 1) if p.session == 1]
    roles = Counter((p.role, p.repetition) for p in planned)
    assert roles["rated", 1] == 100
    assert roles["rated", 2] == 5
    assert roles["trap", 1] == 10
    assert roles["golden", 1] == (5 if golden else 0)
    places = {(p.item, p.repetition): p.position for p in planned if p.role == "rated"}
    for (item, repetition), position in places.items():
        if repetition == 2:
            assert places[item, 1] + 1 < position
    assert all(p.wanted in range(6) for p in planned if p.role == "trap")
    assert all(p.wanted is None for p in planned if p.role != "trap")


def test_sessions_are_of_the_size_that_was_asked_for():
    rules = SessionRules(max_clips=20)
    study = study_of([f"c{n}" for n in range(90)], golden=2, sessions=rules)
    sizes = Counter(p.session for p in plan_presentations(study, {}, 1))
    assert max(size for session, size in sizes.items() if session) <= 20
    assert (
        sum(p.role == "rated" and p.repetition == 1 for p in plan_presentations(study, {}, 1)) == 90
    )


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
    st.one_of(st.none(), st.integers(0, 6)),
    st.integers(0, 9),
)
def test_neighbours_never_share_a_content(numbers, before, seed):
    items = {
        n: StudyItem(n, "rated", str(c), ("x",), (None,), ("x",)) for n, c in enumerate(numbers)
    }
    wanted = [Presentation(0, 1, n, "rated") for n in items]
    first = None if before is None else str(before)
    placed, left_out = spaced(wanted, items, first, np.random.default_rng(seed))
    shown = [first, *(items[p.item].content for p in placed)]
    assert all(a != b for a, b in pairwise(shown))
    assert sorted(p.item for p in [*placed, *left_out]) == sorted(items)


@given(st.lists(st.integers(0, 3), max_size=6), st.one_of(st.none(), st.integers(0, 3)))
def test_nothing_is_left_out_if_any_order_would_do(numbers, before):
    items = {
        n: StudyItem(n, "rated", str(c), ("x",), (None,), ("x",)) for n, c in enumerate(numbers)
    }
    wanted = [Presentation(0, 1, n, "rated") for n in items]
    possible = any(
        all(a != b for a, b in pairwise([before, *order])) for order in permutations(numbers)
    )
    first = None if before is None else str(before)
    _, left_out = spaced(wanted, items, first, np.random.default_rng(0))
    assert (left_out == []) == possible


def test_contents_with_several_models_are_kept_apart_over_sessions():
    contents = [f"c{n % 5}" for n in range(60)]
    study = study_of(contents, golden=1, sessions=SessionRules(max_clips=20))
    for participant in range(1, 6):
        shown = contents_of(study, plan_presentations(study, {}, participant))
        assert all(a != b for a, b in pairwise(shown[2:]))
