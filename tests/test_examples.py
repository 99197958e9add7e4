"""The examples do what they say, on sets small enough to know the answer."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from theval_datasets.evaluation import published_leaderboard, published_reference
from theval_datasets.evaluation.theval import METRICS

_CARD = """\
---
configs:
- config_name: features
  data_files: [{split: train, path: features/train.parquet}]
---
"""


def load_example(repo: Path, name: str, monkeypatch):
    spec = importlib.util.spec_from_file_location(name, repo / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def dataset(folder: Path, n: int = 120) -> Path:
    """Scores that follow `sharp` and the embedding, five folds, nulls in a feature."""
    rng = np.random.default_rng(0)
    sharp, embedding = rng.normal(size=n), rng.normal(size=(n, 4))
    mos = 2.5 + 0.6 * sharp + 0.4 * embedding[:, 1]
    table = pa.table(
        {
            "clip_id": [f"clip-{i}" for i in range(n)],
            "generator": ["a"] * n,
            "sharp": [None if i % 10 == 0 else float(v) for i, v in enumerate(sharp)],
            "never": pa.array([None] * n, pa.float64()),
            "arcface": [row.tolist() for row in embedding.astype(np.float32)],
            "mos": mos,
            "mos_std": rng.random(n),
            "quality_level": ["good"] * n,
            "fold": [i % 5 for i in range(n)],
        }
    )
    (folder / "features").mkdir(parents=True)
    pq.write_table(table, folder / "features" / "train.parquet")
    (folder / "README.md").write_text(_CARD)
    return folder


def test_train_metric_learns_and_does_not_look_at_the_answer(repo, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    example = load_example(repo, "train_metric", monkeypatch)
    monkeypatch.setattr(example, "TREES", 40)
    table = example.read(str(dataset(tmp_path / "set")))
    assert table.names == ["sharp", *(f"arcface[{i}]" for i in range(4))]
    assert np.isnan(table.features[0, 0])
    found = example.cross_validate(table, example.trees)
    assert {len(values) for values in found.values()} == {5}
    mean, half = example.interval(found["SRCC"])
    assert mean > 0.6
    assert 0 < half < 0.4
    shuffled = np.random.default_rng(1).permutation(table.scores)
    random = example.Table(table.names, table.features, shuffled, table.folds)
    assert abs(example.interval(example.cross_validate(random, example.trees)["SRCC"])[0]) < 0.35


def test_the_regressor_learns(repo, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the regressor needs torch")
    example = load_example(repo, "train_metric", monkeypatch)
    table = example.read(str(dataset(tmp_path / "set")))
    assert example.interval(example.cross_validate(table, example.regressor)["SRCC"])[0] > 0.7


def test_train_metric_says_what_it_measured(repo, tmp_path):
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, repo / "examples" / "train_metric.py", dataset(tmp_path / "set"),
         "--model", "trees"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head == "120 clips, 5 features, 5 folds"
    assert [word for word in line.split() if word.isalpha()] == [
        "trees", "SRCC", "PLCC", "KRCC", "RMSE",
    ]  # fmt: skip


def test_interval_is_students(repo, monkeypatch):
    example = load_example(repo, "train_metric", monkeypatch)
    mean, half = example.interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_the_leaderboard_holds_a_model_like_real_videos_first(repo, tmp_path, monkeypatch):
    example = load_example(repo, "theval_leaderboard", monkeypatch)
    real = published_reference().values
    path = tmp_path / "mine.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(METRICS)
        writer.writerow([real[name] * 0.5 for name in METRICS])
        writer.writerow([real[name] * 1.5 for name in METRICS])
    rows = example.board(example.read_means(path), "mine")
    assert rows[0]["model"] == "mine"
    assert rows[0]["final"] == pytest.approx(1.0)
    assert [row["rank"] for row in rows] == list(range(1, 19))
    assert [row["model"] for row in rows[1:]] == [e.model for e in published_leaderboard()]
    assert "mine" in example.line(rows[0])


def test_a_model_without_all_metrics_has_no_rank(repo, tmp_path, monkeypatch):
    example = load_example(repo, "theval_leaderboard", monkeypatch)
    mean = {name: {"value": 1.0, "n": 2} for name in METRICS} | {
        "lip_sync": {"value": None, "n": 0}
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"definition": "release", "mean": mean}))
    rows = example.board(example.read_means(path), "mine")
    assert (rows[-1]["model"], rows[-1]["rank"], rows[-1]["final"]) == ("mine", None, None)
    assert "–" in example.line(rows[-1])
    path.write_text(json.dumps({"definition": "paper", "mean": mean}))
    with pytest.raises(SystemExit, match="release"):
        example.read_means(path)


def test_generated_clips_are_compared_with_their_partners(
    repo, media, monkeypatch, tmp_path, capsys
):
    example = load_example(repo, "compare_with_real", monkeypatch)
    for folder, name in (("real", "plain"), ("generated", "vp9")):
        (tmp_path / folder).mkdir()
        clip = media(name)
        (tmp_path / folder / f"a{clip.suffix}").symlink_to(clip)
    table = tmp_path / "lse.csv"
    table.write_text("clip_id,lse_c,lse_d\na,6.5,7.25\n")
    folders = [str(tmp_path / "real"), str(tmp_path / "generated")]
    given = ["--cache", str(tmp_path / "cache"), "--lse", str(table)]
    monkeypatch.setattr(sys, "argv", ["compare_with_real.py", *folders, *given])
    assert example.main() == 0
    names, first, mean = (line.split() for line in capsys.readouterr().out.splitlines())
    row = dict(zip(names, first, strict=True))
    assert 20 < float(row["psnr"]) < 50
    assert (row["lmd_f"], row["lse_c"], row["lse_d"]) == ("-", "6.5000", "7.2500")
    assert (first[:-1], mean[-1]) == (mean[:-1], "mean")
    monkeypatch.setattr(sys, "argv", ["compare_with_real.py", folders[0], str(tmp_path / "cache")])
    with pytest.raises(SystemExit, match="same name"):
        example.main()


def test_portraits_are_compared_person_by_person(repo, monkeypatch, tmp_path, capsys):
    example = load_example(repo, "portrait_identity", monkeypatch)
    assert [example.person_of(n) for n in ("ann-1", "ann_22", "bo3", "cy")] == [
        "ann", "ann", "bo", "cy",
    ]  # fmt: skip
    unit = np.eye(3)
    found = {"ann-1": unit[0], "ann-2": (unit[0] + unit[1]) / 2**0.5, "bo-1": unit[2]}
    monkeypatch.setattr(example, "embeddings", lambda folder, pack: found)
    monkeypatch.setattr(sys, "argv", ["portrait_identity.py", str(tmp_path)])
    assert example.main() == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 pairs of one person >= 0.707, 2 of two people <= 0.000, AUC 1.000"
    assert example.area_under_roc(np.array([0.5, 0.1]), np.array([0.1])) == 0.75


@pytest.mark.real
def test_the_pack_of_the_tests_tells_people_apart(repo, shared_data, monkeypatch):
    pytest.importorskip("insightface", reason="the extra [faces] is not installed")
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    example = load_example(repo, "portrait_identity", monkeypatch)
    found = example.embeddings(shared_data / "media" / "portraits")
    assert len(found) == 9
    pairs = {(a, b): float(found[a] @ found[b]) for a in found for b in found if a < b}
    same = [s for (a, b), s in pairs.items() if example.person_of(a) == example.person_of(b)]
    different = [s for (a, b), s in pairs.items() if example.person_of(a) != example.person_of(b)]
    assert (len(same), len(different)) == (3, 33)
    assert min(same) >= 0.5
    assert max(different) <= 0.35
    assert example.area_under_roc(np.array(same), np.array(different)) == 1.0
