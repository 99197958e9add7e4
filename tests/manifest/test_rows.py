"""Manifests are untrusted: every row is checked, and says where and what is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from theval_datasets.errors import ManifestError, UnsafePathError
from theval_datasets.manifest.rows import (
    FileStamp,
    Judgement,
    Manifest,
    ManifestRow,
    Region,
    Source,
    open_manifest,
    parse_row,
    read_manifest,
    write_manifest,
    write_ordered_manifest,
)
from theval_datasets.media.facts import SourcePicture

ROW = ManifestRow(
    clip_id="a/b",
    path="clips/a/b.mp4",
    source=Source("local", "b.mp4", language="en"),
    sha256="0" * 64,
    start=1.5,
    end=3.0,
    crop=(0, 1, 2, 3),
    judgements=(Judgement("duration", "keep", None, {"duration": 3, "ok": True, "x": 1.5}),),
    tools={"ffmpeg": "7", "threads": 4},
    stamp=FileStamp(10, 20),
    source_picture=SourcePicture(pixel_aspect="64:45", interlaced=True),
)


def test_rows_survive(tmp_path):
    path = tmp_path / "manifest.jsonl"
    other = ManifestRow("0", None, Source("url", "http://x/y"), None, reason="private")
    write_manifest(path, [ROW, other])
    result = read_manifest(tmp_path)
    assert result.rows == (other, ROW)
    assert result.rows[1].judgements[0].measured == {"duration": 3, "ok": True, "x": 1.5}
    assert result.file(other) is None
    lines = path.read_text().splitlines()
    assert ["source_picture" in line for line in lines] == [False, True]


BAD = {
    "nonsense": ("not json", "not a JSON object"),
    "a list": ("[1]", "expected a mapping"),
    "unknown key": ({"clip_ids": "x"}, "did you mean 'clip_id'"),
    "missing key": ({"clip_id": "x"}, "missing path, source, sha256"),
    "wrong type": ({"start": "now"}, "expected a finite number, got 'now'"),
    "not finite": ({"start": float("nan")}, "expected a finite number"),
    "bool for number": ({"start": True}, "expected a finite number"),
    "short hash": ({"sha256": "ab"}, "64 hex digits"),
    "backwards": ({"start": 5.0}, "0 <= start < end"),
    "before the start": ({"start": -1.0, "end": 1.0}, "0 <= start < end"),
    "before the start, to the end": ({"start": -1.0, "end": None}, "0 <= start < end"),
    "reference before the clip": ({"reference_time": -0.5}, "reference_time of 0 or more"),
    "absolute id": ({"clip_id": "/etc"}, "relative name"),
    "id that climbs": ({"clip_id": "a/../../b"}, "relative name"),
    "bad literal": ({"source": {"kind": "ftp", "location": "x"}}, "'local', 'url'"),
    "huge number": ({"start": 10**400}, "expected a finite number, got a huge number"),
    "huge size": ({"stamp": {"size": 10**400, "mtime_ns": 1}}, "stamp.size: expected a whole"),
    "deep value": ({"tracks": [{"a": [[[1]]]}]}, r"tracks\[0\].a: expected"),
    "surrogate": ({"clip_id": "\ud800"}, "clip_id: expected Unicode text"),
    "deep": ("[" * 100_000, "not a JSON object"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_say_where_and_what(name):
    change, message = BAD[name]
    if isinstance(change, str):
        line = change
    elif name in ("missing key", "unknown key"):
        line = json.dumps(change)
    else:
        line = json.dumps(json.loads(ROW.to_json()) | change)
    with pytest.raises(ManifestError, match=message) as caught:
        parse_row(line, "m.jsonl:7")
    assert str(caught.value).startswith("m.jsonl:7")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"reference_time": 0.0}, None),
        ({"reference_time": -1e-9}, "reference_time of 0 or more"),
        ({"audible": ((0.0, 1.0), (1.0, 2.0))}, None),
        ({"audible": ((0.0, 1.0), (0.999, 2.0))}, "without overlap"),
        ({"start": 0.0, "end": 1e-9}, None),
        ({"start": 1.0, "end": 1.0}, "start < end"),
        ({"start": -1e-9}, "0 <= start"),
    ],
)
def test_both_sides_of_the_borders_of_a_row(changes, refused):
    if refused is None:
        replace(ROW, **changes)
    else:
        with pytest.raises(ManifestError, match=refused):
            replace(ROW, **changes)


@pytest.mark.parametrize("centre", [(0.0, 1.0), (1.0, 0.0), (-0.001, 0.5), (0.5, 1.001)])
def test_the_centre_of_a_region_lies_in_the_picture(centre):
    if min(centre) >= 0 and max(centre) <= 1:
        assert Region(centre=centre).centre == centre
    else:
        with pytest.raises(ManifestError, match="centre of a region in 0 to 1"):
            Region(centre=centre)


def test_an_id_may_occur_once(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text(ROW.to_json() + "\n\n" + ROW.to_json() + "\n")
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:3.*on line 1"):
        read_manifest(path)


def test_a_byte_order_mark_is_no_part_of_it(tmp_path):
    path = tmp_path / "manifest.jsonl"
    other = replace(ROW, clip_id="other")
    path.write_text("".join(row.to_json() + "\n" for row in (ROW, other)), "utf-8-sig")
    assert read_manifest(path).rows == (ROW, other)
    assert sorted(row.clip_id for row in open_manifest(path).rows) == sorted((ROW.clip_id, "other"))


def test_no_manifest_says_how_to_make_one(tmp_path):
    with pytest.raises(ManifestError, match="curate"):
        read_manifest(tmp_path)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "manifest.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.mp4", "a/../../x", "a\0b"])
def test_paths_stay_below_the_manifest(tmp_path, path):
    row = ManifestRow("x", path, Source("local", "x"), "0" * 64)
    with pytest.raises(UnsafePathError):
        Manifest(tmp_path, (row,)).file(row)


def test_links_that_lead_out_are_refused(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    row = ManifestRow("x", "link/passwd", Source("local", "x"), "0" * 64)
    with pytest.raises(UnsafePathError, match="leads out"):
        Manifest(folder, (row,)).file(row)


@given(st.text(max_size=200))
def test_text_that_is_no_row_is_a_clear_error(text):
    with pytest.raises(ManifestError, match=r"^x:1"):
        parse_row(text, "x:1")


def test_paths_with_backslashes_are_found(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"x")
    (tmp_path / "odd\\name.mp4").write_bytes(b"y")
    manifest = Manifest(tmp_path, ())
    assert manifest.inside("clips\\a.mp4") == tmp_path.resolve() / "clips" / "a.mp4"
    assert manifest.inside("odd\\name.mp4").read_bytes() == b"y"  # such a name is possible here
    with pytest.raises(UnsafePathError):
        manifest.inside("..\\a.mp4")


def test_rows_that_stay_in_their_file(tmp_path):
    path = tmp_path / "manifest.jsonl"
    rows = [replace(ROW, clip_id=name) for name in ("c", "a", "é", "b")]
    lines = [row.to_json() for row in rows]
    path.write_text(f"{lines[0]}\n\n{lines[1]}\r\n{lines[2]}\n  \n{lines[3]}", encoding="utf-8")
    stored = open_manifest(tmp_path)
    assert stored.folder == tmp_path
    assert [row.clip_id for row in stored.rows] == ["a", "b", "c", "é"]
    assert list(stored.rows) == sorted(read_manifest(path).rows, key=lambda row: row.clip_id)
    assert stored.rows[-1].clip_id == "é"
    assert [row.clip_id for row in stored.rows[1:3]] == ["b", "c"]
    assert [row.clip_id for row in stored.rows.at([3, 0])] == ["é", "a"]
    with pytest.raises(IndexError):
        stored.rows[4]
    path.write_text(lines[0] + "\n")
    with pytest.raises(ManifestError, match="changed while it was in use"):
        list(stored.rows)
    path.unlink()
    with pytest.raises(ManifestError, match="cannot be read"):
        list(stored.rows)


def test_an_empty_manifest_has_no_rows(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("\n")
    assert list(open_manifest(tmp_path).rows) == []


def test_a_manifest_that_stays_in_its_file_is_checked(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text(f"{ROW.to_json()}\n" * 2)
    with pytest.raises(
        ManifestError, match=r"manifest\.jsonl:2: clip_id 'a/b' is already on line 1"
    ):
        open_manifest(path)
    path.write_text(f"{ROW.to_json()}\nnonsense\n")
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:2: not a JSON object"):
        open_manifest(path)


def test_rows_are_written_in_order_or_not_at_all(tmp_path):
    path = tmp_path / "manifest.jsonl"
    rows = [replace(ROW, clip_id=name) for name in ("a", "b")]
    write_ordered_manifest(path, iter(rows))
    before = path.read_bytes()
    with pytest.raises(ManifestError, match="'a' comes after 'b'"):
        write_ordered_manifest(path, reversed(rows))
    assert path.read_bytes() == before
