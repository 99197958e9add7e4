"""Cross-validation: nothing of a fold is seen before it is predicted; sets; ablations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from feature_set import ORIGINS, rated
from scipy.stats import kendalltau, pearsonr, spearmanr

from theval_datasets.errors import InputError
from theval_datasets.training.crossval import cross_validate, measured, out_of_fold
from theval_datasets.training.parameters import ModelParameters
from theval_datasets.training.samples import samples_of
from theval_datasets.training.tables import FeatureRows

pytest.importorskip("sklearn", reason="the extra [train] is not installed")

QUICK = ModelParameters(trees=10)


def samples(n=60, *, sets=None, **changed):
    table = FeatureRows("theval/x", "", pa.table({**rated(n), **changed}), ORIGINS)
    return samples_of(table, model="evaltalker", sets=sets)


def predictions(made, **masks):
    return out_of_fold(made, "forest", QUICK, features=list(made.features), **masks)


def test_a_fold_is_predicted_from_the_others_alone():
    made = samples()
    whole = predictions(made)
    assert np.isfinite(whole).all()
    held = made.folds == 2
    other = np.where(held, 5 - made.scores, made.scores)
    np.testing.assert_array_equal(predictions(replace(made, scores=other))[held], whole[held])
    first = np.flatnonzero(held)[0]
    vst = made.features["vst"].copy()
    vst[first] = 100.0
    shifted = predictions(replace(made, features={**made.features, "vst": vst}))
    np.testing.assert_array_equal(shifted[held][1:], whole[held][1:])


def test_nulls_become_the_medians_of_the_training_folds_only():
    made = samples()
    same = made.features["identity_consistency"].copy()
    same[made.folds == 0] = np.nan
    features = {**made.features, "identity_consistency": same}
    of_null = predictions(replace(made, features=features))
    known = np.median(same[made.folds != 0])
    same = np.where(np.isnan(same), known, same)
    given = predictions(replace(made, features={**features, "identity_consistency": same}))
    held = made.folds == 0
    np.testing.assert_array_equal(of_null[held], given[held])


def test_a_feature_known_in_one_fold_only_is_no_fault():
    made = samples()
    same = np.full((60, 1), np.nan)
    same[made.folds == 0] = 0.5
    by_name = predictions(replace(made, features={**made.features, "identity_consistency": same}))
    assert np.isfinite(by_name).all()


def test_measures_are_those_of_scipy_averaged_over_folds():
    made = samples()
    predicted = made.scores + np.random.default_rng(1).normal(0, 0.3, 60)
    result = measured(made, predicted, features=["vst"])
    by_fold = {"srcc": [], "plcc": [], "krcc": [], "rmse": []}
    for fold in range(5):
        x, y = predicted[made.folds == fold], made.scores[made.folds == fold]
        by_fold["srcc"].append(spearmanr(x, y).statistic)
        by_fold["plcc"].append(pearsonr(x, y).statistic)
        by_fold["krcc"].append(kendalltau(x, y).statistic)
        by_fold["rmse"].append(np.sqrt(np.mean((x - y) ** 2)))
    for name, values in by_fold.items():
        assert result.measures[name].mean == pytest.approx(np.mean(values), abs=1e-12)
        assert [result.folds[f][name] for f in range(5)] == pytest.approx(values, abs=1e-12)
        half = 2.7764451 * np.std(values, ddof=1) / np.sqrt(5)
        assert result.measures[name].high - result.measures[name].mean == pytest.approx(
            half, rel=1e-6
        )


def test_intervals_end_where_measures_do():
    made = samples()
    noise = np.random.default_rng(1).normal(0, 3, 60)
    nearly = measured(made, np.where(made.folds == 1, noise, made.scores), features=["vst"])
    opposite = measured(made, np.where(made.folds == 1, noise, -made.scores), features=["vst"])
    for name in ("srcc", "plcc", "krcc"):
        assert nearly.measures[name].high == 1.0
        assert opposite.measures[name].low == -1.0
        assert nearly.measures[name].low > -1.0
        assert opposite.measures[name].high < 1.0
    assert nearly.measures["rmse"].low == 0.0
    assert nearly.measures["rmse"].high > 1.0


def test_an_undefined_measure_of_a_fold_is_none_and_not_averaged():
    made = samples()
    predicted = np.where(made.folds == 1, 3.0, made.scores)
    result = measured(made, predicted, features=["vst"])
    assert result.folds[1]["srcc"] is None
    assert result.folds[1]["rmse"] is not None
    assert result.measures["srcc"].n == 4
    assert result.measures["srcc"].mean == pytest.approx(1.0)
    assert result.reason is None
    flat = measured(made, np.full(60, 3.0), features=["vst"])
    assert flat.measures["srcc"].mean is None
    assert flat.reason == "constant"
    nothing = measured(made, np.full(60, np.nan), features=["vst"])
    assert (nothing.n, nothing.reason) == (0, "no-training-clips")


def test_an_ablation_leaves_out_each_feature():
    made = samples(100)
    results, whole = cross_validate(made, "evaltalker", ModelParameters(), ablation=True)
    assert [result.without for result in results] == [
        None,
        "vst",
        "sapiens",
        "identity_consistency",
    ]
    assert all(result.n == 100 for result in results)
    srcc = {result.without: result.measures["srcc"].mean for result in results}
    assert srcc["vst"] < srcc[None] - 0.2  # the score follows it
    assert abs(srcc["sapiens"] - srcc[None]) < 0.1  # noise
    assert results[1].features == ("sapiens", "identity_consistency")
    np.testing.assert_allclose(
        whole, out_of_fold(made, "evaltalker", ModelParameters(), features=list(made.features))
    )


def test_an_ablation_of_one_feature_is_refused():
    made = replace(samples(), features={"vst": samples().features["vst"]})
    with pytest.raises(InputError, match="needs at least 2 features, got vst"):
        cross_validate(made, "forest", QUICK, ablation=True)


def test_an_ablation_of_two_features_leaves_one():
    both = samples(100).features
    made = replace(samples(100), features={name: both[name] for name in ("vst", "sapiens")})
    results, _ = cross_validate(made, "forest", QUICK, ablation=True)
    assert [result.features for result in results[1:]] == [("sapiens",), ("vst",)]


def test_sets_are_judged_by_what_was_trained_on_them_on_others_and_on_all():
    made = samples(90, sets="pattern", pattern=["a", "b", "c"] * 30)
    results, whole = cross_validate(made, "forest", QUICK)
    assert [(result.tested_on, result.trained_on, result.n) for result in results] == [
        (None, "all", 90), ("a", "all", 30), ("b", "all", 30), ("c", "all", 30),
        ("a", "same-set", 30), ("a", "other-sets", 30),
        ("b", "same-set", 30), ("b", "other-sets", 30),
        ("c", "same-set", 30), ("c", "other-sets", 30),
    ]  # fmt: skip
    of_a = np.array(made.sets) == "a"
    others = measured(
        made, predictions(made, train=~of_a, test=of_a), features=list(made.features),
        tested_on="a", trained_on="other-sets",
    )  # fmt: skip
    assert results[5] == others
    joint = np.where(of_a, whole, np.nan)
    assert results[1].folds == measured(made, joint, features=["vst"]).folds


def test_leaving_a_set_out_keeps_it_and_the_tested_fold_from_training():
    made = samples(90, sets="pattern", pattern=["a", "b", "c"] * 30)
    of_a = np.array(made.sets) == "a"
    base = predictions(made, train=~of_a, test=of_a)
    assert np.isnan(base[~of_a]).all()
    for untouched in (of_a, (made.folds == 0) & of_a):
        changed = np.where(untouched, 5 - made.scores, made.scores)
        after = predictions(replace(made, scores=changed), train=~of_a, test=of_a)
        np.testing.assert_array_equal(after, base)
    fold = (made.folds == 0) & ~of_a  # content that sets share lies in one fold
    changed = np.where(fold, 5 - made.scores, made.scores)
    after = predictions(replace(made, scores=changed), train=~of_a, test=of_a)
    held = of_a & (made.folds == 0)
    np.testing.assert_array_equal(after[held], base[held])
    assert not np.array_equal(after[of_a & ~held], base[of_a & ~held])


def test_a_set_that_lies_in_one_fold_has_no_measure_of_its_own():
    pattern = ["one" if i % 5 == 0 else "rest" for i in range(60)]  # fold 0
    made = samples(60, sets="pattern", pattern=pattern)
    results, _ = cross_validate(made, "forest", QUICK)
    by_name = {(result.tested_on, result.trained_on): result for result in results}
    assert by_name["one", "same-set"].reason == "no-training-clips"
    assert by_name["one", "same-set"].n == 0
    assert by_name["one", "other-sets"].n == 12
    assert by_name["one", "other-sets"].measures["srcc"].low is None  # of one fold
