"""`train` and `predict` from end to end, on datasets whose answer is known."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from feature_set import rated, write_set
from typer.testing import CliRunner

import theval_datasets as td
from theval_datasets.cli import app
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


def test_clips_of_training_that_are_unknown_are_not_called_new(trained, dataset, tmp_path):
    metric = tmp_path / "metric"
    shutil.copytree(trained[0], metric)
    (metric / "predictions.csv").unlink()
    report = td.predict(metric, dataset)
    plain = json.loads(json.dumps(report.to_plain()))
    assert (plain["trained_on"], plain["agreement"]) == (None, None)
    assert "no predictions.csv" in report.to_text()
    assert "not trained" not in report.to_text()


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
        capture_output=True, text=True, check=False,
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
    with pytest.raises(InputError, match="--trees is not a parameter of the model evaltalker"):
        td.train(dataset, parameters=ModelParameters(trees=5))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two datasets of the same clip ids and features, of different clips."""
    place = tmp_path_factory.mktemp("pair")
    second = rated(40, seed=1)
    second["sha256"] = [f"{i:064x}" for i in range(100, 140)]
    second["content_id"] = [f"other-{i}" for i in range(40)]
    return write_set(place / "a", rated(), name="a"), write_set(place / "b", second, name="b")


def test_several_datasets_are_trained_on_and_tested_each(pair, tmp_path):
    report = td.train(
        pair, tmp_path / "metric", features="vst,identity_consistency", parameters=FAST
    )
    plain = report.to_plain()
    assert plain["dataset"] == "theval/a + theval/b"
    assert plain["version"] == "0.1.0 + 0.1.0"
    assert plain["clips"] == 100
    assert {(result.tested_on, result.trained_on, result.n) for result in report.results} == {
        (None, "all", 100),
        ("theval/a", "all", 60), ("theval/a", "same-set", 60), ("theval/a", "other-sets", 60),
        ("theval/b", "all", 40), ("theval/b", "same-set", 40), ("theval/b", "other-sets", 40),
    }  # fmt: skip
    others = {
        result.tested_on: result for result in report.results if result.trained_on == "other-sets"
    }
    assert others["theval/b"].measures["srcc"].mean > 0.6  # what the one teaches holds in the other
    card = (tmp_path / "metric" / "README.md").read_text()
    assert "datasets:\n- theval/a\n- theval/b\n" in card
    scored = td.predict(tmp_path / "metric", pair[1])
    assert scored.n_seen == 40


def test_a_list_of_one_dataset_is_that_dataset(dataset):
    names = ("vst", "identity_consistency")
    first, many = (td.train(x, features=names, parameters=FAST) for x in (dataset, [str(dataset)]))
    assert first.to_plain() == many.to_plain()
    with pytest.raises(InputError, match="at least one dataset"):
        td.train([])


def test_datasets_that_do_not_go_together(pair, tmp_path):
    a, _ = pair
    with pytest.raises(InputError, match="different datasets, got theval/a twice"):
        td.train([a, a])
    columns = rated(20)
    columns["vst"] = pa.array([[1.0, 2.0]] * 20)
    sizes = write_set(tmp_path / "sizes", columns, name="sizes")
    with pytest.raises(InputError, match=r"column vst, got 4 in theval/a, 2 in theval/sizes"):
        td.train([a, sizes])
    columns = rated(20)
    columns["vst"] = ["x"] * 20
    text = write_set(tmp_path / "text", columns, name="text")
    with pytest.raises(InputError, match=r"column vst is .* in theval/a and string in theval/text"):
        td.train([a, text])
    columns = rated(20)
    columns["dataset"] = ["x"] * 20
    taken = write_set(tmp_path / "taken", columns, name="taken")
    with pytest.raises(InputError, match="theval/taken has a column dataset"):
        td.train([a, taken])


def test_features_of_other_weights_or_origins_are_not_mixed(tmp_path):
    sets = [
        write_set(tmp_path / name, rated(seed=seed), name=name, weights={"vst": name})
        for seed, name in enumerate("ab")
    ]
    with pytest.raises(InputError, match=r"vst cannot be compared .* other weights in theval/b"):
        td.train(sets, parameters=FAST)
    assert td.train(sets, without="vst", parameters=FAST).to_plain()["clips"] == 120
    other = write_set(tmp_path / "c", rated(), name="c", origins={"sapiens": "features"})
    with pytest.raises(
        InputError, match=r"sapiens .* comes from sapiens in theval/a and from features"
    ):
        td.train([sets[0], other], without="vst", parameters=FAST)


def test_what_one_dataset_lacks_is_left_out(pair, tmp_path):
    a, _ = pair
    columns = rated(40, seed=2)
    del columns["sapiens"]
    without = write_set(tmp_path / "c", columns, name="c")
    report = td.train([a, without], parameters=FAST)
    plain = report.to_plain()
    assert set(plain["features"]) == {"vst", "identity_consistency"}
    assert plain["without_values"]["sapiens"] == "no value in theval/c"
    assert plain["without_values"]["qwen_sync"].startswith("weights-missing in 100 clips")
    with pytest.raises(InputError, match=r"sapiens \(no value in theval/c\)"):
        td.train([a, without], features="sapiens", parameters=FAST)


def test_the_command_takes_several_datasets(pair):
    words = ["train", *map(str, pair), "--features", "identity_consistency", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dataset"] == "theval/a + theval/b"


def test_scores_on_different_scales_are_not_mixed(pair, tmp_path):
    a, _ = pair
    columns = rated(40, seed=2)
    largest = max(rated()["mos"])
    for factor, fits in ((1.99, True), (2.01, False), (0.49, False), (20, False)):
        scaled = [score * factor * largest / max(columns["mos"]) for score in columns["mos"]]
        other = write_set(tmp_path / str(factor), {**columns, "mos": scaled}, name="other")
        if fits:
            assert td.train([a, other], parameters=FAST).to_plain()["clips"] == 100
            continue
        with pytest.raises(InputError, match=r"mos on one scale .* theval/a, .* in theval/other"):
            td.train([a, other], parameters=FAST)
