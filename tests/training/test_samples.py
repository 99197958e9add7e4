"""Clips to train on: who is left out, which folds, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from feature_set import ORIGINS, rated

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.training.samples import filled, medians_of, samples_of
from theval_datasets.training.tables import FeatureRows


def rows(**changed) -> FeatureRows:
    columns = {**rated(40), **changed}
    return FeatureRows("theval/x", "0.1.0", pa.table(columns), ORIGINS)


def nulls(values, *places):
    return [None if i in places else value for i, value in enumerate(values)]


def test_by_default_every_clip_with_a_score_a_fold_and_a_feature_is_used():
    columns = rated(40)
    vst = nulls(columns["vst"].to_pylist(), 3, 4, 5)
    sapiens = nulls(columns["sapiens"].to_pylist(), 3)
    same = nulls(columns["identity_consistency"], 3, 7)
    made = samples_of(
        rows(
            vst=pa.array(vst, pa.list_(pa.float32())), sapiens=pa.array(sapiens, pa.list_(pa.float32())),
            identity_consistency=same, mos=nulls(columns["mos"], 0, 1, 3),
            fold=nulls(columns["fold"], 1, 2),
        ),
        model="evaltalker",
    )  # fmt: skip
    assert made.left_out == {"no mos": 3, "no fold": 1}  # one without either counts once
    assert len(made) == 36
    assert made.nulls == {"vst": 2, "identity_consistency": 1}
    assert made.without_values == {"qwen_sync": "weights-missing in 40 clips"}
    assert made.rows.clip_ids[:3] == ["clip-004", "clip-005", "clip-006"]
    assert np.isnan(made.features["vst"][0]).all()
    assert np.isfinite(made.features["sapiens"]).all()


def test_a_clip_with_null_features_only_is_left_out_and_counted():
    columns = rated(40)
    made = samples_of(
        rows(identity_consistency=nulls(columns["identity_consistency"], 2, 9)),
        model="evaltalker", features=["identity_consistency"],
    )  # fmt: skip
    assert made.left_out == {"null features only": 2}
    assert made.nulls == {}


def test_leave_out_leaves_out_any_null():
    columns = rated(40)
    made = samples_of(
        rows(identity_consistency=nulls(columns["identity_consistency"], 2, 9)),
        model="evaltalker", nulls="leave-out",
    )  # fmt: skip
    assert made.left_out == {"a null feature": 2}
    assert all(np.isfinite(matrix).all() for matrix in made.features.values())


def test_the_median_of_known_values_stands_for_null():
    features = np.array([[1.0, 5.0], [np.nan, 7.0], [4.0, np.nan], [10.0, np.nan]])
    assert medians_of(features).tolist() == [4.0, 6.0]
    assert filled(features, medians_of(features)).tolist() == [
        [1.0, 5.0], [4.0, 7.0], [4.0, 6.0], [10.0, 6.0],
    ]  # fmt: skip


def test_folds_are_those_of_the_column():
    made = samples_of(rows(fold=[i % 3 * 7 for i in range(40)]), model="evaltalker")
    assert made.folds.tolist() == [i % 3 for i in range(40)]
    assert made.folding == "3 folds of the column fold"
    named = samples_of(rows(), model="evaltalker", fold_column="generator")
    assert named.folds.tolist() == [i % 3 for i in range(40)]


def test_folds_are_drawn_without_shared_content():
    portraits = [f"p{i // 4}" for i in range(40)]
    table = rows(portrait_id=portraits, fold=[None] * 40)
    made = samples_of(table, model="evaltalker", content=["portrait_id"])
    assert {0, 1, 2, 3, 4} == set(made.folds.tolist())
    assert len({(p, int(f)) for p, f in zip(portraits, made.folds, strict=True)}) == 10
    assert made.folding == "5 folds without shared portrait_id"
    shuffled = samples_of(table, model="evaltalker", content=["none"], seed=1)
    again = samples_of(table, model="evaltalker", content=["none"], seed=1)
    other = samples_of(table, model="evaltalker", content=["none"], seed=2)
    assert shuffled.folds.tolist() == again.folds.tolist() != other.folds.tolist()
    assert any("shuffled clips share content" in remark for remark in shuffled.remarks)


def test_shared_content_and_repeated_files_are_remarked_on():
    clean = samples_of(rows(), model="evaltalker")
    assert not any("share content" in remark for remark in clean.remarks)
    leaky = samples_of(rows(content_id=["one"] * 40), model="evaltalker")
    assert any("share 1 value of content_id" in remark for remark in leaky.remarks)
    twice = samples_of(rows(sha256=["a"] * 40), model="evaltalker", content=["content_id"])
    assert any("share 1 value of sha256" in remark for remark in twice.remarks)


@pytest.mark.parametrize(("per_fold", "remarked"), [(9, True), (10, False)])
def test_small_folds_are_remarked_on(per_fold, remarked):
    n = 2 * per_fold
    table = FeatureRows("theval/x", "", pa.table(rated(n, n_folds=2)), ORIGINS)
    made = samples_of(table, model="evaltalker")
    assert any(f"smallest fold has {per_fold} clips" in r for r in made.remarks) is remarked


def test_identity_against_different_things_is_remarked_on():
    against = ["portrait"] * 30 + ["own-frame"] * 10
    made = samples_of(rows(identity_reference=against), model="evaltalker")
    assert any("own-frame in 10 clips, portrait in 30 clips" in r for r in made.remarks)
    made = samples_of(rows(identity_reference=["portrait"] * 40), model="evaltalker")
    assert not any("different references" in remark for remark in made.remarks)


def test_sets_are_named_by_a_column():
    made = samples_of(rows(pattern=nulls(["x", "y"] * 20, 5)), model="evaltalker", sets="pattern")
    assert made.left_out == {"no pattern": 1}
    assert made.sets[:3] == ("x", "y", "x")


def test_a_set_in_one_fold_is_remarked_on():
    pattern = ["one" if i % 5 == 0 else "rest" for i in range(40)]
    made = samples_of(rows(pattern=pattern), model="evaltalker", sets="pattern")
    (text,) = [remark for remark in made.remarks if "in one fold" in remark]
    assert text.startswith("all clips of the set one lie in one fold")
    spread = samples_of(rows(pattern=["a", "b"] * 20), model="evaltalker", sets="pattern")
    assert not any("in one fold" in remark for remark in spread.remarks)


def test_features_are_left_out_by_name_or_pattern():
    made = samples_of(rows(), model="evaltalker", without=["sapiens", "identity*"])
    assert list(made.features) == ["vst"]
    with pytest.raises(UnknownNameError, match="feature among those trained on named 'vsd'"):
        samples_of(rows(), model="evaltalker", without=["vsd"])
    with pytest.raises(InputError, match="no feature is left"):
        samples_of(rows(), model="evaltalker", without=["*"])


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({}, {"target": "mso"}, "There is no column in theval/x named 'mso'; did you mean mos"),
        ({}, {"target": "generator"}, "expected numbers or vectors of numbers in the column gen"),
        ({}, {"target": "vst"}, "expected one number a clip as target, got vectors in vst"),
        ({"mos": pa.nulls(40, pa.float64())}, {}, "no clip of theval/x has a mos"),
        ({"mos": [2.5] * 40}, {}, "mos is 2.5 for all 40 clips: nothing can be learnt"),
        ({"mos": [2.5] + [None] * 39}, {}, "1 of 40 clips of theval/x can be trained on"),
        ({"fold": [1] * 40}, {}, "all 40 clips are in one fold of the column fold"),
        ({"fold": [None] * 40}, {}, "left out are 40 with no fold"),
        ({"fold": list(range(40))}, {}, "each of the 40 folds holds one clip"),
        ({}, {"fold_column": "fould"}, "did you mean fold"),
        ({}, {"content": ["portrait"]}, "There is no column in theval/x named 'portrait'"),
        ({"content_id": ["a"] * 36 + ["b"] * 4}, {"content": ["content_id"]}, "need at least 5"),
        ({}, {"sets": "patern"}, "There is no column"),
        ({"vst": pa.nulls(40, pa.list_(pa.float32()))}, {"features": ["vst"]}, "have no value"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(changed, options, message):
    with pytest.raises(InputError, match=message):
        samples_of(rows(**changed), **{"model": "evaltalker", **options})


def test_fewer_clips_than_folds_are_refused():
    table = FeatureRows("theval/x", "", pa.table(rated(3, n_folds=3)), ORIGINS)
    with pytest.raises(InputError, match="need at least 5 groups, and there are 3"):
        samples_of(table, model="evaltalker", content=["content_id"])
    with pytest.raises(InputError, match="need at least 5 groups, and there are 3"):
        samples_of(table, model="evaltalker", content=["none"])
    with pytest.raises(InputError, match="each of the 3 folds holds one clip"):
        samples_of(table, model="evaltalker")
