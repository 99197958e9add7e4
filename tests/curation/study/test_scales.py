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


def test_both_sides_of_the_share_of_missing_codes():
    assert off_scale(np.concatenate([scores(1, 5, 50), scores(99, 99, 50)])) is not None
    assert off_scale(np.concatenate([scores(1, 5, 49), scores(99, 99, 51)])) is None


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
    found = names_off_scale(
        values, np.append(codes, [n_others] * len(apart)).astype(np.int64), n_others + 1
    )
    return None if found is None else found[1].tolist()


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


def test_up_to_a_fifth_of_the_names_can_be_off_the_scale():
    def found(n_off, n):
        values = np.concatenate([np.tile([1.0, 5.0], n - n_off), np.tile([30.0, 40.0], n_off)])
        scale_and_names = names_off_scale(values, np.repeat(np.arange(n), 2), n)
        return None if scale_and_names is None else scale_and_names[1].tolist()

    assert found(2, 10) == [8, 9]
    assert found(3, 15) == [12, 13, 14]
    assert found(3, 14) is None
