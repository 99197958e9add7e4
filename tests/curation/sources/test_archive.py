from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from theval_datasets.commands.curate import curate
from theval_datasets.commands.rebuild import rebuild
from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.manifest.rows import read_manifest
from theval_datasets.utils.files import sha256_file


@pytest.fixture
def packed(media, tmp_path) -> Path:
    """A zip of two videos, one of them in a folder, and something else."""
    path = tmp_path / "in" / "video.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(media("plain"), "deep/plain.mp4")
        archive.write(media("no_audio"), "no_audio.mp4")
        archive.writestr("__MACOSX/deep/._plain.mp4", b"x")
        archive.writestr("notes.txt", b"x")
    return path


def test_media_in_a_zip_become_clips(packed, media, tmp_path):
    out = tmp_path / "work"
    report = curate([str(packed)], out, workers=1)
    assert (report.kept, report.rejected) == (2, ())
    assert report.skipped == {".txt": 1, "hidden": 1}
    rows = {row.clip_id: row for row in read_manifest(out).rows}
    assert set(rows) == {"deep/plain", "no_audio"}
    assert rows["deep/plain"].sha256 == sha256_file(media("plain"))
    assert rows["deep/plain"].source.location == "sources/video/deep/plain.mp4"
    before = (out / "manifest.jsonl").read_bytes()
    again = curate([str(packed)], out, workers=1)
    assert again.reused == 2
    assert (out / "manifest.jsonl").read_bytes() == before


def test_they_can_be_made_again_and_moved(packed, tmp_path):
    curate([str(packed)], tmp_path / "work", workers=1)
    (tmp_path / "work").rename(tmp_path / "moved")
    report = rebuild(str(tmp_path / "moved"), tmp_path / "again", cache=str(tmp_path / "cache"))
    assert report.counts == {"identical": 2}


def test_a_root(packed, tmp_path):
    curate([str(packed)], tmp_path / "work", root=tmp_path, workers=1)
    row = read_manifest(tmp_path / "work").rows[0]
    assert row.source.location == "work/sources/video/deep/plain.mp4"
    with pytest.raises(UnsafePathError, match="not below the root"):
        curate([str(packed)], tmp_path / "work", root=packed.parent, workers=1)


def test_a_zip_that_cannot_be_trusted_or_read(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../out.mp4", b"x")
    with pytest.raises(UnsafePathError, match="leads out"):
        curate([str(path)], tmp_path / "work")
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match="not a zip"):
        curate([str(path)], tmp_path / "work")
    with pytest.raises(InputError, match="there is no file or folder"):
        curate([str(tmp_path / "lacking.zip")], tmp_path / "work")
    assert not (tmp_path / "out.mp4").exists()
