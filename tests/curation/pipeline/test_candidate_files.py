"""Files of candidates: cut once, kept while they are candidates, and told of at the end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from theval_datasets.curation.clips.adopt import place
from theval_datasets.curation.clips.cut import Encoding
from theval_datasets.curation.pipeline import candidate_files as cuts
from theval_datasets.curation.pipeline.candidate_files import cut_all, forget_others
from theval_datasets.curation.pipeline.candidates import Material
from theval_datasets.curation.pipeline.disk import disk_use
from theval_datasets.curation.recipes.recipe import Recipe
from theval_datasets.curation.segmentation.spans import Span
from theval_datasets.curation.sources.base import SourceFile
from theval_datasets.manifest.rows import Source
from theval_datasets.utils.files import sha256_file

RECIPE = Recipe("r", "One.", cut="spans", encoding=Encoding(preset="ultrafast"))


@pytest.fixture
def spans(media, tmp_path):
    path = Path(shutil.copy(media("plain"), tmp_path / "plain.mp4"))
    material = Material("plain", SourceFile(path, path.name, "in", Source("local", "")), "0" * 64)
    return [
        (f"plain-{first}", material, Span(first, first + 10, first / 25, (first + 10) / 25))
        for first in (0, 10, 20)
    ]


def counted(monkeypatch):
    made = []
    real = cuts.cut
    monkeypatch.setattr(cuts, "cut", lambda *a: made.append(a[2].stem) or real(*a))
    return made


def test_nothing_is_cut_twice(spans, tmp_path, monkeypatch):
    first, lost = cut_all(spans, RECIPE, tmp_path, 1)
    assert [one.clip_id for one in first] == ["plain-0", "plain-10", "plain-20"]
    assert lost == []
    made = counted(monkeypatch)
    index = tmp_path / ".candidates/index.jsonl"
    with index.open("a") as stream:
        stream.write('{"clip_id": "torn')  # a killed run
    assert cut_all(spans, RECIPE, tmp_path, 1)[0] == first
    assert made == []
    (tmp_path / ".candidates/plain-10.mp4").unlink()
    assert cut_all(spans, RECIPE, tmp_path, 1)[0] == first
    assert made == ["plain-10"]
    assert {json.loads(line)["clip_id"] for line in index.read_text().splitlines()} == {
        one.clip_id for one in first
    }


def test_another_encoding_or_span_is_cut_again(spans, tmp_path, monkeypatch):
    cut_all(spans, RECIPE, tmp_path, 1)
    made = counted(monkeypatch)
    cut_all(spans, replace(RECIPE, encoding=Encoding(preset="ultrafast", crf=30)), tmp_path, 1)
    assert sorted(made) == ["plain-0", "plain-10", "plain-20"]
    made.clear()
    name, material, span = spans[0]
    cut_all([(name, material, replace(span, end=0.2))], RECIPE, tmp_path, 1)
    assert made == ["plain-0"]


def test_what_is_no_candidate_any_more_is_removed(spans, tmp_path, monkeypatch):
    found, _ = cut_all(spans, RECIPE, tmp_path, 1)
    folder = tmp_path / ".candidates"
    (folder / ".plain-30.part.mp4").touch()
    forget_others(found[:2], tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == [
        "index.jsonl",
        "plain-0.mp4",
        "plain-10.mp4",
    ]
    made = counted(monkeypatch)
    cut_all(spans, RECIPE, tmp_path, 1)
    assert made == ["plain-20"]
    forget_others([], tmp_path / "without")


def test_the_disk_is_counted_once(spans, tmp_path):
    found, _ = cut_all(spans, RECIPE, tmp_path, 1)
    sizes = [one.path.stat().st_size for one in found]
    place(found[0].path, tmp_path / "clips/plain-0.mp4")
    place(tmp_path / "plain.mp4", tmp_path / "clips/linked.mp4")
    use = disk_use(tmp_path)
    index = (tmp_path / ".candidates/index.jsonl").stat().st_size
    assert use == {"clips": sizes[0], ".candidates": sizes[1] + sizes[2] + index}
    shutil.copy(tmp_path / "plain.mp4", tmp_path / "clips/copied.mp4")
    size = (tmp_path / "plain.mp4").stat().st_size
    assert disk_use(tmp_path)["clips"] == sizes[0] + size
    assert sha256_file(tmp_path / "clips/linked.mp4") == sha256_file(tmp_path / "plain.mp4")
    assert disk_use(tmp_path / "nowhere") == {}
