"""A metric that was written is the metric that is read; damaged and unlike ones are refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from feature_set import ORIGINS, rated

from theval_datasets.errors import InputError
from theval_datasets.training.parameters import ModelParameters
from theval_datasets.training.samples import samples_of
from theval_datasets.training.saved import read_metric, train_metric, write_metric
from theval_datasets.training.tables import FeatureRows

pytest.importorskip("sklearn", reason="the extra [train] is not installed")
pytest.importorskip("safetensors", reason="the extra [train] is not installed")

QUICK = {"evaltalker": ModelParameters(epochs=5), "forest": ModelParameters(trees=5)}


def rows(n=40, digests=None, **changed) -> FeatureRows:
    table = pa.table({**rated(n), **changed})
    return FeatureRows("theval/x", "0.1.0", table, ORIGINS, digests or {})


def trained(model="evaltalker", table=None, nulls="median", **options):
    made = samples_of(rows() if table is None else table, model=model, nulls=nulls, **options)
    metric = train_metric(made, model, QUICK[model], nulls, "0.1.0")
    return metric, made


@pytest.fixture
def folder(tmp_path):
    metric, made = trained()
    write_metric(tmp_path / "metric", metric, made, np.full(40, np.nan))
    return tmp_path / "metric"


@pytest.mark.parametrize("model", ["evaltalker", "forest"])
def test_there_and_back(model, tmp_path):
    names = ["vst", "identity_consistency"]
    metric, made = trained(model, features=names)
    predicted = np.linspace(0, 5, 40)
    files = write_metric(tmp_path / "a", metric, made, predicted)
    write_metric(tmp_path / "b", trained(model, features=names)[0], made, predicted)
    assert [path.name for path in files] == ["model.safetensors", "config.json", "predictions.csv"]
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    again = read_metric(tmp_path / "a")
    assert again.config == metric.config
    assert again.seen == metric.seen
    new = rows(20)
    assert again.score(new) == metric.score(new)
    assert [config.size for config in again.config.features] == [4, 1]
    lines = (tmp_path / "a" / "predictions.csv").read_text().splitlines()
    assert lines[0] == "clip_id,sha256,fold,set,mos,predicted"
    assert lines[1] == f"clip-000,{0:064x},0,,{made.scores[0]},0.0"


def test_predictions_that_are_undefined_are_empty(folder):
    assert (folder / "predictions.csv").read_text().splitlines()[1].endswith(",")


def test_the_order_of_rows_and_columns_does_not_matter():
    metric, _ = trained()
    table = rows()
    scores = {item.clip_id: item.score for item in metric.score(table)}
    order = np.random.default_rng(0).permutation(40)
    turned = replace(table, rows=table.rows.take(order).select(table.rows.column_names[::-1]))
    scored = metric.score(turned)
    assert [item.clip_id for item in scored] == [f"clip-{i:03}" for i in order]
    for item in scored:
        assert item.score == pytest.approx(scores[item.clip_id], rel=1e-12)


def with_nulls():
    columns = rated(40)
    vst, same = columns["vst"].to_pylist(), list(columns["identity_consistency"])
    vst[0] = vst[1] = None
    same[0] = same[2] = None
    missing = [["vst:weights-missing", "identity:no-face"], ["vst:no-video"], [], *[[]] * 37]
    return rows(
        vst=pa.array(vst, pa.list_(pa.float32())), identity_consistency=same, missing=missing
    )


def test_nulls_are_filled_with_the_medians_and_named_with_their_reasons():
    metric, _ = trained(features=["vst", "identity_consistency"])
    both, item, other, none = metric.score(with_nulls())[:4]
    assert (both.score, both.reason) == (None, "null-features")
    assert both.null == ("vst:weights-missing", "identity_consistency:no-face")
    assert item.null == ("vst:no-video",)
    assert other.null == ("identity_consistency:null",)
    assert none.null == ()
    medians = {feature.name: list(feature.median) for feature in metric.config.features}
    columns = rated(40)
    vst = columns["vst"].to_pylist()
    vst[1] = medians["vst"]
    given = metric.score(rows(vst=pa.array(vst, pa.list_(pa.float64()))))
    assert item.score == given[1].score
    assert medians["identity_consistency"] == [np.median(columns["identity_consistency"])]


def test_leave_out_leaves_clips_with_a_null_unscored():
    metric, _ = trained(features=["vst", "identity_consistency"], nulls="leave-out")
    scored = metric.score(with_nulls())[:4]
    assert [item.reason for item in scored] == ["null-features"] * 3 + [None]
    assert [item.score is None for item in scored] == [True] * 3 + [False]


def test_a_feature_without_any_value_is_null_everywhere():
    metric, _ = trained(features=["vst", "identity_consistency"])
    scored = metric.score(rows(vst=pa.nulls(40, pa.list_(pa.float32()))))
    assert all(item.null == ("vst:null",) and item.score is not None for item in scored)


def test_features_of_another_kind_are_refused():
    metric, _ = trained(table=rows(digests={"vst": "one"}))
    assert metric.config.features[0].digest == "one"
    metric.score(rows(digests={"vst": "one"}))
    metric.score(rows())  # of which nothing is known
    with pytest.raises(InputError, match="vst in theval/x was computed by another version"):
        metric.score(rows(digests={"vst": "two"}))
    longer = pa.array([[1.0] * 5] * 40, pa.list_(pa.float32()))
    with pytest.raises(InputError, match="expected 4 numbers a clip in vst, got 5"):
        metric.score(rows(vst=longer))
    table = rows()
    lacking = replace(table, rows=table.rows.drop_columns(["vst"]))
    with pytest.raises(InputError, match=r"needs the feature vst \(vst\), which theval/x lacks"):
        metric.score(lacking)


def test_identity_against_something_else_is_null():
    metric, _ = trained(table=rows(identity_reference=["portrait"] * 40))
    assert metric.config.features[2].references == ("portrait",)
    assert metric.config.features[0].references == ()
    against = ["portrait"] * 39 + ["own-frame"]
    scored = metric.score(rows(identity_reference=against))
    assert scored[0].null == ()
    assert scored[39].null == ("identity_consistency:against-own-frame",)


def test_clips_are_known_by_file_or_by_id():
    metric, _ = trained()
    columns = rated(3)
    other = [f"{i:064x}" for i in (900, 1, 902)]
    seen = metric.has_seen(rows(3, clip_id=["clip-000", "b", "c"], sha256=other))
    assert seen.tolist() == [False, True, False]  # the same name of another file is another clip
    nameless, _ = trained(table=rows(sha256=pa.nulls(40, pa.string())))
    assert nameless.has_seen(rows(3, sha256=columns["sha256"])).tolist() == [True] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain.pop("target"), "target"),
        (lambda plain: plain.update(model="svr"), "model"),
        (lambda plain: plain.update(format_version=2), "expected format_version 1, got 2"),
        (lambda plain: plain.pop("format_version"), "expected format_version 1, got None"),
        (lambda plain: plain.update(features=[]), "at least one feature"),
        (lambda plain: plain.update(unknown=1), "unknown"),
        (lambda plain: plain["features"][0].update(size=3), "expected 3 medians of vst, got 4"),
        (lambda plain: plain["features"].pop(), "0.weight"),
        (lambda plain: plain.update(model="forest"), "expected the tensors"),
    ],
)
def test_a_changed_description_is_refused(folder, change, message):
    plain = json.loads((folder / "config.json").read_text())
    change(plain)
    (folder / "config.json").write_text(json.dumps(plain))
    with pytest.raises(InputError, match=message):
        read_metric(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"a": NaN}'])
def test_what_is_no_description_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        read_metric(folder)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", None]
)  # fmt: skip
def test_damaged_weights_are_refused(folder, data):
    place = folder / "model.safetensors"
    if data is None:
        place.write_bytes(place.read_bytes()[:-1])
    else:
        place.write_bytes(data)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        read_metric(folder)
    place.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read"):
        read_metric(folder)


def test_weights_of_any_cut_length_are_refused(folder):
    place = folder / "model.safetensors"
    whole = place.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40, dtype=int):
        place.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"model\.safetensors"):
            read_metric(folder)


def test_predictions_may_be_absent_but_not_of_another_form(folder):
    (folder / "predictions.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match=r"predictions\.csv cannot be read"):
        read_metric(folder)
    (folder / "predictions.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"predictions\.csv cannot be read"):
        read_metric(folder)
    (folder / "predictions.csv").unlink()
    metric = read_metric(folder)
    assert metric.seen is None
    assert metric.has_seen(rows(3)) is None


@pytest.mark.parametrize("kept", [0, 1, 20, 39])
def test_predictions_of_other_clips_than_those_of_training_are_refused(folder, kept):
    place = folder / "predictions.csv"
    lines = place.read_text().splitlines(keepends=True)
    place.write_text("".join(lines[: 1 + kept]))
    with pytest.raises(InputError, match=r"predictions\.csv lists \d+ training clips"):
        read_metric(folder)


@pytest.mark.parametrize(
    ("trained", "asked", "same"),
    [
        ("a" * 64, "a" * 64, True),
        ("a" * 64, "b" * 64, False),  # another file of the same name
        ("a" * 64, None, True),
        (None, "b" * 64, True),
        (None, None, True),
    ],
)
def test_a_clip_whose_hash_is_unknown_is_known_by_its_id(folder, trained, asked, same):
    metric = replace(read_metric(folder), seen=frozenset({("clip-000", trained)}))
    table = rows(2, clip_id=["clip-000", "other"], sha256=pa.array([asked, "c" * 64], pa.string()))
    assert metric.has_seen(table).tolist() == [same, False]


def test_a_folder_without_a_metric_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no trained metric"):
        read_metric(tmp_path)


def test_a_description_holds_no_number_that_json_has_not(folder):
    plain = json.loads((folder / "config.json").read_text(), parse_constant=pytest.fail)
    assert all(math.isfinite(v) for item in plain["features"] for v in item["median"])
