"""Screening: the golden variants, ties decided exactly, and the repaired pathologies."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from theval_datasets.curation.study.parameters import StudyParameters, preset
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.scaling import scaled
from theval_datasets.curation.study.screening import (
    bt500,
    by_correlation,
    panel_correlation,
    screen,
)
from theval_datasets.curation.study.tables import read_ratings


@pytest.mark.real
@pytest.mark.parametrize("study", ["nflx_public", "bt500_sample"])
def test_every_variant_rejects_the_golden_subjects(shared_data: Path, study):
    golden = json.loads((shared_data / "golden" / "bt500_variants.json").read_text())[study]
    panel = read_ratings(shared_data / "golden" / f"ratings_{study}.csv").panel()
    variants = [name for name in golden if "|" in name]
    assert len(variants) == 24
    for name in variants:
        scale, ddof, denominator, skip = name.split("|")
        parameters = StudyParameters(
            screen_on=scale,
            sd_ddof=int(ddof[-1]),
            denominator=denominator,
            skip_zero_variance=skip.endswith("True"),
        )
        screening = screen(scaled(panel, parameters.screen_on, parameters), parameters)
        assert np.flatnonzero(screening.rejected).tolist() == golden[name], name


@pytest.mark.real
def test_counts_equal_those_of_exact_arithmetic(shared_data: Path):
    golden = json.loads((shared_data / "golden" / "bt500_exact_counts.json").read_text())
    panel = read_ratings(shared_data / "golden" / "ratings_nflx_public.csv").panel()
    for ddof in (0, 1):
        wanted = golden["nflx_public"][f"ddof{ddof}"]
        screening = bt500(panel, sd_ddof=ddof, skip_zero_variance=False)
        skipped = bt500(panel, sd_ddof=ddof)
        counts = [(np.array(f.above), np.array(f.below)) for f in (screening, skipped)]
        assert any(
            above.tolist() == wanted["P"] and below.tolist() == wanted["Q"]
            for above, below in counts
        )


def exact_counts(matrix, ddof):
    """P and Q by rational arithmetic: (x - mean)^2 against k^2 times the variance."""
    above, below = np.zeros(matrix.shape[1], int), np.zeros(matrix.shape[1], int)
    for row in matrix:
        values = [Fraction(int(v)) for v in row]
        n = len(values)
        mean = sum(values) / n
        squares = [(v - mean) ** 2 for v in values]
        if not any(squares):
            continue
        m2, m4 = sum(squares) / n, sum(s * s for s in squares) / n
        factor = 4 if 2 <= m4 / (m2 * m2) <= 4 else 20
        limit = factor * sum(squares) / (n - ddof)
        for subject, (value, square) in enumerate(zip(values, squares, strict=True)):
            if square >= limit:
                above[subject] += value > mean
                below[subject] += value < mean
    return above, below


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, (6, 8), elements=st.integers(1, 5)), st.sampled_from([0, 1]))
def test_integer_ratings_are_decided_exactly(matrix, ddof):
    screening = bt500(Ratings.from_matrix(matrix.astype(float)).panel(), sd_ddof=ddof)
    above, below = exact_counts(matrix, ddof)
    assert screening.above.tolist() == above.tolist()
    assert screening.below.tolist() == below.tolist()


def test_a_rating_exactly_on_the_limit_counts():
    row = np.array([1.0] + [3.0] * 6 + [5.0])  # mean 3, variance 1 (ddof 0), kurtosis 4, 5 = 3 + 2σ
    screening = bt500(Ratings.from_matrix(row[None, :]).panel(), sd_ddof=0)
    assert screening.above.tolist() == [0] * 7 + [1]
    assert screening.below.tolist() == [1] + [0] * 7


@pytest.mark.real
def test_unanimous_clips_count_for_nobody(shared_data: Path):
    golden = json.loads((shared_data / "golden" / "bt500_unanimous_case.json").read_text())
    matrix = np.load(shared_data / "golden" / "bt500_unanimous_case.npz")["x"]
    panel = Ratings.from_matrix(matrix).panel()
    ours, theirs = screen(panel, preset("bt500")), screen(panel, preset("sureal"))
    assert theirs.rejected.tolist() == golden["sureal_rejected"]
    assert ours.rejected.tolist() == golden["expected_rejected_skip_zero_var"]
    assert (theirs.above - bt500(panel, sd_ddof=0).above == 6).all()  # six unanimous clips


def test_unanimity_can_make_the_reference_reject_whom_we_keep():
    rng = np.random.default_rng(1)
    matrix = rng.choice([2.0, 3.0, 4.0], size=(40, 10))
    matrix[:8] = 5.0
    panel = Ratings.from_matrix(matrix).panel()
    assert bt500(panel, sd_ddof=0, skip_zero_variance=False).all_kept
    assert bt500(panel, sd_ddof=0, skip_zero_variance=False).above.min() >= 8
    assert bt500(panel).share.max() < 0.05


@pytest.mark.real
def test_partial_designs_are_judged_by_what_was_rated(shared_data: Path):
    golden = json.loads((shared_data / "golden" / "bt500_partial_case.json").read_text())
    panel = Ratings.from_matrix(np.load(shared_data / "golden" / "bt500_partial_case.npz")["x"])
    panel = panel.panel()
    theirs = screen(panel, preset("sureal"))
    rated = bt500(panel, sd_ddof=0)
    presented = bt500(panel, sd_ddof=0, denominator="presentations")
    np.testing.assert_allclose(presented.share, golden["r1_presentations"], atol=1e-12)
    np.testing.assert_allclose(rated.share, golden["r1_rated"], atol=1e-12)
    assert theirs.rejected.tolist() == golden["sureal_rejected"]
    assert rated.rejected.tolist() == golden["rated_denominator_rejected"]


def test_a_sparse_rater_is_caught_only_by_the_rated_denominator():
    rng = np.random.default_rng(3)
    matrix = rng.uniform(2, 4, (200, 20))
    matrix[:, 0] = np.nan
    matrix[:10, 0] = [1.2, 4.8, 1.2, 4.8, 3, 3, 3, 3, 3, 3]
    panel = Ratings.from_matrix(matrix).panel()
    assert bt500(panel).rejected[0]
    assert not bt500(panel, denominator="presentations").rejected[0]


def test_if_everybody_would_go_nobody_goes():
    matrix = np.array([[1.0, 5.0], [5.0, 1.0]] * 20)
    screening = by_correlation(Ratings.from_matrix(np.hstack([matrix, matrix[::-1]])).panel())
    assert not screening.rejected.all()


def test_a_subject_without_variance_neither_moves_the_limit_nor_goes():
    rng = np.random.default_rng(2)
    matrix = rng.normal(0, 1, (50, 1)) + rng.normal(0, 0.3, (50, 8))
    matrix[:, 3] = 2.5
    screening = by_correlation(Ratings.from_matrix(matrix).panel())
    assert np.isnan(screening.share[3])
    assert not screening.rejected[3]
    assert np.isfinite(screening.threshold)


def test_screening_without_tolerance_decides_as_plain_arithmetic():
    matrix = np.round(np.random.default_rng(4).normal(3, 1, (40, 30)), 2)
    matrix[:4] = 3.0  # on both limits, for everybody
    mean, sigma = matrix.mean(axis=1, keepdims=True), matrix.std(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        kurtosis = ((matrix - mean) ** 4).mean(axis=1, keepdims=True) / sigma**4
    width = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, np.sqrt(20)) * sigma
    screening = bt500(
        Ratings.from_matrix(matrix).panel(), sd_ddof=0, skip_zero_variance=False, tie_tolerance=0
    )
    assert screening.above.tolist() == (matrix >= mean + width).sum(axis=0).tolist()
    assert screening.below.tolist() == (matrix <= mean - width).sum(axis=0).tolist()


@pytest.mark.parametrize(
    "counts",  # of the ratings 1 … 5
    [
        (1, 4, 2, 0, 13),  # kurtosis 2, and one rating beyond 2σ
        (13, 0, 2, 4, 1),
        (1, 2, 10, 2, 1),  # kurtosis 4
        (0, 0, 2, 12, 2),
        (1, 3, 2, 0, 14),  # above 2
        (1, 4, 2, 0, 12),  # below 2
        (1, 2, 11, 2, 1),  # above 4
        (1, 2, 9, 2, 1),  # below 4
    ],
)
@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize(
    ("factor", "shift", "tolerance"),
    [(1.0, 0.0, 1e-9), (0.01, 3.0, 1e-9), (1000.0, -7.0, 1e-9), (1.0, 0.0, 0.0)],
)
def test_the_borders_of_kurtosis_are_decided_exactly_on_any_scale(
    counts, ddof, factor, shift, tolerance
):
    matrix = np.repeat(np.arange(1, 6), counts)[None, :]
    scores = matrix.astype(float) * factor + shift
    panel = Ratings.from_matrix(scores).panel()
    screening = bt500(panel, sd_ddof=ddof, tie_tolerance=tolerance)
    above, below = exact_counts(matrix, ddof)
    assert screening.above.tolist() == above.tolist()
    assert screening.below.tolist() == below.tolist()


@pytest.mark.parametrize("tolerance", [0, 1e-9])
@pytest.mark.parametrize("ddof", [0, 1])
def test_a_clip_with_one_rating_counts_for_nobody(ddof, tolerance):
    nothing = np.nan
    panel = Ratings.from_matrix([[3.0, nothing], [nothing, 4.0], [1.0, 2.0]]).panel()
    screening = bt500(panel, sd_ddof=ddof, tie_tolerance=tolerance)
    assert screening.above.tolist() == screening.below.tolist() == [0, 0]


def test_deviations_have_one_degree_of_freedom_less_by_default():
    row = np.array([[1.0] + [3.0] * 6 + [5.0]])  # on the limits with ddof 0, inside with ddof 1
    panel = Ratings.from_matrix(row).panel()
    assert bt500(panel).above.sum() == 0
    assert bt500(panel, sd_ddof=0).above.sum() == 1


@pytest.mark.parametrize(("tolerance", "n"), [(0.06, 0), (0.07, 1)])
def test_the_tolerance_is_relative_to_the_limit(tolerance, n):
    row = np.array([[1.0] + [3.0] * 6 + [5.0]])  # 5 is 0.9354 of the limit above the mean (ddof 1)
    screening = bt500(Ratings.from_matrix(row).panel(), tie_tolerance=tolerance)
    assert screening.above.tolist() == [0] * 7 + [n]
    assert screening.below.tolist() == [n] + [0] * 7


def outliers(above, below, clips=100):
    """A panel whose first subject is far above the others on some clips, and far below on others."""
    matrix = np.tile([3.0] + [2.0, 4.0] * 20, (clips, 1))
    matrix[:above, 0], matrix[above : above + below, 0] = 100.0, -100.0
    return Ratings.from_matrix(matrix).panel()


@pytest.mark.parametrize(
    ("above", "below", "rejected"),
    [
        (3, 2, False),  # 5 % are not more than 5 %
        (3, 3, True),
        (13, 7, False),  # a balance of 0.3 is not below it
        (7, 13, False),
        (12, 8, True),
        (20, 0, False),
    ],
)
def test_both_limits_of_bt500_have_to_be_passed(above, below, rejected):
    screening = bt500(outliers(above, below))
    assert (screening.above[0], screening.below[0]) == (above, below)
    assert screening.share[0] == (above + below) / 100
    assert screening.balance[0] == abs(above - below) / (above + below)
    assert screening.rejected.tolist() == [rejected] + [False] * 40
    assert not screening.all_kept


def test_presentations_are_clips_times_repetitions():
    panel = outliers(3, 3, clips=60)
    once = bt500(panel, denominator="presentations")
    assert once.share[0] == 6 / 60
    clip, subject = np.tile(panel.clip, 2), np.tile(panel.subject, 2)
    repetition = np.repeat([0, 1], len(panel))
    twice = Ratings.from_arrays(
        [f"s{i:02d}" for i in subject], [f"c{i:02d}" for i in clip], np.tile(panel.score, 2),
        repetition=repetition,
    ).panel()  # fmt: skip
    assert bt500(twice, denominator="presentations").share[0] == 12 / 120


def correlated(noise):
    rng = np.random.default_rng(5)
    return rng.normal(0, 1, (40, 1)) + rng.normal(0, 1, (40, 9)) * np.array(noise)


@pytest.mark.parametrize(("last", "ceiling"), [(0.3, True), (20.0, False)])
def test_the_limit_of_correlations_is_one_deviation_below_their_mean_and_at_most_the_ceiling(
    last, ceiling
):
    matrix = correlated([0.2] * 8 + [last])
    r = np.array([np.corrcoef(column, matrix.mean(axis=1))[0, 1] for column in matrix.T])
    screening = by_correlation(Ratings.from_matrix(matrix).panel())
    wanted = 0.7 if ceiling else r.mean() - r.std()
    assert bool(r.mean() - r.std() > 0.7) is ceiling
    assert screening.threshold == pytest.approx(wanted)
    np.testing.assert_allclose(screening.share, r)
    assert screening.rejected.tolist() == (r <= wanted).tolist()
    assert (screening.above, screening.below) == (None, None)
    assert np.isnan(screening.balance).all()


@pytest.mark.parametrize(
    ("second", "r", "all_kept"),
    [([1.0, -1.0, -1.0, 1.0], np.sqrt(0.5), False), ([1.0, -2.0, -1.0, 2.0], np.sqrt(0.45), True)],
)
def test_a_correlation_on_the_limit_is_rejected(second, r, all_kept):
    """Two subjects of equal variance correlate equally with their mean: both are on the limit, or above it."""
    first = [2.0, -1.0, 1.0, -2.0] if all_kept else [1.0, 1.0, -1.0, -1.0]
    screening = by_correlation(Ratings.from_matrix(np.array([first, second]).T).panel())
    np.testing.assert_allclose(screening.share, [r, r])
    assert screening.all_kept is all_kept
    assert not screening.rejected.any()


def test_screening_follows_its_parameter():
    matrix = np.exp(3 * correlated([0.5] * 8 + [4.0]))
    panel = Ratings.from_matrix(matrix).panel()
    mean = matrix.mean(axis=1)
    wanted = {
        "pearson": [stats.pearsonr(column, mean).statistic for column in matrix.T],
        "spearman": [stats.spearmanr(column, mean).statistic for column in matrix.T],
    }
    for name, r in wanted.items():
        np.testing.assert_allclose(screen(panel, StudyParameters(screen=name)).share, r)
    by_default, nobody = (
        screen(panel, StudyParameters()),
        screen(panel, StudyParameters(screen=None)),
    )
    assert by_default.above.tolist() == bt500(panel).above.tolist()
    assert (nobody.above, nobody.share, nobody.rejected.any()) == (None, None, False)
    assert not nobody.all_kept


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, (7, 5), elements=st.integers(1, 3)), st.booleans())
def test_correlations_with_the_panel_are_those_of_scipy_whatever_is_missing(matrix, ranks):
    scores = matrix.astype(float)
    scores[matrix.T.ravel().reshape(7, 5) == 2] = np.nan  # about a third
    scores[0] = np.where(np.isnan(scores[0]), 1.0, scores[0])
    panel = Ratings.from_matrix(scores).panel()
    for leave_out in (False, True):
        ours = panel_correlation(panel, ranks=ranks, leave_out=leave_out)
        for subject, name in enumerate(panel.subjects):
            own = scores[:, int(name[1:])]
            rest = np.delete(scores, int(name[1:]), axis=1) if leave_out else scores
            with np.errstate(invalid="ignore"):
                mean = np.nansum(rest, axis=1) / np.isfinite(rest).sum(axis=1)
            both = np.isfinite(own) & np.isfinite(mean)
            x, y = own[both], mean[both]
            if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) < 1e-9:
                assert np.isnan(ours[subject])
            else:
                peer = stats.spearmanr if ranks else stats.pearsonr
                assert ours[subject] == pytest.approx(peer(x, y).statistic)
