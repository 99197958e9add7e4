"""Rows of an earlier run are untrusted: what they make a run read, keep and remove."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from theval_datasets.commands.curate import curate
from theval_datasets.curation.pipeline.earlier import files_hold, sweep
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import ManifestRow, Source, read_manifest, write_manifest
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.locks import locked

RECIPE = "name: r\nabout: One.\nfilters: {duration: {min_seconds: 1}}\n"


def row(path: str, **files: str) -> ManifestRow:
    return ManifestRow("x", path, Source("local", "x.mp4"), None, **files)


@pytest.fixture
def out(tmp_path):
    for name in ("out/clips", "out/audio", "out/sources", "outside"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("secret.mp4", "outside/clip.mp4", "out/sources/own.mp4", "out/clips/old.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "out/clips/away").symlink_to(tmp_path / "outside", target_is_directory=True)
    return tmp_path / "out"


@pytest.mark.parametrize(
    "path",
    [
        "clips/../../secret.mp4", "../secret.mp4", "clips/away/clip.mp4", "sources/own.mp4",
        "clips/../sources/own.mp4", "clips", "clips/", ".", "manifest.jsonl", "clips/a\0b",
    ],
)  # fmt: skip
def test_only_files_of_clips_are_swept(out, path):
    before = set(out.parent.rglob("*"))
    sweep([row(path), row("clips/old.mp4", audio=path)], [], out)
    assert before - set(out.parent.rglob("*")) == {out / "clips/old.mp4"}


def test_a_linked_folder_is_not_swept(out):
    shutil.rmtree(out / "clips")
    (out / "clips").symlink_to(out.parent / "outside", target_is_directory=True)
    sweep([row("clips/clip.mp4")], [], out)
    assert (out.parent / "outside/clip.mp4").exists()


def test_what_is_kept_is_not_swept(out):
    sweep([row("clips/old.mp4")], [row("clips/other.mp4", audio="clips/old.mp4")], out)
    assert (out / "clips/old.mp4").exists()


def test_a_row_whose_files_lie_elsewhere_does_not_hold(out):
    assert not files_hold(row("clips/../../secret.mp4"), out)
    assert not files_hold(row("clips/away/clip.mp4"), out)


def test_a_run_over_a_hostile_manifest_removes_nothing_outside(media, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy2(media("plain"), tmp_path / "in")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE)
    secret = tmp_path / "secret.mp4"
    secret.touch()

    def go():
        return curate(
            [str(tmp_path / "in")], tmp_path / "out", recipe=str(recipe), workers=1,
            cache=str(tmp_path / "cache"),
        )  # fmt: skip

    go()
    (good,) = read_manifest(tmp_path / "out").rows
    hostile = [replace(good, path="clips/../../secret.mp4"), row("clips/../../secret.mp4")]
    write_manifest(tmp_path / "out/manifest.jsonl", hostile)
    report = go()
    assert secret.exists()
    assert (report.kept, report.reused, report.dropped) == (1, 0, 1)
    assert read_manifest(tmp_path / "out").rows == (good,)


# locks


def test_a_folder_that_is_being_written_to_is_refused(media, tmp_path):
    clip = str(media("plain"))
    with locked(tmp_path / "out", "curate"):
        with pytest.raises(InputError, match=r"written to by curate \(process \d+ on .*, since 2"):
            curate([clip], tmp_path / "out", workers=1)
        assert not (tmp_path / "out/manifest.jsonl").exists()
    assert curate([clip], tmp_path / "out", workers=1).kept == 1


def test_two_at_once_lose_nothing(media, tmp_path):
    places = []
    for side in ("one", "two"):
        (tmp_path / side).mkdir()
        for number in range(4):
            shutil.copy2(media("plain"), tmp_path / side / f"{side}{number}.mp4")
        places.append(str(tmp_path / side))

    def go(place):
        try:
            return curate([place], tmp_path / "out", workers=1).kept
        except InputError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(go, places))
    assert 4 in results
    refused = [result for result in results if result != 4]
    rows = [row.clip_id[:3] for row in read_manifest(tmp_path / "out").rows]
    assert len(rows) == 4
    assert len(set(rows)) == 1
    assert all("is being written to by" in str(item) for item in refused)


def test_a_lock_of_a_dead_process_is_no_lock(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.lock").touch()
    (tmp_path / "out/.lock.json").write_text('{"pid": 1')
    with locked(tmp_path / "out", "curate"):
        assert '"command": "curate"' in (tmp_path / "out/.lock.json").read_text()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".lock"]


def test_a_folder_in_which_nothing_was_written_does_not_stay(tmp_path):
    with locked(tmp_path / "a/out", "curate"):
        pass
    assert not (tmp_path / "a/out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written to"), locked(tmp_path / "file/x", "c"):
        pass


# names


def test_titles_that_are_long_and_alike_do_not_mix(media, tmp_path):
    (tmp_path / "in").mkdir()
    beginning = "a-title-that-is-as-long-as-titles-of-videos-are-and-says-nothing-" * 3
    sources = [media(name) for name in ("plain", "vfr", "late_audio", "no_audio")]
    for number in range(24):
        name = f"{beginning[:190]}-{number}.mp4"
        shutil.copy2(sources[number % 4], tmp_path / "in" / name)
    (tmp_path / "in" / ("標題" * 38 + ".mp4")).write_bytes(sources[0].read_bytes())
    report = curate([str(tmp_path / "in")], tmp_path / "out", workers=4)
    assert (report.kept, report.reasons) == (25, {})
    manifest = read_manifest(tmp_path / "out")
    for row in manifest.rows:
        file = manifest.file(row)
        assert isinstance(file, Path)
        assert sha256_file(file) == row.sha256
    assert not [p for p in (tmp_path / "out").rglob("*") if "part" in p.name]
