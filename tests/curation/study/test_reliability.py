"""Reliability of opinion scores, against values worked by hand and published ones."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theval_datasets.curation.study.panel import Panel
from theval_datasets.curation.study.parameters import StudyParameters
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.reliability import (
    complete_matrix,
    icc_2k,
    reliability,
    sos_exponent,
    split_half,
)
from theval_datasets.curation.study.study import run_study

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Table 2 of Shrout and Fleiss (1979): ICC(2,1) 0.29, ICC(2,4) 0.62."""


def panel(matrix) -> Panel:
    return Ratings.from_matrix(np.asarray(matrix, float)).panel()


def made(n=60, k=12, noise=0.8, seed=0):
    rng = np.random.default_rng(seed)
    quality = rng.uniform(1, 5, n)
    return np.clip(np.round(quality[:, None] + rng.normal(0, noise, (n, k))), 1, 5)


def test_the_example_of_shrout_and_fleiss():
    icc, low, high = icc_2k(SHROUT_FLEISS)
    assert round(icc, 4) == 0.6201
    # McGraw and Wong's interval of ICC(2,1), [0.0188, 0.7611], stepped up to four subjects.
    assert [round(low, 2), round(high, 2)] == [0.07, 0.93]


def test_icc_by_its_variance_components():
    """With clip, subject and error variances known, ICC(2,k) is c / (c + (s + e) / k)."""
    rng = np.random.default_rng(1)
    n, k = 4000, 40
    matrix = rng.normal(0, 1.0, (n, 1)) + rng.normal(0, 0.5, (1, k)) + rng.normal(0, 2.0, (n, k))
    subjects = matrix.mean(axis=0).var(ddof=1)
    icc, low, high = icc_2k(matrix)
    assert icc == pytest.approx(1 / (1 + (subjects + 4.0) / k), abs=0.01)
    assert low < icc < high


def test_icc_counts_constant_offsets_of_subjects_as_disagreement():
    agreed = np.tile(np.arange(5.0)[:, None], 3)
    assert icc_2k(agreed)[0] == pytest.approx(1)
    shifted, low, high = icc_2k(agreed + np.array([0.0, 1.0, 2.0]))
    assert shifted == pytest.approx(2.5 / (2.5 + 1 / 3))  # 7.5 / (7.5 + 5 / 5)
    assert low is None
    assert high is None


def test_icc_without_variance_is_undefined():
    assert icc_2k(np.full((4, 3), 2.0)) == (None, None, None)


def exact_icc_2k(matrix):
    """ICC(2,k) by rational arithmetic; None where the estimated variances have no ratio at most 1."""
    n, k = matrix.shape
    values = [[Fraction(int(v)) for v in row] for row in matrix]
    of_clips = [sum(row) / k for row in values]
    of_subjects = [sum(column) / n for column in zip(*values, strict=True)]
    mean = sum(of_clips) / n
    rows = k * sum((m - mean) ** 2 for m in of_clips) / (n - 1)
    columns = n * sum((m - mean) ** 2 for m in of_subjects) / (k - 1)
    rest = sum(
        (values[i][j] - of_clips[i] - of_subjects[j] + mean) ** 2
        for i in range(n)
        for j in range(k)
    )
    error = rest / ((n - 1) * (k - 1))
    below = rows + (columns - error) / n
    return (rows - error) / below if below > 0 and rows > 0 else None


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(2, 6), st.integers(2, 6)), elements=st.integers(1, 5))
)
def test_icc_of_any_panel_is_at_most_one_or_undefined(matrix):
    exact = exact_icc_2k(matrix)
    icc, low, high = icc_2k(matrix.astype(float))
    if exact is None:
        assert (icc, low, high) == (None, None, None)
        return
    assert icc <= 1 + 1e-12
    assert icc == pytest.approx(float(exact), rel=1e-9, abs=1e-9)
    assert all(end is None or end <= 1 + 1e-12 for end in (low, high))


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 5], [5, 1]],  # no variance between clips
        [[1, 5], [5, 2]],  # the plain ratio is 1.9
        [[5, 1, 5], [1, 4, 3], [5, 2, 5], [4, 5, 1], [4, 5, 1]],  # 117
    ],
)
def test_subjects_who_contradict_each_other_have_no_icc(matrix):
    scores = panel(matrix)
    agreement = reliability(scores, scores, np.ones(len(matrix[0]), bool), (1, 5))
    assert (agreement.icc2k, agreement.icc2k_low, agreement.icc2k_high) == (None, None, None)
    assert "contradict" in agreement.reasons["icc2k"]


@pytest.mark.parametrize("factor", [0.001, 1.0, 1000.0])
def test_an_estimated_variance_of_zero_is_recognised_on_any_scale(factor):
    """The ratio of this panel has exactly 0 under its fraction, which rounds to anything."""
    matrix = np.array(
        [[1, 3, 5], [2, 5, 2], [5, 2, 3], [2, 2, 5], [5, 1, 5], [5, 2, 3], [3, 4, 3]], float
    )
    assert exact_icc_2k(matrix) is None
    assert icc_2k(matrix * factor) == (None, None, None)


def test_without_a_scale_the_exponent_is_that_of_the_ratings_range():
    scores = panel([[1, 2, 3], [2, 4, 3], [7, 6, 7]])
    agreement = reliability(scores, scores, np.ones(3, bool), None)
    assert agreement.sos == pytest.approx(sos_exponent(scores, 1, 7))
    assert agreement.sos != pytest.approx(sos_exponent(scores, 0, 7))


