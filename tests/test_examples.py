"""The examples do what they say, on sets small enough to know the answer."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from feature_set import rated, write_set

from theval_datasets.evaluation import published_leaderboard, published_reference
from theval_datasets.evaluation.theval import METRICS


def load_example(repo: Path, name: str, monkeypatch):
    spec = importlib.util.spec_from_file_location(name, repo / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_train_metric_compares_two_models(repo, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="the extra [train] is not installed")
    example = load_example(repo, "train_metric", monkeypatch)
    made = write_set(tmp_path / "set", rated())
    given = ["train_metric.py", str(made), "--features", "vst,identity_consistency"]
    monkeypatch.setattr(sys, "argv", given)
    assert example.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " on 2 features: " in line] == [
        "evaltalker", "forest",
    ]  # fmt: skip
    gain = re.fullmatch(
        r"SRCC .*, over 5 folds: ([+-][\d.]+) \[([+-][\d.]+), ([+-][\d.]+)\]", lines[-1]
    )
    low, high = float(gain[2]), float(gain[3])
    assert low < float(gain[1]) < high


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
    by_name = {"ann-1": unit[0], "ann-2": (unit[0] + unit[1]) / 2**0.5, "bo-1": unit[2]}
    monkeypatch.setattr(example, "embeddings", lambda folder, pack: by_name)
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
    result = example.embeddings(shared_data / "media" / "portraits")
    assert len(result) == 9
    pairs = {(a, b): float(result[a] @ result[b]) for a in result for b in result if a < b}
    same = [s for (a, b), s in pairs.items() if example.person_of(a) == example.person_of(b)]
    different = [s for (a, b), s in pairs.items() if example.person_of(a) != example.person_of(b)]
    assert (len(same), len(different)) == (3, 33)
    assert min(same) >= 0.5
    assert max(different) <= 0.35
    assert example.area_under_roc(np.array(same), np.array(different)) == 1.0
