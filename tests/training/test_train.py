"""`train` and `predict` from end to end, on datasets whose answer is known."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from feature_set import rated, write_set

import theval_datasets as td
from theval_datasets.training.parameters import ModelParameters

pytest.importorskip("sklearn", reason="the extra [train] is not installed")
pytest.importorskip("safetensors", reason="the extra [train] is not installed")

FAST = ModelParameters()
SMALL = ModelParameters(trees=40)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set") / "rated", rated())


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("metric")
    return out, td.train(dataset, out, parameters=FAST)


@pytest.mark.parametrize(("model", "parameters"), [("evaltalker", FAST), ("forest", SMALL)])
def test_it_learns_what_is_there(dataset, model, parameters):
    names = ("vst", "sapiens", "identity_consistency")
    report = td.train(dataset, model=model, features=names, parameters=parameters)
    plain = json.loads(json.dumps(report.to_plain(), allow_nan=False))
    srcc = plain["results"][0]["measures"]["srcc"]
    assert srcc["n"] == 5
    assert srcc["mean"] > 0.6
    assert srcc["low"] < srcc["mean"] < srcc["high"]
    assert plain["clips"] == 60
    assert report.files == ()


def test_what_the_paper_uses_is_used(trained):
    _, report = trained
    plain = report.to_plain()
    assert plain["features"] == {"vst": 4, "sapiens": 3, "identity_consistency": 1}
    assert plain["without_values"] == {"qwen_sync": "weights-missing in 60 clips"}
    assert "no values (weights-missing in 60 clips): qwen_sync" in report.to_text()


def test_scores_that_follow_nothing_are_not_learnt(tmp_path):
    columns = rated(100)
    columns["mos"] = np.random.default_rng(7).permutation(columns["mos"]).tolist()
    report = td.train(write_set(tmp_path / "set", columns), parameters=FAST)
    assert abs(report.results[0].measures["srcc"].mean) < 0.35


def test_predictions_are_those_of_the_metric(trained, dataset, tmp_path):
    out, _ = trained
    report = td.predict(out, dataset, tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["clip_id"] for row in rows] == [f"clip-{i:03}" for i in range(60)]
    assert [float(row["score"]) for row in rows] == [clip.score for clip in report.clips]
    assert report.n_seen == 60
    assert report.agreement is None  # of clips that it was trained on it would say nothing
    assert report.exit_code == 0


def test_new_clips_are_judged_against_their_scores(trained, tmp_path):
    out, _ = trained
    columns = rated(40, seed=3)
    columns["clip_id"] = [f"new-{i}" for i in range(40)]
    columns["sha256"] = [f"{i:064x}" for i in range(30, 70)]  # half of them are known files
    report = td.predict(out, write_set(tmp_path / "new", columns))
    assert report.n_seen == 30
    assert report.agreement.n == 10
    assert report.agreement.srcc > 0.5
