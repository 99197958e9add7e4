"""The apparent scale, and numbers that are off it."""

import numpy as np
import pytest

from theval_datasets.curation.study.scales import (
    apparent_scale,
    check_scale,
    names_off_scale,
    off_scale,
)
from theval_datasets.errors import RatingsError


def scores(low, high, n=200, step=1.0):
    values = np.arange(low, high + step / 2, step)
    return np.resize(values, n).astype(float)


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        (scores(1, 5), (1, 5)),
        (scores(0, 5, step=0.1), (0, 5)),
        (scores(1, 7), (1, 7)),
        (scores(0, 10), (0, 10)),
        (scores(3, 98), (1, 100)),
        (scores(0, 98), (0, 100)),
        (scores(-3, 3), (-3, 3)),
        (scores(-40, 140), (-40, 140)),
        (np.array([2.0]), (1, 5)),
        (np.array([0.2, 0.8, 1.0]), (0, 1)),
        (np.array([0.0, 1.0, 2.0]), (0, 5)),  # scales around 0 hold negative scores
        (np.array([-1.0, 1.0, 2.0]), (-2, 2)),
    ],
)
def test_the_narrowest_standard_scale_that_holds_all(values, ends):
    scale = apparent_scale(values)
    assert (scale.low, scale.high) == ends
    assert off_scale(values) is None


@pytest.mark.parametrize(
    ("values", "code", "count"),
    [
        (scores(1, 5), -1, 1),
        (scores(1, 5), -1, 190),  # not rated nearly as often as rated
        (scores(1, 5), 99, 1),
        (scores(0, 5, step=0.1), 99, 30),
        (scores(0, 5, step=0.1), -1, 3),
        (scores(1, 7), 99, 5),
        (scores(0, 100), -1, 5),
        (scores(0, 100), 999, 5),
        (scores(1, 5), 55, 1),  # a typing error
        (scores(1, 5), 7, 2),
    ],
)
def test_numbers_apart_from_the_scale_are_off_it(values, code, count):
    mixed = np.concatenate([values, np.full(count, float(code))])
    scale, rows = off_scale(mixed)
    assert rows.sum() == count
    assert scale.low <= values.min() <= values.max() <= scale.high
    with pytest.raises(
        RatingsError, match=rf"{count} of .*apparent.*: {code} in row 201.*--missing-code"
    ):
        check_scale(mixed, range(1, len(mixed) + 1), None, "r.csv")


@pytest.mark.parametrize(
    ("values", "others"),
    [
        (scores(1, 5), scores(6, 6, 3)),  # the neighbouring grade: a wider scale
        (scores(1, 5), scores(6, 10, 100)),  # every second one: a wider scale
        (scores(-3, 3), scores(-1, -1, 3)),
        (scores(0, 100), scores(99, 99, 3)),
        (scores(0, 100), scores(105, 105, 3)),
        (scores(0, 10), scores(60, 90, 100)),
    ],
)
def test_numbers_of_a_wider_scale_are_ratings(values, others):
    assert off_scale(np.concatenate([values, others])) is None


def test_both_sides_of_the_share_of_stray_numbers():
    assert off_scale(np.concatenate([scores(1, 5, 95), scores(40, 40, 5)])) is not None
    assert off_scale(np.concatenate([scores(1, 5, 94), scores(40, 40, 6)])) is None


@pytest.mark.parametrize("code", [-1, 99])
def test_a_missing_code_may_be_most_of_an_incomplete_design(code):
    scale, rows = off_scale(np.concatenate([scores(1, 5, 10), scores(code, code, 190)]))
    assert (scale.low, scale.high) == (1, 5)
    assert rows.sum() == 190
    assert off_scale(np.full(9, 99.0)) is None  # no other score says that it is none


def test_a_code_beside_a_mistake_is_off_the_scale_too():
    mixed = np.concatenate([scores(1, 5), scores(-1, -1, 100), [55.0]])
    assert off_scale(mixed)[1].sum() == 101


def test_a_missing_code_among_shares():
    scale, rows = off_scale(np.array([0.1, 0.5, 0.9, -1.0, 0.7]))
    assert (scale.low, scale.high, rows.sum()) == (0, 1, 1)
    assert off_scale(np.array([0.1, 0.5, 0.9, 1.4, 0.7])) is None


@pytest.mark.parametrize(
    ("others", "code", "is_off"),
    [
        (scores(1, 5, 9), 9, False),
        (scores(1, 5, 10), 9, True),
        (scores(1, 5, 14), 8, False),  # three grades away, of few
        (scores(1, 5, 15), 8, True),
        (scores(1, 4, 10), 8, True),  # four grades away
        (scores(1, 4, 24), 9, True),  # nobody gave the highest grade
        (scores(2, 4, 24), 9, True),
        (scores(1, 6, 24), 8, False),
        (scores(1, 6, 24), 9, True),
        (scores(1, 7, 28), 9, False),
        (np.array([1, 5] * 12), 9, False),  # the others have gaps as wide
        (scores(0, 10, 24), 9, False),
        (scores(0, 5, 40, step=0.5), 9, True),
    ],
)
def test_a_grade_that_is_a_missing_code_too_is_one_if_it_is_isolated(others, code, is_off):
    for n_codes in (1, len(others)):  # not rated nearly as often as rated
        mixed = np.concatenate([others, np.full(n_codes, float(code))])
        assert (off_scale(mixed) is not None) is is_off
    assert off_scale(np.concatenate([others, np.full(len(others) + 1, float(code))])) is None


