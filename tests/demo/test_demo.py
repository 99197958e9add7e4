"""The demo, and what a stranger makes of its results with `datasets` alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from theval_datasets.errors import BuildError, MissingExtraError
from theval_datasets.utils.files import sha256_file

_RUN = "import sys; from theval_datasets.cli import main; main()"
_GENERATORS = {"sample-steady": 5, "sample-blurred": 5, "sample-late-mouth": 4}
_LOAD = """
import importlib.util, json
assert importlib.util.find_spec("theval_datasets") is None
assert importlib.util.find_spec("torch") is None
from datasets import load_dataset
rows = load_dataset("theval/theval")
assert list(rows) == ["train"], list(rows)
rated = load_dataset("theval/thqa-mt", split="train")
heads = load_dataset("theval/gen3dhf", split="train")
print(json.dumps([list(rows["train"]), list(rated), list(heads)]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict]:
    pytest.importorskip("espeakng_loader", reason="the demo needs the extra [demo]")
    pytest.importorskip("skimage", reason="the demo needs the extra [demo]")
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "demo", "-o", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.slow
def test_the_metrics_tell_the_clips_apart(made):
    _, report = made
    rows = {row["clip_id"]: row for row in report["rows"]}
    assert len(rows) == 9
    clear = rows["clear-en"]
    assert clear["lip_sync"] < rows["late-mouth-en"]["lip_sync"]
    assert clear["lip_dynamics"] > 3 * rows["still-mouth-en"]["lip_dynamics"]
    assert clear["silent_lip_stability"] < 0.1 * rows["late-mouth-en"]["silent_lip_stability"]
    assert clear["head_motion"] < 0.6 * rows["shaky-head-en"]["head_motion"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        ("no-face-es", "no-face"),
        ("digital-silence", "digital-silence"),
        ("no-audio", "no-audio"),
    ],
)
def test_what_is_undefined_is_null_with_its_reason(made, clip, reason):
    _, report = made
    (row,) = [row for row in report["rows"] if row["clip_id"] == clip]
    assert row["lip_sync"] is None
    assert any(entry.endswith(f":{reason}") for entry in row["missing"])
    assert (row["head_motion"] is None) == (clip == "no-face-es")


@pytest.mark.slow
def test_a_stranger_loads_it_with_datasets_alone(made, clean_env_python, tmp_path):
    folder, report = made
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTHON"))}
    done = subprocess.run(
        [clean_env_python, "-c", _LOAD],
        cwd=folder,
        env=plain | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, rated, heads = json.loads(done.stdout)
    names = list(report["rows"][0])
    assert [{name: row[name] for name in names} for row in loaded] == report["rows"]
    assert report["clips"] == {
        "theval/theval": 9,
        "theval/thqa-mt": len(rated),
        "theval/gen3dhf": len(heads),
    }
    of = {name: [r["mos"] for r in rated if r["generator"] == name] for name in _GENERATORS}
    assert {name: len(scores) for name, scores in of.items()} == _GENERATORS
    means = {name: sum(scores) / len(scores) for name, scores in of.items()}
    assert means["sample-steady"] > means["sample-late-mouth"] > means["sample-blurred"]
    assert {row["fold"] for row in rated} == set(range(5))
    late = [row for row in rated if row["generator"] == "sample-late-mouth"]
    assert all("Speaker mismatch" in row["distortions"] for row in late)
    assert min(r["lip_sync"] for r in late) > min(
        r["lip_sync"] for r in rated if r["generator"] == "sample-steady"
    )
    assert {row["seed"] for row in heads} == set(range(5))
    sharp = [row["quality_mos"] for row in heads if int(row["clip_id"][4:]) >= 200]
    assert len(sharp) == 5
    assert min(sharp) > max(r["quality_mos"] for r in heads if int(r["clip_id"][4:]) < 200)


@pytest.mark.slow
def test_cards_say_that_ratings_are_simulated(made):
    folder, _ = made
    for name in ("thqa-mt", "gen3dhf"):
        assert "no person gave them" in (folder / "theval" / name / "README.md").read_text()
    info = json.loads((folder / "theval" / "thqa-mt" / "info.json").read_text())
    assert (info["counts"]["attempted"], info["counts"]["succeeded"]) == (15, 14)


@pytest.mark.slow
def test_a_second_demo_gives_the_same_dataset(made):
    from theval_datasets.commands.demo import demo

    folder, report = made
    before = _hashes(folder / "theval")
    again = demo(folder, workers=1)
    assert list(again.rows) == report["rows"]
    assert _hashes(folder / "theval") == before
    assert "load_dataset" in again.to_text()


def test_without_its_extra_it_says_which_one(monkeypatch, tmp_path):
    from theval_datasets.commands.demo import demo

    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(MissingExtraError, match=r"\[demo\]"):
        demo(tmp_path)


def test_what_cannot_be_loaded_is_said(tmp_path):
    from theval_datasets.commands.demo import _load_afresh

    with pytest.raises(BuildError, match="could not open"):
        _load_afresh(tmp_path)


def _hashes(folder: Path) -> dict[str, str]:
    by_name = {str(p.relative_to(folder)): sha256_file(p) for p in folder.rglob("*") if p.is_file()}
    assert by_name
    return by_name
