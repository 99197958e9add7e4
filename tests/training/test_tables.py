"""Columns of built datasets as numbers: which are features, and what is null."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from feature_set import rated, write_set

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.info import ExtractorInfo
from theval_datasets.training.tables import FeatureRows, combined, digests_of, read_features


def rows(columns, **origins) -> FeatureRows:
    n = len(next(iter(columns.values())))
    table = pa.table({"clip_id": [f"c{i}" for i in range(n)], **columns})
    return FeatureRows("theval/x", "0.1.0", table, origins)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 3], [[1], [np.nan], [3]]),
        ([1.5, float("nan"), float("inf")], [[1.5], [np.nan], [np.nan]]),
        ([True, None, False], [[1], [np.nan], [0]]),
        ([[1.0, 2.0], None, [3.0, 4.0]], [[1, 2], [np.nan, np.nan], [3, 4]]),
        ([[1.0, None], [5.0, 6.0], None], [[np.nan, np.nan], [5, 6], [np.nan, np.nan]]),
        ([[1.0, float("nan")], [5.0, 6.0]], [[np.nan, np.nan], [5, 6]]),
        ([None, None], [[np.nan], [np.nan]]),
    ],
)
def test_null_is_nan_in_all_of_a_row(values, expected):
    kind = pa.float64() if values == [None, None] else None
    numbers = rows({"x": pa.array(values, kind)}).numbers("x")
    np.testing.assert_array_equal(numbers, np.array(expected, float))


@pytest.mark.parametrize("make", [pa.large_list, lambda kind: pa.list_(kind, 2)])
def test_vectors_of_every_kind_of_list(make):
    array = pa.array([[1, 2], [3, 4]], make(pa.float32()))
    assert rows({"x": array}).numbers("x").tolist() == [[1, 2], [3, 4]]


def test_vectors_in_several_chunks_and_slices_keep_their_rows():
    chunks = pa.chunked_array([[[1.0, 2.0]], [None, [3.0, 4.0]]], pa.list_(pa.float64()))
    table = rows({"x": chunks})
    np.testing.assert_array_equal(table.numbers("x")[[0, 2]], [[1, 2], [3, 4]])
    taken = table.take(np.array([2, 0]))
    assert taken.numbers("x").tolist() == [[3, 4], [1, 2]]
    assert taken.clip_ids == ["c2", "c0"]


def test_all_null_vectors_have_no_size():
    assert rows({"x": pa.nulls(3, pa.list_(pa.float32()))}).numbers("x").shape == (3, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0], [1.0, 2.0]], "vectors of one length in the column x, got lengths 1 to 2"),
        (["a", "b"], "expected numbers or vectors of numbers in the column x, got string"),
        ([["a"], ["b"]], "got list<"),
        ([[[1.0]], [[2.0]]], "got list<"),
    ],
)
def test_other_columns_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        rows({"x": values}).numbers("x")


def test_an_unknown_column_suggests_a_close_one():
    with pytest.raises(UnknownNameError, match="did you mean lip_sync"):
        rows({"lip_sync": [1.0]}).numbers("lip_sink")


def test_measured_is_what_extractors_made_or_others_published():
    table = rows(
        {
            "lip_sync": [1.0], "arcface": [[1.0]], "own": [2.0], "published_nima": [3.0],
            "mos": [1.0], "quality_mos": [1.0], "mos_std": [1.0], "n_ratings": [3], "fold": [0],
            "duration": [1.0], "width": [5], "seed": [1], "distortion_level": [2.0],
            "generator": ["a"], "speech": [True],
        },
        lip_sync="theval_signals", arcface="arcface", own="features", published_nima="scores",
        mos="ratings", quality_mos="scores", mos_std="ratings", n_ratings="ratings",
        fold="folds", duration="media", width="media", seed="name", distortion_level="name",
        generator="clips", speech="vad",
    )  # fmt: skip
    assert table.measured() == ["lip_sync", "arcface", "own", "published_nima"]


def test_a_joined_column_with_scores_is_no_feature():
    table = rows({"mos": [1.0], "own": [1.0]}, mos="features", own="features")
    assert table.measured() == ["own"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("quality_mos", "quality_mos"), ("quality_mos_std", "quality_mos"),
        ("authenticity_mos", "quality_mos"), ("n_ratings", "mos"), ("fold", "mos"),
        ("sharp", "sharp"), ("sharp_ci95", "sharp"), ("votes", "mos"),
    ],
)  # fmt: skip
def test_a_column_that_tells_the_answer_is_refused(name, target):
    table = rows({name: [1.0, 2.0], "vst": [[1.0], [2.0]]}, votes="votes")
    with pytest.raises(InputError, match=f"the column {name} reveals the score"):
        table.chosen([name, "vst"], target=target, model="forest")
    result, _ = table.chosen(["*"], target=target, model="forest")
    assert list(result) == ["vst"]


def test_patterns_name_columns():
    table = rows({"published_a": [1.0], "published_b": [2.0], "other": [3.0]})
    result, left_out = table.chosen(["published_*"], target="mos", model="evaltalker")
    assert list(result) == ["published_a", "published_b"]
    assert left_out == {}
    table = rows(
        {"published_a": [1.0], "published_b": pa.nulls(1, pa.float64()), "published_by": ["x"]}
    )
    result, left_out = table.chosen(["published_*"], target="mos", model="evaltalker")
    assert list(result) == ["published_a"]
    assert left_out == {"published_b": "null in all clips"}
    with pytest.raises(InputError, match="published_b"):
        table.chosen(["published_*", "published_b"], target="mos", model="evaltalker")
    with pytest.raises(InputError, match="got string"):
        table.chosen(["published_by"], target="mos", model="evaltalker")
    with pytest.raises(UnknownNameError, match="publisht"):
        table.chosen(["publisht_*"], target="mos", model="forest")


def test_a_named_feature_without_values_is_refused_with_the_reasons():
    table = rows(
        {
            "vst": pa.nulls(2, pa.list_(pa.float32())),
            "missing": [["vst:weights-missing"], ["vst:weights-missing", "vad:no-audio"]],
        }
    )
    with pytest.raises(InputError, match=r"vst \(weights-missing in 2 clips\)"):
        table.chosen(["vst"], target="mos", model="evaltalker")


def test_without_any_default_feature_the_message_says_what_there_is():
    table = rows({"arcface": [[1.0]]}, arcface="arcface")
    with pytest.raises(InputError, match=r"Name others with --features; it has arcface"):
        table.chosen([], target="mos", model="evaltalker")
    with pytest.raises(InputError, match="Nothing is measured in it"):
        rows({"mos": [1.0]}).chosen([], target="mos", model="forest")


def test_reading_a_dataset(tmp_path):
    read = read_features(write_set(tmp_path / "set", rated(10), weights={"vst": "sha-1"}))
    assert (read.name, read.version, len(read.rows)) == ("theval/thqa-mt", "0.1.0", 10)
    assert read.origins["identity_consistency"] == "identity"
    assert set(read.digests) == {"vst"}
    assert read.hashes[1] == f"{1:064x}"


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is not a built dataset: it has no info\.json"):
        read_features(tmp_path)
    folder = write_set(tmp_path / "a", {"x": [1.0]})
    with pytest.raises(UnknownNameError, match="clip_id"):
        read_features(folder)
    folder = write_set(tmp_path / "b", rated(10))
    (folder / "features" / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        read_features(folder)
    (folder / "features" / "train.parquet").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_features(folder)


def test_digests_follow_code_parameters_and_weights_but_not_the_decoder():
    def info(version=1, parameters=None, weights="w", decoder="av-18", needs=None):
        return ExtractorInfo(version, parameters or {}, weights, decoder, needs or {}, "x")

    base = digests_of({"a": info()})["a"]
    assert digests_of({"a": info(decoder="av-19")})["a"] == base
    others = [
        digests_of({"a": info(version=2)}),
        digests_of({"a": info(parameters={"size": 224})}),
        digests_of({"a": info(weights="v")}),
        digests_of({"a": info(needs={"b": "1"}), "b": info()}),
        digests_of({"a": info(needs={"b": "1"}), "b": info(weights="v")}),
    ]
    assert len({base, *(item["a"] for item in others)}) == 6


@pytest.mark.parametrize(
    ("first", "second", "fit"),
    [
        ([1.0, 2.5], [1.0, 5.0], True), ([1.0, 2.5], [1.0, 5.1], False),
        ([0.0, 0.0], [1.0, 5.0], False), ([0.0, 5.0], [None, None], True),
        ([-1.2, 0.5], [-0.9, 2.6], True), ([-1.0, 0.5], [-5.0, 2.6], True),
        ([-1.0, 0.5], [-5.1, 2.6], False), ([-1.0, 0.5], [0.1, 1.0], False),
        ([-1.0, 0.5], [0.0, 90.0], False),
    ],
)  # fmt: skip
def test_scales_that_differ_are_seen(first, second, fit):
    """Z-scores are a scale as well: the largest of a set may be small, and the smallest is negative."""
    tables = [
        replace(rows({"mos": pa.array(scores, pa.float64())}), name=name)
        for name, scores in (("theval/a", first), ("theval/b", second))
    ]
    both = combined(tables)
    if fit:
        both.check_scale("mos")
        return
    with pytest.raises(InputError, match=r"mos on one scale .* to .* in theval/a, .* in theval/b"):
        both.check_scale("mos")