def _study(rng, low, high):
    """Five subjects' ratings of five clips, whose quality covers much or little of the scale."""
    width, spread = high - low, rng.choice([0.9, 0.6, 0.35])
    centre = low + width * rng.uniform(spread / 2, 1 - spread / 2)
    quality = centre + width * spread * rng.uniform(-0.5, 0.5, 5)
    noise = rng.normal(0, 0.08, (5, 1)) + rng.normal(0, 0.15, (5, 5))
    return np.clip(np.round(quality + width * noise), low, high).ravel()


@pytest.mark.parametrize("code", [8, 9])
@pytest.mark.parametrize("n_codes", [1, 6])
def test_missing_codes_of_simulated_studies_are_found(code, n_codes):
    rng, missed = np.random.default_rng(1), 0
    for _ in range(300):
        ratings = _study(rng, 1, 5)
        ratings[rng.choice(25, n_codes, replace=False)] = code
        missed += off_scale(ratings) is None
    assert missed <= 12


@pytest.mark.parametrize("scale", [(1, 5), (1, 7), (1, 9), (0, 10), (1, 10), (0, 100)])
def test_simulated_studies_on_wider_scales_are_not_refused(scale):
    rng = np.random.default_rng(2)
    assert sum(off_scale(_study(rng, *scale)) is not None for _ in range(300)) <= 4


@pytest.mark.parametrize(
    ("values", "is_off"),
    [
        ([1, 2, 1, 2, 10], False),  # nothing says that the scale ends at 5
        ([1, 2, 1, 2, 60], False),
        ([1, 5, 3, 4, 2, 60], True),
        ([1, 5, 3, 4, 2, 7], False),  # a scale to 7 or 10
        ([*scores(1, 5, 49), 7], False),
        ([*scores(1, 5, 50), 7], True),
        ([*scores(1, 5, 99), 10, 10], False),
        ([*scores(1, 5, 100), 10, 10], True),
        ([*scores(0, 100), 500], True),
        ([*scores(20, 80), 500], True),
        ([*scores(2, 4, 11), 55], False),
        ([*scores(2, 4, 12), 55], True),
        ([*scores(2, 4, 400), 7], False),
        ([-1, 2, 1], False),  # a scale around 0
        ([-1, 2, 4], True),
        ([*scores(1, 3, 19), -1], False),
        ([*scores(1, 3, 20), -1], True),
        ([*scores(1, 3, 20), 0, -1], False),
        ([1, 2, -1, -1], False),
        ([1, 2, -1, -1, -1], True),
    ],
)
def test_small_honest_tables_are_not_refused(values, is_off):
    assert (off_scale(np.array(values, float)) is not None) is is_off


def test_a_declared_scale_is_exact():
    values = scores(1, 5)
    assert check_scale(values, range(200), (1, 5), "r").declared
    with pytest.raises(RatingsError, match=r"40 of 200 scores are off the declared scale 1 … 4"):
        check_scale(values, range(200), (1, 4), "r")
    assert check_scale(np.append(values, -1.0), range(201), (-1, 5), "r").low == -1


def off(others, apart, n_others=4):
    """The names off the scale, of some with the scores `others` and a last one with `apart`."""
    codes = np.repeat(np.arange(n_others), len(others))
    values = np.concatenate([np.tile(others, n_others), apart])
    result = names_off_scale(
        values, np.append(codes, [n_others] * len(apart)).astype(np.int64), n_others + 1
    )
    return None if result is None else result[1].tolist()


@pytest.mark.parametrize(
    ("others", "apart", "is_off"),
    [
        ([1, 3, 5], [6.1, 40], True),  # more than a grade beyond the end
        ([1, 3, 5], [6, 40], False),
        ([1, 3, 5], [5, 40], False),  # not all of them
        ([1, 3, 5], [-0.1, -3], True),
        ([1, 3, 5], [0, -3], False),
        ([0, 55, 100], [110.5], True),  # a tenth of the scale
        ([0, 55, 100], [110], False),
    ],
)
def test_a_name_whose_scores_are_all_off_the_scale_of_the_others(others, apart, is_off):
    assert off(others, apart) == ([4] if is_off else None)
    assert off(others, apart, n_others=3) is None  # too few names to tell


@pytest.mark.parametrize(
    ("others", "apart", "clip", "subject"),
    [
        ([1, 3, 5], [8, 9, 8], False, True),  # a clip may be better; a subject rates the same clips
        ([1, 3, 5], [8, 9], False, False),
        ([1, 3, 4], [38, 41, 44], True, True),
        ([1, 3, 4], [8, 9, 8], False, True),
        ([2, 30, 44], [95, 90, 99], False, False),
    ],
)
def test_what_is_evidence_that_a_name_is_off_the_scale(others, apart, clip, subject):
    codes = np.append(np.repeat(np.arange(4), len(others)), [4] * len(apart)).astype(np.int64)
    values = np.concatenate([np.tile(others, 4), apart]).astype(float)
    assert (names_off_scale(values, codes, 5) is not None) is clip
    assert (names_off_scale(values, codes, 5, people=True) is not None) is subject


def test_up_to_a_fifth_of_the_names_can_be_off_the_scale():
    def found(n_off, n):
        values = np.concatenate([np.tile([1.0, 5.0], n - n_off), np.tile([30.0, 40.0], n_off)])
        scale_and_names = names_off_scale(values, np.repeat(np.arange(n), 2), n)
        return None if scale_and_names is None else scale_and_names[1].tolist()

    assert found(2, 10) == [8, 9]
    assert found(3, 15) == [12, 13, 14]
    assert found(3, 14) is None
