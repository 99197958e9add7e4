"""What a stranger sees: `datasets` alone, without this package, torch, or a decoder."""

from __future__ import annotations

from pathlib import Path

import pytest
from clean_environment import load_in
from feature_factory import values

SCRIPT = """
import importlib.util, json
assert importlib.util.find_spec("torch") is None
assert importlib.util.find_spec("theval_datasets") is None
from datasets import load_dataset
rows = load_dataset("theval/theval", split="train")
table = rows.to_pandas()
rows = frames = load_dataset("theval/theval", "landmarks", split="train")
rows = rows.filter(lambda row: row["clip_id"] == "talk-0-800")
READER
print(json.dumps({
    "ids": table["clip_id"].tolist(),
    "lip_sync": [None if v != v else v for v in table["lip_sync"]],
    "frames": frames.num_rows,
    "mesh": list(pixels.shape),
    "first": pixels[0, 0].tolist(),
    "version": str(rows.version),
}))
"""


@pytest.mark.slow
def test_plain_datasets_loads_it(clean_env_python: Path, build, tmp_path: Path):
    from theval_datasets.builders.theval import Theval

    folder = build(version="0.3.0").folder
    script = SCRIPT.replace("READER", Theval.builder_configs["landmarks"].reader)
    found = load_in(clean_env_python, script, folder.parents[1], tmp_path / "hf")
    assert found["ids"] == ["mute", "room", "talk-0-800", "talk-800-1600"]
    assert found["lip_sync"] == [None, None, 0.25, 0.25]
    assert found["frames"] == 4
    assert found["mesh"] == [18, 478, 3]
    assert found["version"] == "0.3.0"
    expected = values(1)["landmarks"]["mesh"][0, 0] / 16384 * [512, 384, 512]
    assert found["first"] == pytest.approx(expected.tolist(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [
        ("thqa", "thqa", {"train": 800}),
        ("thqa-ntire", "thqa_ntire", {"train": 8927, "validation": 1714, "test": 1606}),
        ("gen3dhf", "gen3dhf_release", {"train": 1600, "test": 400}),
    ],
)
def test_public_scores_load_there(clean_env_python, shared_data, tmp_path, name, source, rows):
    from theval_datasets.commands.build import build as command

    command(name, tmp_path, release=shared_data / "public" / source)
    script = f"""
import json
from datasets import load_dataset
loaded = load_dataset("theval/{name}")
print(json.dumps({{split: rows.num_rows for split, rows in loaded.items()}}))
"""
    assert load_in(clean_env_python, script, tmp_path, tmp_path / "hf") == rows
