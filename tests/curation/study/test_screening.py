"""Screening: the golden variants, ties decided exactly, and the repaired pathologies."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theval_datasets.curation.study.parameters import StudyParameters, preset
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.scaling import scaled
from theval_datasets.curation.study.screening import bt500, by_correlation, screen
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
