"""Folds without shared content, and the report of what a split shares."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theval_datasets.errors import InputError
from theval_datasets.evaluation import content_groups, grouped_folds, leak_report, plain_folds


@st.composite
def tables(draw):
    n = draw(st.integers(20, 80))
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    portrait = [None if rng.random() < 0.05 else f"p{v}" for v in rng.integers(0, n // 2, n)]
    voice = [f"v{v}" for v in rng.integers(0, n, n)]
    return {"portrait": portrait, "voice": voice}, [f"c{i:03d}" for i in range(n)], rng


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(2, 4))
def test_folds_share_no_content_in_any_column(table, k):
    content, ids, rng = table
    mos = rng.normal(size=len(ids)).tolist()
    if content_groups(content, ids).max() + 1 < k:
        with pytest.raises(InputError, match="need at least"):
            grouped_folds(content, ids, k, mos=mos)
        return
    folds = grouped_folds(content, ids, k, mos=mos, seed=3)
    assert set(folds.tolist()) == set(range(k))
    assert leak_report(folds.tolist(), content) == []


@settings(max_examples=30, deadline=None)
@given(tables(), st.integers(0, 1000))
def test_folds_do_not_depend_on_the_order_of_the_rows(table, seed):
    content, ids, rng = table
    mos = rng.normal(size=len(ids))
    order = rng.permutation(len(ids))
    folds = grouped_folds({"voice": content["voice"]}, ids, 3, mos=mos.tolist(), seed=seed)
    again = grouped_folds(
        {"voice": [content["voice"][i] for i in order]},
        [ids[i] for i in order],
        3,
        mos=mos[order].tolist(),
        seed=seed,
    )
    assert np.array_equal(folds[order], again)


def test_sizes_and_scores_are_even():
    rng = np.random.default_rng(0)
    content = {"portrait": [f"p{v}" for v in rng.integers(0, 60, 1000)]}
    mos = rng.normal(size=1000)
    ids = [f"c{i}" for i in range(1000)]
    folds = grouped_folds(content, ids, 5, mos=mos.tolist(), seed=1)
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 25
    means = [mos[folds == fold].mean() for fold in range(5)]
    assert max(means) - min(means) < 0.15
    assert not np.array_equal(folds, grouped_folds(content, ids, 5, mos=mos.tolist(), seed=2))


def test_groups_join_through_others():
    content = {"portrait": ["a", "a", "b", "c", None], "voice": ["x", "y", "y", "z", None]}
    assert content_groups(content, ["1", "2", "3", "4", "5"]).tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("nothing", [None, float("nan"), np.nan, np.float32("nan")])
def test_a_value_that_is_not_there_is_shared_with_no_row(nothing):
    """A missing value of a table in pandas is one and the same NaN in every row."""
    ids = ["1", "2", "3", "4"]
    column = [nothing, nothing, "a", "a"]
    assert content_groups({"portrait": column}, ids).tolist() == [0, 1, 2, 2]
    assert leak_report(["train", "test", "test", "test"], {"portrait": column}) == []
    assert leak_report([nothing, nothing, "test", "train"], {"portrait": list("aaab")}) == []
    (leak,) = leak_report(["train", "test", nothing, "test"], {"portrait": list("aaab")})
    assert (leak.rows_first, leak.n_first, leak.rows_second, leak.n_second) == (1, 2, 1, 1)


def test_no_number_and_no_text_counts_as_missing():
    for value in (0, "", False, 0.0):
        assert content_groups({"portrait": [value] * 2}, ["1", "2"]).tolist() == [0, 0]
        assert len(leak_report(["train", "test"], {"portrait": [value] * 2})) == 1


def test_clips_without_a_score_are_spread_as_evenly_as_the_others():
    ids = [f"c{i:02d}" for i in range(40)]
    mos = [None if i % 2 else float(i) for i in range(40)]
    for seed in range(5):
        folds = grouped_folds({}, ids, 5, mos=mos, seed=seed)
        assert np.ptp(np.bincount(folds[1::2], minlength=5)) <= 1


def test_published_folds_stay_as_they_are():
    """Scores over folds can be compared as long as the same clips are drawn with the default parameters."""
    ids = [f"clip-{i:02d}" for i in range(20)]
    content = {"portrait": [f"p{i % 10}" for i in range(20)]}
    mos = [float(7 * i % 20) for i in range(20)]
    folds = grouped_folds(content, ids, mos=mos)
    assert folds.tolist() == [2, 3, 2, 3, 4, 0, 1, 1, 0, 4] * 2
    assert folds.tolist() == grouped_folds(content, ids, 5, mos=mos, bins=5, seed=0).tolist()
    assert plain_folds(ids).tolist() == [
        2, 3, 4, 2, 2, 1, 3, 1, 0, 0, 4, 0, 1, 4, 4, 3, 2, 3, 1, 0,
    ]  # fmt: skip


def test_plain_folds_are_even_and_ignore_content():
    folds = plain_folds([f"c{i}" for i in range(103)], 5, seed=0)
    assert sorted(np.bincount(folds).tolist()) == [20, 20, 21, 21, 21]


def test_what_is_refused():
    with pytest.raises(InputError, match="unique ids"):
        grouped_folds({}, ["a", "a"], 2)
    with pytest.raises(InputError, match="3 values for 2 rows"):
        grouped_folds({"p": [1, 2, 3]}, ["a", "b"], 2)
    with pytest.raises(InputError, match="without shared p need at least 2 groups"):
        grouped_folds({"p": [1, 1]}, ["a", "b"], 2)
    with pytest.raises(InputError, match="without shared nothing need at least 3 groups"):
        grouped_folds({}, ["a", "b"], 3)
    with pytest.raises(InputError, match="1 folds"):
        grouped_folds({}, ["a", "b"], 1)
    with pytest.raises(InputError, match="opinion scores"):
        grouped_folds({}, ["a", "b"], 2, mos=[1.0])
    with pytest.raises(InputError, match="3 values for 1 rows"):
        leak_report(["a"], {"p": [1, 2, 3]})


@pytest.mark.real
def test_the_known_leaks_of_a_public_split_are_found(shared_data: Path):
    """THQA-NTIRE: train and val share a prompt and five voices; SEN sentences are everywhere."""
    split, columns = [], {"prompt": [], "voice": [], "sentence and distortion": []}
    common = re.compile(r"(.+)_common_voice_en_(\d+)_(.+)")
    sentences = re.compile(r".+_(SEN_\w+?)_(\w+?)_\d+$")
    for part in ("train", "val", "test"):
        with (shared_data / "public" / "thqa_ntire" / f"thqa_ntire_{part}.csv").open() as stream:
            for row in csv.reader(stream):
                name = row[0].removesuffix(".mp4")
                made, sentence = common.fullmatch(name), sentences.fullmatch(name)
                if not (made or sentence):
                    continue
                split.append(part)
                prompt = made.group(1).split("_")[0] if made else None
                columns["prompt"].append(prompt)
                columns["voice"].append(made.group(2) if made else None)
                columns["sentence and distortion"].append(sentence.groups() if sentence else None)
    assert len(split) > 11_000
    leaks = {(leak.column, leak.first, leak.second): leak for leak in leak_report(split, columns)}
    assert leaks["prompt", "train", "val"].values == ("14",)
    assert len(leaks["voice", "train", "val"].values) == 5
    for part in ("val", "test"):
        pair = tuple(sorted((part, "train")))
        leak = leaks["sentence and distortion", *pair]
        carrying = sum(
            p == part and value is not None
            for p, value in zip(split, columns["sentence and distortion"], strict=True)
        )
        rows = leak.rows_first if leak.first == part else leak.rows_second
        assert rows == carrying > 0
        assert "SEN" in leak.to_text()
