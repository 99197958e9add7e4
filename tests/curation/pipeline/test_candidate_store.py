"""The files of candidates: cut once, kept while they are candidates, counted at the end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from media_factory import ffmpeg

from theval_datasets.curation.clips.cut import Encoding
from theval_datasets.curation.pipeline import candidate_store as store
from theval_datasets.curation.pipeline.candidate_store import CandidateStore
from theval_datasets.curation.pipeline.disk import disk_use
from theval_datasets.curation.pipeline.segments import Candidate, Rejection, Segment, hashed
from theval_datasets.curation.sources.base import SourceFile
from theval_datasets.curation.tasks import Tasks
from theval_datasets.engines.local import LocalEngine
from theval_datasets.manifest.rows import Source
from theval_datasets.media.facts import SourcePicture
from theval_datasets.utils.files import link_or_copy, sha256_file

QUICK = Encoding(preset="ultrafast")
NAMES = ["plain-0-400", "plain-400-800", "plain-800-1200"]


@pytest.fixture
def spans(media, tmp_path):
    path = Path(shutil.copy(media("plain"), tmp_path / "plain.mp4"))
    source = hashed(Segment("plain", SourceFile(path, path.name, "in", Source("local", ""))))
    return [replace(source, start=start, end=start + 0.4) for start in (0.0, 0.4, 0.8)]


def cut_all(spans, output, encoding=QUICK):
    with Tasks(LocalEngine(0)) as tasks:
        made = list(CandidateStore(output).cut(spans, encoding, tasks))
    assert all(isinstance(candidate, Candidate) for candidate in made)
    return sorted(made, key=lambda candidate: candidate.clip_id)


def counted(monkeypatch):
    made = []
    real = store.cut
    monkeypatch.setattr(store, "cut", lambda *a: made.append(a[2].stem) or real(*a))
    return made


def test_nothing_is_cut_twice(spans, tmp_path, monkeypatch):
    first = cut_all(spans, tmp_path)
    assert [candidate.clip_id for candidate in first] == NAMES
    made = counted(monkeypatch)
    index = tmp_path / ".candidates/index.jsonl"
    with index.open("a") as stream:
        stream.write('{"clip_id": "torn')  # a killed run
    assert cut_all(spans, tmp_path) == first
    assert made == []
    (tmp_path / f".candidates/{NAMES[1]}.mp4").unlink()
    assert cut_all(spans, tmp_path) == first
    assert made == [NAMES[1]]
    lines = index.read_text().splitlines()
    assert {json.loads(line)["clip_id"] for line in lines} == set(NAMES)


def test_a_candidate_says_how_its_source_is_stored(tmp_path):
    """Its own file shows what a player shows: square pixels, progressive."""
    path = tmp_path / "dvd.mpg"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=176x144:r=50:d=1,tinterlace=interleave_top"),
        *(
            "-vf",
            "fieldorder=tff,setsar=16/11",
            "-c:v",
            "mpeg2video",
            "-flags",
            "+ilme+ildct",
            path,
        ),
    )
    source = hashed(Segment("dvd", SourceFile(path, path.name, "in", Source("local", ""))))
    span = replace(source, start=0.0, end=0.4)
    (made,) = cut_all([span], tmp_path)
    assert made.source_picture == SourcePicture(pixel_aspect="16:11", interlaced=True)
    assert made.media.picture == SourcePicture()
    index = tmp_path / ".candidates/index.jsonl"
    line = json.loads(index.read_text())
    assert line.pop("source_picture")["interlaced"] is True
    index.write_text(json.dumps(line) + "\n")  # as earlier versions wrote it
    assert cut_all([span], tmp_path) == [made]


def test_a_relative_output_keeps_its_candidates(spans, tmp_path, monkeypatch):
    """As `-o work` gives it: what is a candidate still is not removed as one of earlier runs."""
    monkeypatch.chdir(tmp_path)
    made = cut_all(spans, Path("work"))
    CandidateStore(Path("work")).keep_only(made)
    assert all(candidate.path.is_file() for candidate in made)
    again = counted(monkeypatch)
    assert cut_all(spans, Path("work")) == made
    assert again == []


def test_another_encoding_or_source_is_cut_again(spans, tmp_path, monkeypatch):
    cut_all(spans, tmp_path)
    made = counted(monkeypatch)
    cut_all(spans, tmp_path, Encoding(preset="ultrafast", crf=30))
    assert sorted(made) == NAMES
    made.clear()
    origin = Source("local", "", sha256="1" * 64)
    other = replace(spans[0], source=replace(spans[0].source, origin=origin))
    cut_all([other], tmp_path, Encoding(preset="ultrafast", crf=30))
    assert made == NAMES[:1]


def test_what_cannot_be_cut_is_rejected_and_the_rest_is_cut(spans, tmp_path):
    late = replace(spans[0], start=1e6, end=1e6 + 1)
    gone = replace(spans[1], source=replace(spans[1].source, path=tmp_path / "none.mp4"))
    with Tasks(LocalEngine(0)) as tasks:
        made = list(CandidateStore(tmp_path).cut([late, gone, spans[2]], QUICK, tasks))
    rejected = {
        candidate.segment.clip_id: candidate.failure.reason
        for candidate in made
        if isinstance(candidate, Rejection)
    }
    assert rejected == {late.clip_id: "broken-media", gone.clip_id: "missing"}
    assert [candidate.clip_id for candidate in made if isinstance(candidate, Candidate)] == NAMES[
        2:
    ]


def test_what_is_no_candidate_any_more_is_removed(spans, tmp_path, monkeypatch):
    candidates = cut_all(spans, tmp_path)
    folder = tmp_path / ".candidates"
    (folder / ".part-abc.mp4").touch()
    outside = tmp_path / "outside.mp4"
    outside.touch()
    (folder / "link.mp4").symlink_to(outside)
    CandidateStore(tmp_path).keep_only(candidates[:2])
    assert sorted(p.name for p in folder.iterdir()) == [
        "index.jsonl",
        f"{NAMES[0]}.mp4",
        f"{NAMES[1]}.mp4",
    ]
    assert outside.is_file()
    made = counted(monkeypatch)
    cut_all(spans, tmp_path)
    assert made == NAMES[2:]
    CandidateStore(tmp_path / "without").keep_only([])
    assert not (tmp_path / "without").exists()


def test_the_disk_is_counted_once(spans, tmp_path):
    candidates = cut_all(spans, tmp_path)
    sizes = [candidate.path.stat().st_size for candidate in candidates]
    link_or_copy(candidates[0].path, tmp_path / "clips/plain-0.mp4")
    link_or_copy(tmp_path / "plain.mp4", tmp_path / "clips/linked.mp4")
    use = disk_use(tmp_path)
    index = (tmp_path / ".candidates/index.jsonl").stat().st_size
    assert use == {"clips": sizes[0], ".candidates": sizes[1] + sizes[2] + index}
    shutil.copy(tmp_path / "plain.mp4", tmp_path / "clips/copied.mp4")
    size = (tmp_path / "plain.mp4").stat().st_size
    assert disk_use(tmp_path)["clips"] == sizes[0] + size
    assert sha256_file(tmp_path / "clips/linked.mp4") == sha256_file(tmp_path / "plain.mp4")
    assert disk_use(tmp_path / "nowhere") == {}
