from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from feature_factory import DECODER, Corpus, row, small_corpus, values

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.commands.diff import diff
from theval_datasets.errors import InputError
from theval_datasets.extraction.outcomes import Feature, Outcome


def build(corpus: Corpus, out: Path, **options) -> Path:
    inputs = Inputs(corpus.manifest, corpus.cache)
    return write_release(Theval, inputs, out, decoder=DECODER, **options).folder


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    return small_corpus(tmp_path / "corpus")


def put(corpus: Corpus, name: str, seed: int, change) -> None:
    result = values(seed)
    change(result)
    clip = next(r for r in corpus.rows if r.clip_id == name)
    corpus.rows.remove(clip)
    corpus.add(clip, {k: Feature(Outcome("ok"), v) for k, v in result.items()})


def test_the_same(corpus, tmp_path):
    first, two = build(corpus, tmp_path / "1"), build(corpus, tmp_path / "2", version="0.1.1")
    report = diff(first, two)
    assert report.same
    assert report.exit_code == 0
    assert "the tables are the same" in report.to_text()
    assert report.to_plain()["configs"]["features"]["common"] == 4


def test_rows_columns_and_values(corpus, tmp_path):
    earlier = build(corpus, tmp_path / "1")
    corpus.rows = [r for r in corpus.rows if r.clip_id != "room"]
    corpus.add(row("zebra"))

    def change(found):
        found["theval_signals"]["head_motion"] = np.array(12.75)
        found["theval_signals"]["lip_sync"] = np.array(0.25 * (1 + 1e-12))
        found["landmarks"]["mesh"][3, 7, 1] += 5

    put(corpus, "talk-0-800", 1, change)
    two = build(corpus, tmp_path / "2", version="0.2.0")
    info = json.loads((two / "info.json").read_text())
    info["tombstones"] = [{"clip_id": "room", "date": "2026-01-31"}]
    (two / "info.json").write_text(json.dumps(info))
    report = diff(earlier, two)
    features = report.configs["features"]
    assert features.added == ("zebra",)
    assert features.removed == features.taken_down == ("room",)
    assert features.common == 3
    assert set(features.values) == {"head_motion"}
    assert features.values["head_motion"].rows == 1
    assert features.values["head_motion"].largest == pytest.approx(0.5)
    landmarks = report.configs["landmarks"]
    assert set(landmarks.values) == {"mesh"}
    assert landmarks.values["mesh"].largest == 5
    text = report.to_text()
    assert "1 rows taken down: room" in text
    assert "head_motion changed in 1 of 3 rows, by up to 0.5" in text
    assert "removed" not in text
    exact = diff(earlier, two, tolerance=0).configs["features"].values
    assert set(exact) == {"head_motion", "lip_sync"}
    assert "head_motion" not in diff(earlier, two, tolerance=0.1).configs["features"].values


def test_null_against_a_value(corpus, tmp_path):
    earlier = build(corpus, tmp_path / "1")
    put(corpus, "talk-0-800", 1, lambda result: result["theval_signals"].pop("lip_sync"))
    report = diff(earlier, build(corpus, tmp_path / "2"))
    change = report.configs["features"].values["lip_sync"]
    assert (change.rows, change.largest) == (1, None)
    assert report.configs["features"].values["missing"].rows == 1


def test_splits_and_configs(corpus, tmp_path):
    earlier = build(corpus, tmp_path / "1")
    from msgspec.structs import replace

    moved = [replace(r, split="test") if r.clip_id == "mute" else r for r in corpus.rows]
    corpus.rows = moved[:-1]
    corpus.add(moved[-1])
    two = build(corpus, tmp_path / "2", configs=["features"])
    report = diff(earlier, two)
    assert report.configs["features"].moved == {"mute": ("train", "test")}
    assert report.configs_removed == ("landmarks",)
    assert diff(two, earlier).configs_added == ("landmarks",)


def test_columns(corpus, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "further.parquet"
    pq.write_table(pa.table({"clip_id": ["room"], "x": [1]}), path)
    earlier = build(corpus, tmp_path / "1")
    inputs = Inputs(corpus.manifest, corpus.cache, tables={"features": path})
    two = write_release(Theval, inputs, tmp_path / "2", decoder=DECODER).folder
    pq.write_table(pa.table({"clip_id": ["room"], "x": [1.0]}), path)
    inputs = Inputs(corpus.manifest, corpus.cache, tables={"features": path})
    three = write_release(Theval, inputs, tmp_path / "3", decoder=DECODER).folder
    assert diff(earlier, two).configs["features"].columns_added == ("x",)
    assert diff(two, earlier).configs["features"].columns_removed == ("x",)
    assert diff(two, three).configs["features"].columns_retyped == {
        "x": ("Value('int64')", "Value('float64')")
    }


def test_what_computed_otherwise_is_named(corpus, tmp_path):
    earlier = build(corpus, tmp_path / "1")
    two = build(corpus, tmp_path / "2")
    info = json.loads((two / "info.json").read_text())
    info["extractors"]["vad"]["version"] = 2
    (two / "info.json").write_text(json.dumps(info))
    assert diff(earlier, two).extractors == ("vad",)


def test_wrong_use(corpus, tmp_path):
    earlier = build(corpus, tmp_path / "1")
    with pytest.raises(InputError, match="not a built dataset"):
        diff(earlier, tmp_path)
    with pytest.raises(InputError, match="tolerance"):
        diff(earlier, earlier, tolerance=2)
    two = build(corpus, tmp_path / "2")
    info = json.loads((two / "info.json").read_text())
    info["dataset"] = "theval/other"
    (two / "info.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match="only versions of one dataset"):
        diff(earlier, two)
