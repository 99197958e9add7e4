"""Scaling, rescaling, means and their properties."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theval_datasets.curation.study.mos import opinion_scores
from theval_datasets.curation.study.parameters import StudyParameters, preset, presets
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.scaling import (
    differential,
    map_means,
    mapped,
    scaled,
    subject_bias,
    zscores,
)
from theval_datasets.curation.study.screening import bt500
from theval_datasets.curation.study.tables import from_frame, read_ratings
from theval_datasets.errors import InputError, RatingsError

MAPS = {
    "z_mean": {"rescale": "none"},
    "pm3_0_100": {"rescale": "pm3", "range": (0, 100)},
    "pm3_0_5": {"rescale": "pm3", "range": (0, 5)},
    "pm3_0_5_clip": {"rescale": "pm3", "range": (0, 5), "clip": True},
    "minmax_z_0_5": {"rescale": "minmax_z", "range": (0, 5)},
    "minmax_mos_0_5": {"rescale": "minmax_mos", "range": (0, 5)},
    "per_subject_minmax_0_5": {"rescale": "minmax_subject", "range": (0, 5)},
}


def made(seed=0, clips=30, subjects=9):
    rng = np.random.default_rng(seed)
    quality = rng.normal(3, 0.8, (clips, 1))
    return np.clip(np.round(quality + rng.normal(0, 0.8, (clips, subjects))), 1, 5)


@pytest.mark.real
@pytest.mark.parametrize("study", ["nflx_public", "bt500_sample"])
def test_the_seven_maps_equal_the_golden_file(shared_data: Path, study):
    golden = json.loads((shared_data / "golden" / "zscore_pipelines.json").read_text())[study]
    panel = read_ratings(shared_data / "golden" / f"ratings_{study}.csv").panel()
    pipelines = [name for name in golden if "|" in name]
    assert len(pipelines) == 4
    for name in pipelines:
        scale, ddof = name.split("|")
        assert set(golden[name]["maps"]) == set(MAPS)
        for key, wanted in golden[name]["maps"].items():
            parameters = StudyParameters(
                scores="zscore", screen_on=scale, sd_ddof=int(ddof[-1]), **MAPS[key]
            )
            scores = opinion_scores(panel, parameters)
            assert np.flatnonzero(scores.screening.rejected).tolist() == golden[name]["rejected"]
            np.testing.assert_allclose(scores.mos, wanted, atol=1e-9, err_msg=f"{name} {key}")


def test_means_deviations_and_intervals_are_the_textbook_ones():
    matrix = made()
    scores = opinion_scores(
        Ratings.from_matrix(matrix).panel(), StudyParameters(screen=None, ci="t")
    )
    np.testing.assert_allclose(scores.mos, matrix.mean(1))
    np.testing.assert_allclose(scores.std, matrix.std(1, ddof=1))
    np.testing.assert_allclose(scores.ci95, stats.t.ppf(0.975, 8) * matrix.std(1, ddof=1) / 3)
    normal = opinion_scores(Ratings.from_matrix(matrix).panel(), StudyParameters(screen=None))
    np.testing.assert_allclose(normal.ci95, stats.norm.ppf(0.975) * matrix.std(1, ddof=1) / 3)


def test_defaults_are_those_that_the_page_of_parameters_states():
    wanted = {
        "screen": "bt500", "screen_on": "raw", "sd_ddof": 1, "denominator": "rated",
        "skip_zero_variance": True, "scores": "raw", "zscore_ddof": 1, "zscore_scope": "subject",
        "rescale": "none", "range": (0.0, 5.0), "clip": False, "ci": "normal", "vote_threshold": 0.5,
        "vote_subjects": "retained", "estimate": "mean", "degenerate": "error",
    }  # fmt: skip
    defaults = StudyParameters()
    assert {name: getattr(defaults, name) for name in wanted} == wanted
    assert defaults.ci_normal == stats.norm.ppf(0.975)


def test_a_map_of_means_stretches_deviations_and_intervals_alike():
    panel = Ratings.from_matrix(made()).panel()
    plain = opinion_scores(panel, StudyParameters(screen=None))
    mapped = opinion_scores(
        panel, StudyParameters(screen=None, rescale="minmax_mos", range=(10, 50))
    )
    factor = 40 / np.ptp(plain.mos)
    np.testing.assert_allclose(mapped.mos, 10 + (plain.mos - plain.mos.min()) * factor)
    for name in ("std", "sem", "ci95"):
        np.testing.assert_allclose(getattr(mapped, name), getattr(plain, name) * factor)
    np.testing.assert_allclose(plain.sem, plain.std / 3)


def test_what_is_screened_need_not_be_what_is_averaged():
    matrix = made(clips=60)
    matrix[:, 0] = 3 + (matrix[:, 0] - 3) / 100  # hardly uses the scale
    matrix[::7, 0] += np.tile([1.5, -1.5], 5)[:9]
    panel = Ratings.from_matrix(matrix).panel()
    for scores, screen_on in [("raw", "zscore"), ("zscore", "raw"), ("zscore", "zscore")]:
        parameters = StudyParameters(scores=scores, screen_on=screen_on)
        result = opinion_scores(panel, parameters)
        judged = panel.with_scores(zscores(panel)) if screen_on == "zscore" else panel
        averaged = panel.with_scores(zscores(panel)) if scores == "zscore" else panel
        wanted = bt500(judged)
        assert result.screening.share.tolist() == wanted.share.tolist()
        kept = averaged.keep(~wanted.rejected[panel.subject])
        np.testing.assert_allclose(result.mos, kept.clip_mean(kept.score))
    raw, z = bt500(panel), bt500(panel.with_scores(zscores(panel)))
    assert raw.share.tolist() != z.share.tolist()


@pytest.mark.parametrize("scores", ["raw", "bias_removed"])
def test_the_fit_is_the_likelihood_of_a_normal_distribution_around_each_mean(scores):
    matrix = made()
    matrix[3] = 4.0  # without variance: does not count
    panel = Ratings.from_matrix(matrix).panel()
    result = opinion_scores(panel, StudyParameters(screen=None, scores=scores))
    averaged = matrix - (matrix - matrix.mean(axis=1, keepdims=True)).mean(axis=0) * (
        scores == "bias_removed"
    )
    spread = averaged.std(axis=1, ddof=1) > 1e-12
    varied = averaged[spread]
    likelihood = stats.norm.logpdf(
        varied, varied.mean(axis=1, keepdims=True), varied.std(axis=1, ddof=1, keepdims=True)
    ).sum()
    n = matrix.size
    dof = (2 * len(matrix) + (matrix.shape[1] if scores == "bias_removed" else 0)) / n
    assert result.fit.loglikelihood == pytest.approx(likelihood / n)
    assert result.fit.dof == pytest.approx(dof)
    assert result.fit.aic == pytest.approx(2 * dof - 2 * likelihood / n)
    assert result.fit.bic == pytest.approx(np.log(n) * dof - 2 * likelihood / n)
    assert result.fit.iterations is None


def test_mapped_scores_have_no_fit():
    panel = Ratings.from_matrix(made()).panel()
    for rescale in ("minmax_mos", "minmax_subject"):
        assert opinion_scores(panel, StudyParameters(rescale=rescale)).fit is None


def test_one_rating_has_a_mean_and_no_interval():
    matrix = made()
    matrix[0, 1:] = np.nan
    scores = opinion_scores(
        Ratings.from_matrix(matrix).panel(), StudyParameters(screen=None, ci="t")
    )
    assert scores.mos[0] == matrix[0, 0]
    assert np.isnan(scores.std[0])
    assert np.isnan(scores.ci95[0])
    assert scores.n[0] == 1


def test_a_clip_whose_raters_all_went_is_undefined_not_gone():
    matrix = made(clips=60, subjects=12)
    matrix[:, 0] = np.tile([1.0, 5.0], 30)
    matrix[0, 1:] = np.nan
    panel = Ratings.from_matrix(matrix).panel()
    scores = opinion_scores(panel, preset("bt500"))
    assert scores.screening.rejected.tolist() == [True] + [False] * 11
    assert len(scores.mos) == 60
    assert np.isnan(scores.mos[0])
    assert scores.n[0] == 0
    assert np.isfinite(scores.mos[1:]).all()


def test_p913_removes_the_bias_before_it_screens():
    matrix = made(clips=60)
    shifted = matrix + np.linspace(-1, 1, 9)
    panel = Ratings.from_matrix(shifted).panel()
    scores = opinion_scores(panel, preset("p913"))
    np.testing.assert_allclose(scores.bias, subject_bias(panel))
    again = panel.with_scores(panel.score - scores.bias[panel.subject])
    np.testing.assert_allclose(subject_bias(again), 0, atol=1e-12)


def test_sessions_are_standardised_apart():
    names = [f"s{i % 3}" for i in range(60)]
    clips = [f"c{i // 3:02d}" for i in range(60)]
    session = ["a" if i < 30 else "b" for i in range(60)]
    score = np.random.default_rng(0).normal(0, 1, 60) + np.repeat([0.0, 10.0], 30)
    panel = Ratings.from_arrays(names, clips, score, session=session).panel()
    z = zscores(panel, scope="session")
    for subject in range(3):
        for part in range(2):
            rows = (panel.subject == subject) & (panel.session == part)
            assert z[rows].mean() == pytest.approx(0, abs=1e-12)
            assert z[rows].std(ddof=1) == pytest.approx(1)


def test_subjects_without_variance_are_an_error_a_rejection_or_kept():
    matrix = made()
    matrix[:, 2] = 3.0
    panel = Ratings.from_matrix(matrix).panel()
    with pytest.raises(RatingsError, match=r"'s0002' \(30 ratings, all the same\)"):
        opinion_scores(panel, preset("bt500"))
    rejected = opinion_scores(panel, StudyParameters(screen=None, degenerate="reject"))
    np.testing.assert_allclose(rejected.mos, np.delete(matrix, 2, axis=1).mean(1))
    assert rejected.screening.rejected[2]
    kept = opinion_scores(panel, StudyParameters(screen=None, degenerate="keep"))
    np.testing.assert_allclose(kept.mos, matrix.mean(1))
    with pytest.raises(RatingsError, match="no z-score"):
        opinion_scores(panel, StudyParameters(scores="zscore", degenerate="keep"))


def test_a_single_rating_names_the_subject():
    matrix = made()
    matrix[1:, 4] = np.nan
    with pytest.raises(RatingsError, match=r"'s0004' \(one rating\)"):
        opinion_scores(Ratings.from_matrix(matrix).panel(), preset("bt500"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"range": (5, 0)}, "low to high"),
        ({"clip": True}, "rescale"),
        ({"range": (5, 5)}, "low to high"),
        ({"estimate": "projection"}, "screen=None"),
        ({"estimate": "newton", "screen": None, "rescale": "minmax_z"}, "screen=None"),
        ({"rescale": "pm3"}, "scores='raw': use scores='zscore'"),
        ({"rescale": "pm3", "scores": "bias_removed"}, "z-scores from -3 to 3"),
        ({"vote_threshold": -0.1}, "threshold"),
        ({"vote_threshold": 1.0}, "threshold"),
        ({"tie_tolerance": -1.0}, "tolerance"),
    ],
)
def test_contradicting_parameters_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        StudyParameters(**fields)


# -- properties -----------------------------------------------------------------------------------

SEEDS = st.integers(0, 10_000)
ALL_PRESETS = st.sampled_from(sorted(presets()))


@settings(max_examples=30, deadline=None)
@given(SEEDS, ALL_PRESETS)
def test_the_order_of_rows_changes_nothing_at_all(seed, name):
    matrix = made(seed)
    clip, subject = np.indices(matrix.shape).reshape(2, -1)
    names = np.array([f"c{i}" for i in clip]), np.array([f"s{i}" for i in subject])
    order = np.random.default_rng(seed).permutation(len(clip))
    parameters = preset(name)
    straight = Ratings.from_arrays(names[1], names[0], matrix.ravel()).panel()
    shuffled = Ratings.from_arrays(names[1][order], names[0][order], matrix.ravel()[order]).panel()
    first, second = opinion_scores(straight, parameters), opinion_scores(shuffled, parameters)
    for field in ("mos", "std", "ci95", "n"):
        assert np.array_equal(getattr(first, field), getattr(second, field), equal_nan=True)
    assert np.array_equal(first.screening.rejected, second.screening.rejected)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(-50, 50), st.floats(0.1, 20), st.integers(0, 8))
def test_shifting_or_scaling_a_subject_changes_no_z(seed, shift, factor, subject):
    matrix = made(seed)
    changed = matrix.copy()
    changed[:, subject] = changed[:, subject] * factor + shift
    before = zscores(Ratings.from_matrix(matrix).panel())
    after = zscores(Ratings.from_matrix(changed).panel())
    np.testing.assert_allclose(after, before, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["pm3", "minmax_z", "minmax_subject", "minmax_mos"]))
def test_clipped_scores_stay_in_the_range(seed, rescale):
    parameters = StudyParameters(scores="zscore", rescale=rescale, range=(10, 20), clip=True)
    mos = opinion_scores(Ratings.from_matrix(made(seed)).panel(), parameters).mos
    assert mos.min() >= 10 - 1e-9
    assert mos.max() <= 20 + 1e-9


def test_scaled_raw_is_the_panel_itself():
    panel = Ratings.from_matrix(made()).panel()
    assert scaled(panel, "raw", StudyParameters()) is panel


@pytest.mark.parametrize(
    ("rescale", "clip", "wanted"),
    [  # by hand, of the z-scores -3 … 3 of one subject and -1, 0, 1 of another
        ("pm3", False, [[10, 40 / 3], [15, 15], [20, 50 / 3]]),
        ("minmax_z", False, [[10, 40 / 3], [15, 15], [20, 50 / 3]]),
        ("minmax_subject", False, [[10, 10], [15, 15], [20, 20]]),
    ],
)
def test_maps_by_hand(rescale, clip, wanted):
    raw = Ratings.from_matrix([[1, 1], [3, 2], [5, 3]]).panel()
    z = raw.with_scores(np.array([-3.0, -1.0, 0.0, 0.0, 3.0, 1.0]))
    parameters = StudyParameters(scores="zscore", rescale=rescale, range=(10, 20), clip=clip)
    np.testing.assert_allclose(mapped(z, raw, parameters).reshape(3, 2), wanted)


@pytest.mark.parametrize(("clip", "wanted"), [(False, [9, 15, 21]), (True, [10, 15, 20])])
def test_clipping_cuts_what_leaves_the_range(clip, wanted):
    panel = Ratings.from_matrix([[1], [2], [3]]).panel().with_scores(np.array([-3.6, 0, 3.6]))
    parameters = StudyParameters(scores="zscore", rescale="pm3", range=(10, 20), clip=clip)
    np.testing.assert_allclose(mapped(panel, panel, parameters), wanted)


@pytest.mark.parametrize("ddof", [0, 1])
def test_z_scores_are_those_of_scipy(ddof):
    matrix = made()
    z = zscores(Ratings.from_matrix(matrix).panel(), ddof=ddof)
    np.testing.assert_allclose(z.reshape(matrix.shape), stats.zscore(matrix, ddof=ddof))
    by_parameter = scaled(
        Ratings.from_matrix(matrix).panel(), "zscore", StudyParameters(zscore_ddof=ddof)
    )
    assert by_parameter.score.tolist() == z.tolist()
    assert zscores(Ratings.from_matrix(matrix).panel()).std() == pytest.approx(
        np.sqrt((len(matrix) - 1) / len(matrix))
    )


def test_a_flat_session_of_one_subject_is_named():
    names, sessions = ["a", "a", "b", "b"] * 2, ["x"] * 4 + ["y"] * 4
    clips = ["1", "2", "1", "2", "3", "4", "3", "4"]
    ratings = Ratings.from_arrays(names, clips, [1, 2, 3, 4, 1, 2, 5, 5], session=sessions)
    with pytest.raises(RatingsError, match=r"1 sessions .* first of subject 'b' \(2 ratings\)"):
        zscores(ratings.panel(), scope="session")
    zscores(ratings.panel())  # b's ratings differ between sessions


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_subject_with_one_rating_has_no_z_score(ddof):
    panel = Ratings.from_matrix([[1, 3], [2, np.nan]]).panel()
    with pytest.raises(RatingsError, match=r"1 subjects .* 's0001' \(1 ratings\)"):
        zscores(panel, ddof=ddof)


def test_a_map_of_what_does_not_vary_is_refused_whoever_it_is():
    parameters = StudyParameters(rescale="minmax_subject")
    panel = Ratings.from_matrix([[1, 3], [2, 3]]).panel()
    with pytest.raises(RatingsError, match="every rating of a subject is the same"):
        mapped(panel, panel, parameters)
    narrow = Ratings.from_matrix([[0.1, 0.0], [0.2, 0.5], [0.3, 1.0]]).panel()
    assert mapped(narrow, narrow, parameters).tolist() == pytest.approx([0, 0, 2.5, 2.5, 5, 5])


def test_differential_scores_by_hand():
    table = pl.DataFrame(
        {
            "clip_id": ["a0", "a1", "a0", "a1", "b0", "b1", "b0", "b1"],
            "subject": ["s", "s", "t", "t"] * 2,
            "score": [5, 3, 4, 2, 2, 1, 3, 4],
            "content_id": ["a"] * 4 + ["b"] * 4,
            "is_reference": [1, 0] * 4,
        }
    )
    panel = from_frame(table).panel()
    scores = differential(panel, reference_score=4)  # references: 4.5 and 2.5
    assert scores.score.tolist() == [4.5, 3.5, 2.5, 1.5, 3.5, 4.5, 2.5, 5.5]
    assert scores.clip_mean(scores.score).tolist() == [4, 2, 4, 4]
    for references, message in [([1, 1], "has 2 references"), ([0, 0], "has 0 references")]:
        broken = table.with_columns(is_reference=pl.Series(references * 4))
        with pytest.raises(RatingsError, match=message):
            differential(from_frame(broken).panel(), reference_score=4)


def test_means_are_mapped_to_a_range_that_does_not_begin_at_zero():
    scores, factor = map_means(np.array([10.0, 20.0, 40.0]), StudyParameters(range=(1, 4)))
    assert scores.tolist() == pytest.approx([1, 2, 4])
    assert factor == pytest.approx(0.1)
