"""What the decoder remarks on reaches people: the manifest, `score`, `extract` and `missing`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from media_factory import ffmpeg

from theval_datasets.commands.build import build
from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.commands.score import score
from theval_datasets.commands.verify import verify
from theval_datasets.manifest.info import MEDIA_PROBLEM


@pytest.fixture(scope="module")
def videos(tmp_path_factory, media) -> Path:
    """A whole file, one that ends early, and one whose timestamps jump back."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "whole.mp4").write_bytes(media("plain").read_bytes())
    (folder / "truncated.mp4").write_bytes(media("truncated").read_bytes())
    part = folder / "part.ts"
    ffmpeg("-i", media("plain"), "-c", "copy", part)
    (folder / "twice.ts").write_bytes(part.read_bytes() * 2)
    part.unlink()
    return folder


def test_remarks_reach_people(videos, tmp_path):
    work, cache = tmp_path / "work", str(tmp_path / "cache")
    curate([str(videos)], work, cache=cache, workers=1)
    rows = {
        row["clip_id"]: row
        for row in map(json.loads, (work / "manifest.jsonl").read_text("utf-8").splitlines())
    }
    problems = {name: row["media"]["truncated"] for name, row in rows.items()}
    assert problems["whole"] is None
    assert "truncated" in problems["truncated"]
    assert "timestamps stop increasing" in problems["twice"]
    report = extract(work, features=["shots"], cache=cache, workers=1)
    assert {one.clip_id for one in report.remarks} == {"truncated", "twice"}
    assert "timestamps stop increasing" in report.to_text()
    sparse = extract(work, features=["picture"], cache=cache, workers=1)
    assert {(one.extractor, one.clip_id) for one in sparse.remarks} == {
        ("media", "truncated"), ("media", "twice"),
    }  # fmt: skip
    assert "media ok (truncated" in sparse.to_text()
    assert sparse.exit_code == 0
    scored = score([videos], cache=cache, workers=1)
    assert {Path(one.path).stem for one in scored.clips if one.problem} == {"truncated", "twice"}
    assert "timestamps stop increasing" in scored.to_text()
    built = build("theval", tmp_path / "out", manifest=work, cache=cache, configs=["features"])
    assert built.exit_code == 0
    import datasets

    folder = tmp_path / "out" / "theval" / "theval"
    table = datasets.load_dataset("parquet", data_files=str(folder / "features" / "*.parquet"))
    missing = {row["clip_id"]: row["missing"] for row in table["train"]}
    assert [MEDIA_PROBLEM in missing[name] for name in ("whole", "truncated", "twice")] == [
        False, True, True,
    ]  # fmt: skip
    assert verify(folder).exit_code == 0
