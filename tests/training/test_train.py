"""`train` and `predict` from end to end, on datasets whose answer is known."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from feature_set import rated, write_set

import theval_datasets as td
from theval_datasets.errors import InputError
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


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "theval_datasets", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_the_commands(dataset, tmp_path):
    out = tmp_path / "metric"
    done = command(
        "train", dataset, "--features", "vst,identity_*", "--without", "identity_consistency",
        "--epochs", "5", "--json", "-o", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain = json.loads(done.stdout)
    assert plain["features"] == {"vst": 4}
    assert plain["parameters"]["epochs"] == 5
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "predictions.csv",
    ]  # fmt: skip
    done = command("predict", out, dataset)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "60 of 60 clips of theval/thqa-mt scored"
    assert lines[1].split()[0] == "clip-000"
    assert "trained on 60 of these clips" in done.stdout


def test_wrong_use_ends_with_a_message_and_code_2(dataset):
    done = command("train", dataset, "--target", "mso", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["message"].endswith("did you mean mos?")


def test_without_the_extra_the_message_names_it(dataset, monkeypatch, trained):
    from theval_datasets.errors import MissingExtraError
    from theval_datasets.utils import optional

    real = optional.available
    monkeypatch.setattr(optional, "available", lambda name: name != "sklearn" and real(name))
    with pytest.raises(MissingExtraError, match=r"extra \[train\].*of which sklearn is not"):
        td.train(dataset)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert len(td.predict(trained[0], dataset).clips) == 60  # scoring needs numpy and safetensors


def test_an_ablation_table_reads_as_one(dataset):
    report = td.train(dataset, ablation=True, parameters=ModelParameters(epochs=5))
    lines = report.to_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("tested on"))
    labels = [line.split("  ")[0] for line in lines[start + 1 : start + 5]]
    assert labels == ["all", "all, without vst", "all, without sapiens",
                      "all, without identity_consistency"]  # fmt: skip
    frame = report.to_polars()
    assert frame["without"].to_list() == [None, "vst", "sapiens", "identity_consistency"]
    assert {"srcc", "srcc_low", "srcc_high", "rmse"} <= set(frame.columns)


def test_a_parameter_of_the_other_model_is_refused(dataset):
    with pytest.raises(InputError, match="--trees is no parameter of the model evaltalker"):
        td.train(dataset, parameters=ModelParameters(trees=5))
