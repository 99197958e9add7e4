"""Making a manifest's clips again: near, far, lost, hostile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from media_factory import ffmpeg
from msgspec.structs import replace
from typer.testing import CliRunner

from theval_datasets.cli import app
from theval_datasets.commands.curate import curate
from theval_datasets.commands.rebuild import rebuild
from theval_datasets.commands.takedown import takedown
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.curation.clips.files import stamp, tools
from theval_datasets.curation.rebuild import making
from theval_datasets.curation.rebuild import rebuild as rebuilding
from theval_datasets.curation.rebuild.rebuild import RebuildOptions
from theval_datasets.curation.sources.fetching.options import FetchOptions
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import (
    ManifestRow,
    Source,
    read_manifest,
    read_rows,
    write_manifest,
)
from theval_datasets.manifest.tombstones import read_tombstones
from theval_datasets.utils.files import sha256_file

QUICK = Encoding(preset="ultrafast")


@pytest.fixture
def listed(media, tmp_path):
    """A folder with a source, two clips cut out of it, and their manifest."""
    folder = tmp_path / "listed"
    (folder / "sources").mkdir(parents=True)
    source = shutil.copy(media("plain"), folder / "sources")
    rows = []
    for start, end in ((0.0, 0.8), (0.8, 2.0)):
        name = f"plain-{round(start * 1000)}-{round(end * 1000)}"
        target = folder / "clips" / f"{name}.mp4"
        facts = cut(Path(source), Piece(start, end), target, QUICK)
        rows.append(
            ManifestRow(
                clip_id=name,
                path=f"clips/{name}.mp4",
                source=Source("local", "sources/plain.mp4", sha256=sha256_file(Path(source))),
                sha256=sha256_file(target),
                start=start,
                end=end,
                media=facts,
                audio=f"audio/{name}.wav",
                reference_frame=f"frames/{name}.jpg",
                reference_time=0.2,
                tools=tools() | QUICK.facts(),
                stamp=stamp(target),
            )
        )
    write_manifest(folder / "manifest.jsonl", rows)
    return folder


def change(folder, **fields):
    rows = [replace(row, **fields) for row in read_manifest(folder).rows]
    write_manifest(folder / "manifest.jsonl", rows)


def again(folder, out, **options):
    return rebuild(str(folder), out, cache=str(out.parent / "cache"), workers=1, **options)


def test_in_another_folder_all_is_identical(listed, tmp_path):
    moved = tmp_path / "moved"
    listed.rename(moved)
    shutil.rmtree(moved / "clips")
    report = again(moved, tmp_path / "out")
    assert report.counts == {"identical": 2}
    assert report.exit_code == 0
    made = read_manifest(tmp_path / "out")
    assert len(made) == 2
    for row in made.rows:
        assert sha256_file(made.file(row)) == row.sha256
        assert (tmp_path / "out" / str(row.audio)).is_file()
        assert (tmp_path / "out" / str(row.reference_frame)).is_file()


def test_done_clips_are_not_made_again(listed, tmp_path, monkeypatch):
    again(listed, tmp_path / "out")
    before = (tmp_path / "out/manifest.jsonl").read_bytes()
    (tmp_path / "out/clips/plain-0-800.mp4").unlink()
    made = []
    real = rebuilding.Tasks.run
    monkeypatch.setattr(
        rebuilding.Tasks,
        "run",
        lambda *a, **b: made.extend(j[0].start for j in a[2]) or real(*a, **b),
    )
    assert again(listed, tmp_path / "out").counts == {"identical": 2}
    assert made == [0.0]
    assert (tmp_path / "out/manifest.jsonl").read_bytes() == before


def test_the_same_rebuild_gives_the_same_bytes(listed, media, web, tmp_path):
    names = ("manifest.jsonl", "rejected.jsonl")
    again(listed, tmp_path / "one")
    again(listed, tmp_path / "two")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert read_manifest(tmp_path / "one").rows[0].stamp == read_manifest(listed).rows[0].stamp
    shutil.copy(media("plain"), web.folder / "a.mp4")
    fetch = FetchOptions(allow_private_addresses=True)
    curate([f"{web.url}/a.mp4"], tmp_path / "curated", fetch=fetch, workers=1)
    for out in (tmp_path / "three", tmp_path / "four"):
        again(tmp_path / "curated", out, fetch=fetch)
    for name in names:
        assert (tmp_path / "three" / name).read_bytes() == (tmp_path / "four" / name).read_bytes()


def test_ids_that_make_one_file_name_make_two_files(listed, tmp_path):
    first, second = read_manifest(listed).rows
    rows = [replace(first, clip_id="a b"), replace(second, clip_id="a_b")]
    write_manifest(listed / "manifest.jsonl", rows)
    assert again(listed, tmp_path / "out").counts == {"identical": 2}
    made = read_manifest(tmp_path / "out")
    assert [sha256_file(made.file(row)) for row in made.rows] == [first.sha256, second.sha256]


def test_any_error_of_one_clip_is_its_result(listed, tmp_path, monkeypatch, errors_expected):
    real = making.cut

    def failing(source, piece, *rest):
        if piece.start == 0.0:
            raise RuntimeError("of a library")
        return real(source, piece, *rest)

    monkeypatch.setattr(making, "cut", failing)
    options = RebuildOptions(str(tmp_path / "cache"), engine=LocalEngine(0))
    results = rebuilding.rebuild(read_manifest(listed), tmp_path / "out", options)
    assert [(result.status, result.reason) for result in results] == [
        ("gone", "error"),
        ("identical", None),
    ]


def test_any_error_in_fetching_is_the_result_of_its_clips(
    listed, tmp_path, monkeypatch, errors_expected
):
    rows = list(read_manifest(listed).rows)
    rows[0] = replace(rows[0], source=Source("url", "https://a.test/a.mp4"))
    write_manifest(listed / "manifest.jsonl", rows)

    def failing(*arguments, **options):
        raise RuntimeError("of a site")

    monkeypatch.setattr(making, "source_of", failing)
    by_name = {result.clip_id: result.reason for result in again(listed, tmp_path / "out").results}
    assert by_name == {"plain-0-800": "error", "plain-800-2000": None}


def test_a_torn_report_does_not_stop_it(listed, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/rebuild.jsonl").write_text('{"clip_id": "plain-0-8')
    assert again(listed, tmp_path / "out").counts == {"identical": 2}


def test_another_quality_is_equivalent_other_content_is_changed(listed, media, tmp_path):
    source = listed / "sources/plain.mp4"
    ffmpeg("-i", media("plain"), "-c:v", "libx264", "-crf", "28", "-b:a", "64k", tmp_path / "b.mp4")
    shutil.copy(tmp_path / "b.mp4", source)
    report = again(listed, tmp_path / "out")
    assert report.counts == {"equivalent": 2}, report.to_text()
    assert report.exit_code == 0
    ffmpeg("-i", media("plain"), "-vf", "hflip,vflip", "-c:a", "copy", tmp_path / "c.mp4")
    shutil.copy(tmp_path / "c.mp4", source)
    report = again(listed, tmp_path / "other")
    assert report.counts == {"changed": 2}
    assert {result.reason for result in report.results} == {"picture"}
    assert report.exit_code == 1
    assert {row.reason for row in read_rows(tmp_path / "other/rejected.jsonl")} == {"picture"}


def test_what_is_lost_is_gone_with_its_reason(listed, tmp_path):
    (listed / "sources/plain.mp4").unlink()
    report = again(listed, tmp_path / "out")
    assert [(result.status, result.reason) for result in report.results] == [
        ("gone", "missing")
    ] * 2
    assert report.exit_code == 1
    assert "missing" in report.to_text()


def test_a_shorter_source_is_changed(listed, media, tmp_path):
    ffmpeg("-i", media("plain"), "-t", "1.5", "-c:v", "libx264", tmp_path / "s.mp4")
    shutil.copy(tmp_path / "s.mp4", listed / "sources/plain.mp4")
    by_name = {result.clip_id: result for result in again(listed, tmp_path / "out").results}
    assert by_name["plain-800-2000"].status == "changed"
    assert by_name["plain-800-2000"].reason == "length"


@pytest.mark.parametrize("heard", ["listed", "made"])
def test_sound_where_there_was_none_is_changed(listed, media, tmp_path, heard):
    first, second = ("plain", "no_audio") if heard == "listed" else ("no_audio", "plain")
    source = listed / "sources/plain.mp4"
    shutil.copy(media(first), source)
    whole = ManifestRow(
        "whole", "whole.mp4", Source("local", "sources/plain.mp4"), sha256_file(source)
    )
    shutil.copy(source, listed / "whole.mp4")
    write_manifest(listed / "manifest.jsonl", [whole])
    shutil.copy(media(second), source)
    (result,) = again(listed, tmp_path / "out").results
    assert (result.status, result.reason) == ("changed", "sound")


@pytest.mark.parametrize(
    ("size", "status", "reason"),
    [
        ("160:120", "equivalent", None),
        ("80:60", "equivalent", None),
        ("240:120", "changed", "picture"),
    ],
)
def test_another_size_is_said_and_a_stretched_picture_is_changed(
    listed, media, tmp_path, size, status, reason
):
    source = listed / "sources/plain.mp4"
    ffmpeg(
        "-i", media("plain"), "-vf", f"scale={size},setsar=1", "-c:a", "copy", tmp_path / "s.mp4"
    )
    shutil.copy(tmp_path / "s.mp4", source)
    for result in again(listed, tmp_path / "out").results:
        assert (result.status, result.reason) == (status, reason)
        got = size.replace(":", "x")
        said = "" if size == "160:120" else f"expected a picture of 160x120, got {got}"
        assert result.detail == said


def test_a_row_with_nothing_to_compare_is_gone_not_forgotten(listed, tmp_path):
    rows = read_manifest(listed).rows
    write_manifest(listed / "manifest.jsonl", [rows[0], replace(rows[1], sha256=None)])
    report = again(listed, tmp_path / "out")
    assert report.counts == {"gone": 1, "identical": 1}
    assert report.exit_code == 1
    (lost,) = read_rows(tmp_path / "out/rejected.jsonl")
    assert (lost.clip_id, lost.reason) == (rows[1].clip_id, "bad-row")


@pytest.mark.parametrize("by", ["curate", "rebuild", "hand"])
def test_clips_of_another_manifest_are_not_replaced(listed, media, tmp_path, by):
    out = tmp_path / "out"
    shutil.copytree(listed, out)
    if by == "curate":
        curate([media("no_audio")], out, workers=1)
    elif by == "rebuild":
        (tmp_path / "videos").mkdir()
        shutil.copy(media("no_audio"), tmp_path / "videos/other.mp4")
        curate([tmp_path / "videos"], tmp_path / "videos", workers=1)
        shutil.rmtree(out)
        again(tmp_path / "videos", out)
    before = (out / "manifest.jsonl").read_bytes()
    with pytest.raises(InputError, match="clips of another manifest"):
        again(listed, out)
    assert (out / "manifest.jsonl").read_bytes() == before


def test_a_manifest_that_grew_or_shrank_is_rebuilt_in_place(listed, tmp_path):
    rows = read_manifest(listed).rows
    for now in (rows[:1], rows, rows[1:]):
        write_manifest(listed / "manifest.jsonl", now)
        assert again(listed, tmp_path / "out").counts == {"identical": len(now)}
        assert len(read_manifest(tmp_path / "out").rows) == len(now)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"source": Source("local", "../secret.mp4")}, "unsafe"),
        ({"source": Source("local", "/etc/passwd")}, "unsafe"),
        ({"source": Source("url", "file:///etc/passwd")}, "unsafe"),
        ({"source": Source("url", "/etc/passwd")}, "unsafe"),
        ({"source": Source("url", "http://127.0.0.1:9/a.mp4")}, "private-address"),
        ({"source": Source("url", "concat:a.mp4|b.mp4")}, "unsafe"),
        ({"tools": {"preset": "fast -f null", "crf": 17}}, "bad-row"),
        ({"tools": {"crf": 17, "threads": 10_000}}, "bad-row"),
        ({"tools": {"crf": "17;id"}}, "bad-row"),
        ({"crop": (0, 0, 10_000, 10_000)}, "bad-row"),
        ({"start": 1e6, "end": 1e7}, "broken-media"),
    ],
)
def test_a_hostile_manifest_reaches_nothing(listed, tmp_path, fields, reason):
    (tmp_path / "secret.mp4").write_bytes((listed / "sources/plain.mp4").read_bytes())
    change(listed, **fields)
    report = again(listed, tmp_path / "out")
    assert {(result.status, result.reason) for result in report.results} == {("gone", reason)}
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_a_link_out_of_the_root_is_refused(listed, media, tmp_path):
    (listed / "sources/plain.mp4").unlink()
    (listed / "sources/plain.mp4").symlink_to(media("plain"))
    assert {result.reason for result in again(listed, tmp_path / "out").results} == {"unsafe"}


def test_names_of_clips_stay_in_the_output(listed, tmp_path):
    rows = list(read_manifest(listed).rows)
    strange = replace(rows[0], clip_id="a b;$(id)/x", path="../../evil.mp4")
    write_manifest(listed / "manifest.jsonl", [strange])
    report = again(listed, tmp_path / "out")
    assert report.counts == {"identical": 1}
    made = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.mp4")]
    assert made == ["clips/a_b_id/x.mp4"]
    assert not (tmp_path / "evil.mp4").exists()


def test_over_http(media, web, tmp_path):
    shutil.copy(media("plain"), web.folder / "a.mp4")
    shutil.copy(media("vfr"), web.folder / "b.mp4")
    fetch = FetchOptions(allow_private_addresses=True)
    curate([f"{web.url}/a.mp4", f"{web.url}/b.mp4"], tmp_path / "one", fetch=fetch, workers=1)
    report = again(tmp_path / "one", tmp_path / "two", fetch=fetch)
    assert report.counts == {"identical": 2}
    # the manifest alone suffices to know a file again that the server has encoded anew
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "one/manifest.jsonl", tmp_path / "alone")
    ffmpeg("-i", media("plain"), "-crf", "30", "-preset", "ultrafast", web.folder / "a.mp4")
    report = again(tmp_path / "alone", tmp_path / "later", fetch=fetch)
    assert report.counts == {"equivalent": 1, "identical": 1}, report.to_text()
    shutil.copy(media("plain"), web.folder / "a.mp4")
    (web.folder / "b.mp4").unlink()
    report = again(tmp_path / "one", tmp_path / "three", fetch=fetch)
    assert report.counts == {"gone": 1, "identical": 1}
    assert {result.reason for result in report.results} == {None, "removed"}


def test_what_was_taken_down_stays_down(listed, tmp_path):
    report = takedown(["plain-0-800", "never-seen"], listed, date="2026-01-02")
    assert report.taken == ("plain-0-800", "never-seen")
    assert report.unlisted == ("never-seen",)
    assert not (listed / "clips/plain-0-800.mp4").exists()
    assert [row.clip_id for row in read_manifest(listed).rows] == ["plain-800-2000"]
    stones = read_tombstones(listed / "tombstones.jsonl")
    assert [(s.clip_id, s.date) for s in stones] == [
        ("never-seen", "2026-01-02"),
        ("plain-0-800", "2026-01-02"),
    ]
    assert takedown(["plain-0-800"], listed).known == ("plain-0-800",)
    assert read_tombstones(listed / "tombstones.jsonl") == stones
    # even where somebody still has the old row
    (tmp_path / "out").mkdir()
    shutil.copy(listed / "tombstones.jsonl", tmp_path / "out")
    change(listed, clip_id="plain-0-800")
    report = again(listed, tmp_path / "out")
    assert report.counts == {"taken-down": 1}
    assert not (tmp_path / "out/clips").exists()


def test_what_is_taken_down_after_a_rebuild_goes_with_the_next(listed, tmp_path):
    again(listed, tmp_path / "out")
    takedown(["plain-0-800"], listed)
    report = again(listed, tmp_path / "out")
    assert report.counts == {"identical": 1}
    left = {p.stem for p in (tmp_path / "out").rglob("plain-*") if p.parent.name != "sources"}
    assert left == {"plain-800-2000"}


def test_curate_leaves_out_what_was_taken_down(media, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("plain", "vfr"):
        shutil.copy(media(name), tmp_path / "in")
    curate([str(tmp_path / "in")], tmp_path / "out", workers=1)
    takedown(["vfr"], tmp_path / "out")
    assert curate([str(tmp_path / "in")], tmp_path / "out", workers=1).kept == 1
    assert not (tmp_path / "out/clips/vfr.mp4").exists()


def test_mistakes_are_said(listed, tmp_path):
    with pytest.raises(InputError, match="another folder"):
        again(listed, listed)
    with pytest.raises(InputError, match="at least one"):
        takedown([], listed)
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        takedown(["a"], listed, date="yesterday")
    done = CliRunner().invoke(app, ["rebuild", str(tmp_path / "none"), "-o", str(tmp_path / "x")])
    assert isinstance(done.exception, InputError)