def test_an_interval_that_is_open_below_has_a_reason():
    scores = panel([[3, 5], [4, 1], [4, 2]])
    agreement = reliability(scores, scores, np.ones(2, bool), (1, 5))
    assert agreement.icc2k == pytest.approx(-14 / 3)
    assert agreement.icc2k_low is None
    assert agreement.icc2k < agreement.icc2k_high < 1
    assert "open below" in agreement.reasons["icc2k_low"]
    assert "icc2k_low is undefined" in agreement.to_text()


def test_an_interval_without_an_error_to_estimate_has_a_reason():
    scores = panel(np.arange(5.0)[:, None] + np.array([0.0, 1.0, 2.0]))
    agreement = reliability(scores, scores, np.ones(3, bool), None)
    assert agreement.icc2k == pytest.approx(2.5 / (2.5 + 1 / 3))
    assert set(agreement.reasons) == {"icc2k_low", "icc2k_high"}


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(3, 8), st.integers(2, 6)), elements=st.integers(1, 5))
)
def test_split_half_of_any_panel_is_between_minus_one_and_one(matrix):
    value = split_half(panel(matrix))
    assert value is None or -1 - 1e-12 <= value <= 1 + 1e-12


def test_the_size_of_a_negative_split_half_is_stepped_up():
    """Two subjects whose correlation is -1/2 by hand, and -1."""
    assert split_half(panel([[1, 2], [2, 3], [3, 1]])) == pytest.approx(-2 / 3)
    assert split_half(panel([[1, 3], [2, 2], [3, 1]])) == pytest.approx(-1)


def test_split_half_is_stepped_up():
    """Two subjects: every split is the one against the other."""
    matrix = made(k=2)
    r = np.corrcoef(matrix.T)[0, 1]
    assert split_half(panel(matrix)) == pytest.approx(2 * r / (1 + r))


def test_split_half_of_parallel_subjects_is_near_the_consistency_of_their_mean():
    matrix = made(n=400, k=20)
    n, k = matrix.shape
    rows = k * matrix.mean(axis=1).var(ddof=1)
    rest = matrix - matrix.mean(axis=1, keepdims=True) - matrix.mean(axis=0) + matrix.mean()
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    assert split_half(panel(matrix)) == pytest.approx((rows - error) / rows, abs=0.005)


def test_split_half_over_incomplete_designs():
    """The same draws, by loops over subjects."""
    matrix = made(n=30, k=7)
    matrix[np.random.default_rng(3).random(matrix.shape) < 0.2] = np.nan
    generator = np.random.default_rng(0)
    values = []
    for _ in range(100):
        half = generator.permutation(7)[:3]
        others = [subject for subject in range(7) if subject not in half]
        with np.errstate(invalid="ignore"):
            means = [np.nansum(matrix[:, s], axis=1) / np.isfinite(matrix[:, s]).sum(axis=1)
                     for s in (half, others)]  # fmt: skip
        both = np.isfinite(means[0]) & np.isfinite(means[1])
        r = np.corrcoef(means[0][both], means[1][both])[0, 1]
        values.append(2 * r / (1 + r))
    assert split_half(panel(matrix)) == pytest.approx(np.mean(values))


def test_the_sos_exponent_spans_its_range():
    assert sos_exponent(panel([[1, 1], [3, 3], [5, 5]]), 1, 5) == 0
    assert sos_exponent(panel([[1, 5], [1, 5]]), 1, 5) == pytest.approx(1)
    # One clip of mean 2 on 1 … 5: variance 1 of at most (2 - 1) (5 - 2) = 3.
    assert sos_exponent(panel([[1, 3], [5, 5]]), 1, 5) == pytest.approx(1 / 3)
    assert sos_exponent(panel([[1, 1], [5, 5]]), 1, 5) is None


def test_clips_that_somebody_did_not_rate_are_left_out_of_the_icc():
    matrix = made(n=10, k=4)
    matrix[3, 1] = np.nan
    assert complete_matrix(panel(matrix)).shape == (9, 4)
    every = np.ones(4, bool)
    agreement = reliability(panel(matrix), panel(matrix), every, (1, 5))
    assert agreement.n_clips == 9
    assert agreement.icc2k == icc_2k(np.delete(matrix, 3, axis=0))[0]


def test_undefined_values_have_a_reason():
    matrix = np.full((4, 4), np.nan)
    matrix[range(4), range(4)] = [1, 2, 3, 4]  # everybody rated another clip
    agreement = reliability(panel(matrix), panel(matrix), np.ones(4, bool), (1, 5))
    assert (agreement.icc2k, agreement.split_half, agreement.sos) == (None, None, None)
    assert set(agreement.reasons) == {"icc2k", "split_half", "sos"}
    assert "sos is undefined: no clip with two ratings" in agreement.to_text()


def test_a_study_has_the_reliability_of_its_retained_subjects():
    matrix = made(n=80, k=12)
    matrix[:, 11] = 6 - matrix[:, 11]  # one who turns the scale round
    result = run_study(Ratings.from_matrix(matrix), StudyParameters(screen="pearson"))
    assert result.rejected == ("s0011",)
    agreement = result.reliability["quality"]
    assert agreement.n_subjects == 11
    assert agreement.icc2k == pytest.approx(icc_2k(matrix[:, :11])[0])
    assert agreement.icc2k > icc_2k(matrix)[0]
