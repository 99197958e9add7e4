"""Taking clips down: what goes, what stays, in which order, and what hostile rows cannot do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from theval_datasets.commands.curate import curate
from theval_datasets.commands.takedown import takedown
from theval_datasets.curation import takedown as module
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import ManifestRow, Source, read_manifest, write_manifest
from theval_datasets.utils.files import remove_inside


@pytest.fixture(scope="module")
def made(media, tmp_path_factory):
    """Three clips; one of them has another's name with an ending."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    for name, source in (("a", "plain"), ("a.merged", "vfr"), ("b", "late_audio")):
        shutil.copy2(media(source), folder / f"in/{name}.mp4")
    curate([str(folder / "in")], folder / "out", workers=1)
    return folder / "out"


@pytest.fixture
def out(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "out"))


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def rows_of(folder: Path) -> list[str]:
    return [row.clip_id for row in read_manifest(folder).rows]


def test_all_of_a_clip_goes_and_nothing_of_others(out):
    before = names(out)
    report = takedown(["a"], out, date="2026-01-02")
    gone = {"clips/a.mp4", "audio/a.wav", "frames/a.jpg"}
    assert before - names(out) == gone
    assert set(report.removed) == gone
    assert rows_of(out) == ["a.merged", "b"]
    assert report.exit_code == 0


def test_repeated_it_changes_nothing(out):
    takedown(["a"], out, date="2026-01-02")
    before = {name: (out / name).read_bytes() for name in names(out)}
    report = takedown(["a"], out, date="2026-03-04")
    assert (report.taken, report.known, report.removed) == ((), ("a",), ())
    assert {name: (out / name).read_bytes() for name in names(out)} == before


class Killed(BaseException):
    pass


def test_ended_at_any_point_it_is_completed_by_the_next(out, tmp_path, monkeypatch):
    reference = Path(shutil.copytree(out, tmp_path / "reference"))
    takedown(["a", "b"], reference, date="2026-01-02")
    points = ("write_tombstones", "remove_inside", "write_manifest")
    ended = 0
    for step in range(12):
        folder = Path(shutil.copytree(out, tmp_path / f"killed{step}"))
        left = [step]

        def counted(real, left=left):
            def call(*arguments):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return real(*arguments)

            return call

        with monkeypatch.context() as patched:
            for name in points:
                patched.setattr(module, name, counted(getattr(module, name)))
            try:
                takedown(["a", "b"], folder, date="2026-01-02")
            except Killed:
                ended += 1
        if step:
            assert (folder / "tombstones.jsonl").is_file()
        listed = set(rows_of(folder))
        for name in {"a", "b"} - listed:  # no row is gone whose files are there
            assert not (folder / f"clips/{name}.mp4").exists()
        takedown(["a", "b"], folder, date="2026-01-02")
        assert names(folder) == names(reference)
        for name in ("manifest.jsonl", "tombstones.jsonl"):
            assert (folder / name).read_bytes() == (reference / name).read_bytes()
    assert ended >= 7


def test_files_go_that_no_row_lists_any_more(out):
    rows = [row for row in read_manifest(out).rows if row.clip_id != "a"]
    write_manifest(out / "manifest.jsonl", rows)
    (out / ".candidates").mkdir()
    (out / ".candidates/a.mp4").touch()
    report = takedown(["a"], out)
    assert report.unlisted == ("a",)
    assert not {name for name in names(out) if Path(name).stem == "a"}


@pytest.mark.parametrize("place", ["../secret.mp4", "clips/../../secret.mp4", "away/secret.mp4"])
def test_a_hostile_path_keeps_nothing_else_and_removes_nothing_outside(out, place):
    secret = out.parent / "secret.mp4"
    secret.touch()
    (out / "away").symlink_to(out.parent, target_is_directory=True)
    rows = [
        replace(row, path=place) if row.clip_id == "a" else row for row in read_manifest(out).rows
    ]
    write_manifest(out / "manifest.jsonl", rows)
    report = takedown(["a", "b"], out)
    assert report.unsafe == (place,)
    assert place in report.to_text()
    assert secret.exists()
    assert rows_of(out) == ["a.merged"]
    assert {name for name in names(out) if name.startswith("clips/")} == {"clips/a.merged.mp4"}


def test_a_link_goes_and_what_it_points_to_stays(out):
    own = out.parent / "own.mp4"
    (out / "clips/a.mp4").rename(own)
    (out / "clips/a.mp4").symlink_to(own)
    takedown(["a"], out)
    assert own.is_file()
    assert not (out / "clips/a.mp4").is_symlink()


def test_pages_that_show_it_go_and_others_stay(out):
    for name, text in (("funnel.html", "<td>b</td> a&amp;b"), ("funnel.png", "x")):
        (out / name).write_text(text)
    takedown(["zz"], out)
    assert (out / "funnel.html").exists()
    takedown(["a&b"], out)
    assert not (out / "funnel.html").exists()
    assert not (out / "funnel.png").exists()


def test_recordings_it_was_cut_from_are_named(out):
    (out / "sources").mkdir()
    (out / "sources/long.mp4").touch()
    row = replace(read_manifest(out).rows[0], source=Source("local", "sources/long.mp4"))
    write_manifest(out / "manifest.jsonl", [row])
    report = takedown([row.clip_id], out)
    assert report.sources == ("sources/long.mp4",)
    assert "not removed, the recording it was cut from: sources/long.mp4" in report.to_text()


def test_nothing_is_changed_before_everything_is_read(out):
    (out / "rejected.jsonl").write_text("{not json\n")
    before = names(out)
    with pytest.raises(InputError, match=r"rejected\.jsonl:1"):
        takedown(["a"], out)
    assert names(out) - {".lock"} == before - {".lock"}
    other = shutil.copy(out / "manifest.jsonl", out / "other.jsonl")
    with pytest.raises(InputError, match="expected a folder"):
        takedown(["a"], other)


def test_clips_of_an_unfinished_run_go_too(out):
    row = ManifestRow("c", "clips/c.mp4", Source("local", "c.mp4"), None)
    (out / ".curate.jsonl").write_text(row.to_json() + "\n")
    (out / "clips/c.mp4").touch()
    report = takedown(["c"], out)
    assert report.removed == ("clips/c.mp4",)
    assert (out / ".curate.jsonl").read_text() == ""
    assert remove_inside(out, "clips/c.mp4") is False


def test_an_id_that_nothing_lists_is_told_by_the_exit_code(out):
    report = takedown(["mispelled"], out)
    assert (report.exit_code, report.unlisted) == (1, ("mispelled",))
    again = takedown(["mispelled", "a"], out)
    assert again.exit_code == 0  # known by now
