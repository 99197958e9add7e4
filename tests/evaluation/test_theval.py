"""Scores, leaderboard and human preference."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from theval_datasets import evaluation
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.evaluation import (
    combine,
    leaderboard,
    normalised_score,
    preference_correlation,
    published_finals,
    published_leaderboard,
    published_reference,
    rank_of,
    read_reference,
    score,
    user_study_score,
)
from theval_datasets.evaluation.theval import METRICS


def test_the_published_finals_are_the_means_of_the_eight():
    board = {entry.model: entry for entry in published_leaderboard()}
    assert len(board) == 17
    for model, printed in published_finals().items():
        assert board[model].final == pytest.approx(printed, abs=1e-4), model


@pytest.mark.real
def test_the_shipped_table_is_the_golden_one(shared_data: Path):
    with (shared_data / "golden" / "theval_table1.csv").open() as stream:
        rows = {row["model"]: row for row in csv.DictReader(stream)}
    board = published_leaderboard()
    assert {entry.model for entry in board} == set(rows)
    for entry in board:
        row = rows[entry.model]
        assert entry.rank == int(row["rank"])
        assert entry.kind == row["type"]
        assert entry.final == pytest.approx(float(row["mean_exact"]), abs=1e-12)
        assert all(entry.normalised[name] == float(row[name]) for name in METRICS)
    assert [entry.rank for entry in board] == list(range(1, 18))


@pytest.mark.real
def test_the_totals_of_rsatalkers_user_study(shared_data: Path):
    with (shared_data / "golden" / "rsatalker_table3.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4
    for row in rows:
        numbers = {name: float(value) for name, value in row.items() if name != "method"}
        result = user_study_score(numbers)
        assert result.total == pytest.approx(numbers["total_from_subcriteria"], abs=5e-4)
        assert result.total == pytest.approx(numbers["total"], abs=0.1)
        for group, printed in (
            ("realism", "realism_mean"),
            ("fluency", "fluency_mean"),
            ("social_relationship", "sra_mean"),
        ):
            assert result.groups[group] == pytest.approx(numbers[printed], abs=0.051)


def test_user_studies_that_do_not_fit():
    full = {name: 50.0 for names in evaluation.rsatalker.CRITERIA.values() for name in names}
    assert user_study_score(full).total == 50
    with pytest.raises(InputError, match="missing the sub-criteria lip_sync"):
        user_study_score({name: v for name, v in full.items() if name != "lip_sync"})
    with pytest.raises(InputError, match="between 0 and 100"):
        user_study_score({**full, "lip_sync": 101})


def test_normalised_scores():
    assert normalised_score(2.0, 2.0) == 1
    assert normalised_score(3.0, 2.0) == 0.5
    assert normalised_score(6.0, 2.0) == -1  # not clamped
    assert normalised_score(-1.0, -2.0) == 0.5
    assert normalised_score(None, 2.0) is None
    assert normalised_score(1.0, 0.0) is None


def test_real_videos_score_one():
    reference = published_reference()
    assert reference.definition == "release"
    assert reference.values["head_motion"] == 18.46757
    result = score(reference.values, reference)
    assert result.final == 1
    assert result.partial is None
    assert result.dimensions == {"quality": 1, "naturalness": 1, "synchronization": 1}


def test_each_dimension_is_the_mean_of_its_metrics():
    values = {
        "global_aesthetics": 0.1, "mouth_quality": 0.2, "face_quality": 0.6,
        "lip_dynamics": 0.5, "head_motion": 0.7, "eyebrow_dynamics": 0.9,
        "silent_lip_stability": 0.2, "lip_sync": 0.8,
    }  # fmt: skip
    found = combine(values)
    assert found.dimensions == pytest.approx(
        {"quality": 0.3, "naturalness": 0.7, "synchronization": 0.5}
    )
    assert found.final == pytest.approx(0.5)


def test_a_missing_metric_leaves_a_partial_mean_and_no_final():
    reference = published_reference()
    result = score({**reference.values, "lip_sync": None}, reference)
    assert result.final is None
    assert result.partial.n == 7
    assert result.partial.value == 1
    assert result.dimensions["synchronization"] is None
    assert result.dimensions["quality"] == 1
    assert score({}, reference).partial.value is None
    with pytest.raises(UnknownNameError, match="lip_sync"):
        score({"lipsync": 1.0}, reference)


def test_ranks_share_and_the_unscored_come_last():
    row = dict.fromkeys(METRICS, 0.9)
    board = leaderboard({"b": row, "a": row, "c": dict.fromkeys(METRICS, 0.5), "d": {}})
    assert [(e.model, e.rank) for e in board] == [("a", 1), ("b", 1), ("c", 3), ("d", None)]
    assert rank_of(0.7, [0.9, 0.9, 0.5]) == 3
    assert combine(row).final == pytest.approx(0.9)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float64("nan")])
def test_a_value_that_is_not_finite_is_refused_rather_than_ranked_first(value):
    row = {**dict.fromkeys(METRICS, 0.9), "lip_sync": value}
    for given in (
        lambda: leaderboard({"a": row, "b": dict.fromkeys(METRICS, 0.5)}),
        lambda: combine(row),
        lambda: combine({"lip_sync": value}),
        lambda: normalised_score(value, 1.0),
        lambda: normalised_score(1.0, value),
        lambda: score(row, published_reference()),
    ):
        with pytest.raises(InputError, match="give None for what is undefined"):
            given()


def test_a_reference_of_zero_normalises_nothing():
    assert normalised_score(0.0, 0.0) is None
    assert normalised_score(3.0, -2.0) == 1 - 5 / 2
    assert normalised_score(1.0, 4.0) == 0.25


def test_references_are_read(tmp_path):
    path = tmp_path / "gt.csv"
    path.write_text(",".join(METRICS) + "\n" + ",".join("12345678"[:8]) + "\n")
    assert read_reference(path, definition="paper").values["lip_sync"] == 8
    path.write_text(",".join(METRICS) + "\n" + "1,,3,4,5,6,7,8\n")
    assert "mouth_quality" not in read_reference(path, definition="paper").values
    path.write_bytes(
        (";".join(METRICS) + "\r\n1,5;;3;4;5;6;7;8,25\r\n").encode("utf-16")
    )  # Excel's
    values = read_reference(path, definition="paper").values
    assert (values[METRICS[0]], values[METRICS[7]], len(values)) == (1.5, 8.25, 7)
    path.write_text(",".join((*METRICS, METRICS[0])) + "\n1,2,3,4,5,6,7,8,9\n")
    with pytest.raises(InputError, match="several columns are named"):
        read_reference(path, definition="paper")
    path.write_text(",".join(METRICS) + "\n" + "1,2,3,4,5,6,7,8\n" * 2)
    with pytest.raises(InputError, match="one row of values, got 2"):
        read_reference(path, definition="paper")
    path.write_text(",".join(METRICS) + "\n" + "1,x,3,4,5,6,7,8\n")
    with pytest.raises(InputError, match="mouth_quality, got 'x'"):
        read_reference(path, definition="paper")
    for text in ("nan", "inf", "-Infinity"):
        path.write_text(",".join(METRICS) + "\n" + f"1,{text},3,4,5,6,7,8\n")
        with pytest.raises(InputError, match=f"finite number in mouth_quality, got '{text}'"):
            read_reference(path, definition="paper")
    path.write_text("lip_sync\n1\n")
    with pytest.raises(InputError, match="missing the columns global_aesthetics"):
        read_reference(path, definition="paper")
    with pytest.raises(InputError, match="no reference file"):
        read_reference(tmp_path / "none.csv", definition="paper")


def test_preference_is_given_with_and_without_real_videos():
    finals = {entry.model: entry.final for entry in published_leaderboard()}
    rng = np.random.default_rng(0)
    rates = {model: value + rng.normal(0, 0.1) for model, value in finals.items()}
    result = preference_correlation({**finals, "GT": 1.0}, {**rates, "GT": 0.99})
    assert result["with"].interval.value > result["without"].interval.value
    assert len(result["with"].models) == 18
    assert result["without"].interval.low < result["without"].interval.value
    assert result["without"].p_value < 0.05
    assert set(preference_correlation(finals, rates)) == {"without"}
    with pytest.raises(InputError, match="three models"):
        preference_correlation(finals, {"Hallo2": 0.5})


def test_importing_costs_nothing():
    code = (
        "import sys, theval_datasets.evaluation as e; assert 'srcc' in dir(e);"
        "heavy = {'numpy', 'scipy', 'polars', 'pandas', 'yaml', 'matplotlib'} & set(sys.modules);"
        "assert not heavy, heavy; from theval_datasets.evaluation import *; srcc"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(evaluation.__all__) == set(evaluation._MODULE_OF)
    with pytest.raises(AttributeError, match="scrr"):
        evaluation.scrr  # noqa: B018
