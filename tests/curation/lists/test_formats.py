"""Lists of other datasets as rows: what each format means, and what a list gets wrong."""

from __future__ import annotations

import json

import pytest

from theval_datasets import catalog
from theval_datasets.commands.import_list import import_list
from theval_datasets.curation.lists.base import EntryError, url
from theval_datasets.curation.lists.rows import import_rows
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.rows import read_manifest, read_rows

ID = "uBWJJvynXpA"
WATCH = f"https://www.youtube.com/watch?v={ID}"
BOX = {"top": 0.1, "bottom": 0.6, "left": 0.25, "right": 0.75}


def rows_of(form, path):
    return import_rows(catalog.load("list", form)(), path)


def faults(imported):
    assert all(row.listed is not None for row in imported.rejected)
    return {row.clip_id: row.reason for row in imported.rejected}


def write_hdtf(folder, **files):
    folder.mkdir()
    for name, lines in files.items():
        (folder / f"WDA_{name}.txt").write_text("\n".join(lines), "utf-8-sig")
    return folder


@pytest.fixture
def hdtf(tmp_path):
    return write_hdtf(
        tmp_path / "hdtf",
        video_url=[
            f"Ann {WATCH}&t=6s",
            "Bob.mp4 https://youtu.be/CPCoMyuBRM0?t=3",
            f"NoSpan {WATCH}",
            "NoHeight https://example.org/v.mp4",
            "Twice https://example.org/1.mp4",
            "Twice https://example.org/2.mp4",
            "Local file:///etc/passwd",
        ],
        annotion_time=[
            "Ann.mp4 00:05-01:35 01:02:03-01:02:13 ",
            "Bob.mp4 00:20-00:10 00:20-00:30 soon",
            "NoUrl.mp4 00:00-00:10",
            "NoHeight.mp4 00:00-00:10",
            "Twice.mp4 00:00-00:10",
            "Local.mp4 00:00-00:10",
            "Ann.mp4 00:05-01:35",
        ],
        resolution=["Ann.mp4 720", "Bob 1080", "Twice.mp4 720", "Local.mp4 720", "NoHeight.mp4 0"],
        crop_wh=[
            "Ann_0.mp4 306 480 41 500",
            "Bob_0.mp4 0 100 0 100",
            "Bob_1 1 2 3",
            "Bob_2 0 100 0 100",
            *(f"{name}_0.mp4 0 100 0 100" for name in ("NoUrl", "NoHeight", "Twice", "Local")),
            "Nobody_0.mp4 0 100 0 100",
        ],
        crop_ratio=["Ann_0.mp4 1.2"],
    )


def test_hdtf(hdtf):
    imported = rows_of("hdtf", hdtf)
    (ann,) = imported.kept
    assert (ann.clip_id, ann.source.location, ann.start, ann.end) == ("Ann_0", WATCH, 5.0, 95.0)
    assert ann.region.boxes == ((0.0, 306.0, 41.0, 480.0, 500.0),)
    assert (ann.region.width, ann.region.height, ann.listed.height) == (None, 720.0, 720)
    assert dict(ann.listed.attributes) == {"collection": "WDA", "crop_ratio": 1.2}
    assert ann.listed.place == "WDA_annotion_time.txt:1"
    assert faults(imported) == {
        "Ann_1": "no-crop",
        "Ann_0#2": "duplicate-id",
        "Bob_0": "bad-span",
        "Bob_1": "bad-crop",
        "Bob_2": "bad-span",
        "NoUrl_0": "no-source",
        "NoHeight_0": "bad-size",
        "Twice_0": "no-source",
        "Local_0": "bad-source",
        "NoSpan": "no-span",
        "Nobody_0": "no-source",
    }


def test_hdtf_by_hours_and_without_files(tmp_path):
    folder = write_hdtf(
        tmp_path / "a", annotion_time=["A 01:02:03-01:02:13"], video_url=[f"A {WATCH}"]
    )
    assert faults(rows_of("hdtf", folder)) == {"A_0": "no-size"}
    (folder / "WDA_resolution.txt").write_text("A 720")
    (folder / "WDA_crop_wh.txt").write_text("A_0 0 100 0 100")
    (row,) = rows_of("hdtf", folder).kept
    assert (row.start, row.end) == (3723.0, 3733.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="_annotion_time"):
        rows_of("hdtf", tmp_path / "empty")


def test_the_published_hdtf(shared_data):
    imported = rows_of("hdtf", shared_data / "public" / "lists" / "hdtf")
    reasons = sorted(faults(imported).values())
    assert len(imported.kept) == 419
    assert {name: reasons.count(name) for name in reasons} == {
        "bad-size": 2, "no-crop": 15, "no-span": 1,
    }  # fmt: skip
    assert not any("t=" in row.source.location for row in imported.kept)


def celebv(path, *, box=BOX, **clips):
    whole = {"ytb_id": ID, "duration": {"start_sec": 1.5, "end_sec": 4}, "bbox": box}
    path.write_text(json.dumps({"clips": {k: {**whole, **v} for k, v in clips.items()}}))
    return path


def test_celebv_hq(tmp_path):
    path = celebv(
        tmp_path / "list.json",
        a={"attributes": {"appearance": [0, 1], "emotion": {"labels": "happy", "sep_flag": False}}},
        b={"ytb_id": "../x"},
        c={"duration": {"start_sec": 4, "end_sec": 4}},
        d={"bbox": {**BOX, "bottom": 0.1}},
        e={"bbox": {**BOX, "top": "high"}},
        f={"duration": None},
    )
    imported = rows_of("celebv-hq", path)
    (row,) = imported.kept
    assert (row.clip_id, row.source.location, row.start, row.end) == ("a", WATCH, 1.5, 4.0)
    assert row.region.boxes == ((0.0, 0.25, 0.1, 0.5, 0.5),)
    assert (row.region.width, row.region.height) == (1.0, 1.0)
    named = {"appearance": [0, 1], "emotion_labels": "happy", "emotion_sep_flag": False}
    assert dict(row.listed.attributes) == named
    assert faults(imported) == {
        "b": "bad-source", "c": "bad-span", "d": "bad-crop", "e": "bad-number", "f": "bad-entry",
    }  # fmt: skip


def test_an_id_that_occurs_twice_in_json_is_not_lost(tmp_path):
    path = celebv(tmp_path / "list.json", a={})
    inner = path.read_text().removeprefix('{"clips": {').removesuffix("}}")
    path.write_text(f'{{"clips": {{{inner}, {inner}}}}}')
    imported = rows_of("celebv-hq", path)
    assert [row.clip_id for row in imported.kept] == ["a"]
    assert faults(imported) == {"a#2": "duplicate-id"}


def test_celebv_text(tmp_path):
    box = {"top": 0, "bottom": 937, "left": 849, "right": 1872}
    frames = {"duration": {"start_frame": 415.29, "end_frame": 420.88}, "version": "v0.1"}
    (row,) = rows_of("celebv-text", celebv(tmp_path / "list.json", box=box, a=frames)).kept
    assert row.region.boxes == ((0.0, 849.0, 0.0, 1023.0, 937.0),)
    assert (row.region.width, row.region.height) == (None, None)
    assert (row.start, row.end) == (415.29, 420.88)
    assert dict(row.listed.attributes) == {"version": "v0.1"}


VOX = f"""\
Identity  : \tid00017
Reference : \t{ID}
Offset    : \t2
FV Conf   : \t16.140\t(1)
ASD Conf  : \t5.142

FRAME \tX \tY \tW \tH
000100 \t0.100 \t0.200 \t0.300 \t0.400
000101 \t0.110 \t0.200 \t0.300 \t0.400
000105 \t0.150 \t0.200 \t0.300 \t0.400
"""


def test_voxceleb2(tmp_path):
    folder = tmp_path / "id00017" / ID
    folder.mkdir(parents=True)
    (folder / "00001.txt").write_text(VOX)
    (folder / "00002.txt").write_text(VOX.partition("FRAME")[0])
    (folder / "00003.txt").write_text(VOX.replace("000105", "000101"))
    (folder / "00004.txt").write_text(VOX + "000106 0.1 0.2\n")
    (folder / "00005.txt").write_bytes(b"\xff\xfe\xff")
    (folder / "00006.txt").write_text(VOX.replace("0.300", "0.000"))
    (folder / "00007.txt").write_text(VOX.replace(f"Reference : \t{ID}\n", ""))
    imported = rows_of("voxceleb2", tmp_path)
    (row,) = imported.kept
    assert row.clip_id == f"id00017/{ID}/00001"
    assert (row.source.location, row.start, row.end) == (WATCH, 4.0, pytest.approx(106 / 25))
    assert row.region.boxes[0] == (0.0, 0.1, 0.2, 0.3, 0.4)
    assert [box[0] for box in row.region.boxes] == [0.0, 0.04, 0.2]
    assert row.listed.attributes["identity"] == "id00017"
    assert faults(imported) == {
        f"id00017/{ID}/00002": "no-span",
        f"id00017/{ID}/00003": "bad-span",
        f"id00017/{ID}/00004": "bad-entry",
        "00005": "bad-entry",
        f"id00017/{ID}/00006": "bad-crop",
        "id00017/00007": "bad-source",
    }
    assert len(rows_of("voxceleb2", folder / "00001.txt").kept) == 1


def test_avspeech(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(
        f"{ID},10.5,14.25,0.27,0.5\n{ID},20,18,0.2,0.5\n{ID},20,22,1.2,0.5\nshort,1,2,0,0\n"
        f"{ID},30,31\n\n{ID},10.5,14.25,0.27,0.5\n{ID},nan,31,0.5,0.5\n"
    )
    imported = rows_of("avspeech", path)
    (row,) = imported.kept
    assert (row.clip_id, row.start, row.end) == (f"{ID}_10.5_14.25", 10.5, 14.25)
    assert row.region.centre == (0.27, 0.5)
    assert faults(imported) == {
        f"{ID}_20_18": "bad-span",
        f"{ID}_20_22": "bad-crop",
        "short_1_2": "bad-source",
        f"{ID}_30_31": "bad-entry",
        f"{ID}_10.5_14.25#2": "duplicate-id",
        f"{ID}_nan_31": "bad-number",
    }


def test_talkvid(tmp_path):
    clip = {
        "id": "scene1",
        "height": 1080,
        "width": 1920,
        "fps": 24.0,
        "start-time": 0.1,
        "end-time": 5.1,
        "info": {"Person ID": "597", "Language": "English", "Video Link": WATCH},
        "scores": {"blur": 0.5},
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps([clip, {**clip, "id": None, "info": {}}, 7]))
    imported = rows_of("talkvid", path)
    (row,) = imported.kept
    assert (row.clip_id, row.source.location, row.region) == ("scene1", WATCH, None)
    assert (row.listed.width, row.listed.height) == (1920, 1080)
    attributes = {"person_id": "597", "language": "English", "fps": 24.0, "scores_blur": 0.5}
    assert dict(row.listed.attributes) == attributes
    assert faults(imported) == {"list.json[1]": "no-source", "list.json[2]": "bad-entry"}


def test_talkinghead_1kh(tmp_path):
    path = tmp_path / "tubes.txt"
    path.write_text(
        f"{ID}_0002, 720, 1280, 10, 109, 320, 0, 960, 640\n"
        f"{ID}_0002,720,1280,110,109,320,0,960,640\n{ID},720,1280,1,2,3,4,5,6\n"
        f"{ID}_0003,0,1280,1,2,3,4,5,6\n{ID}_0003,720,1280,1,2,9,4,5,6\n{ID}_0003,720\n"
    )
    imported = rows_of("talkinghead-1kh", path)
    (row,) = imported.kept
    assert row.clip_id == f"{ID}_0002_S10_E109_L320_T0_R960_B640"
    assert (row.start, row.end, row.listed.frames) == (120.0, None, (10, 110))
    assert row.region.boxes == ((0.0, 320.0, 0.0, 640.0, 640.0),)
    assert (row.region.width, row.region.height) == (1280.0, 720.0)
    reasons = list(faults(imported).values())
    assert reasons == ["bad-span", "bad-source", "bad-size", "bad-crop", "bad-entry"]


def test_csv(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(
        "clip_id,url,start,end,left,top,width,height,source_width,source_height,x,y,mood\n"
        f"a,{ID},1,2,,,,,,,,,happy\n"
        "b,https://example.org/a.mp4,,,10,20,100,120,640,480,,,\n"
        f"c,{ID},3,,,,,,,,0.5,0.25,\n"
        f"d,{ID},,,10,20,100,,640,480,,,\n"
        f"e,{ID},-1,,,,,,,,,,\n"
        "f,,1,2,,,,,,,,,\n"
        f",{ID},1,2,,,,,,,,,\n"
        f"../../g,{ID},1,2,,,,,,,,,\n"
        f"h,{ID},1,2,1,2,3,4,640,480,0.5,0.5,\n"
    )
    imported = rows_of("csv", path)
    kept = {row.clip_id: row for row in imported.kept}
    assert list(kept) == ["a", "b", "c", "list.csv: row 7", "list.csv: row 8"]
    assert (kept["a"].start, kept["a"].end, kept["a"].region) == (1.0, 2.0, None)
    assert kept["a"].listed.attributes["mood"] == "happy"
    assert kept["b"].region.boxes == ((0.0, 10.0, 20.0, 100.0, 120.0),)
    assert kept["b"].listed.height == 480
    assert (kept["c"].start, kept["c"].end, kept["c"].region.centre) == (3.0, None, (0.5, 0.25))
    assert faults(imported) == {
        "d": "bad-number", "e": "bad-span", "f": "no-source", "h": "bad-crop",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        f"{WATCH}&t=138s", f"http://youtube.com/watch?app=desktop&v={ID}", f"https://youtu.be/{ID}",
        f"https://m.youtube.com/watch?v={ID}#t=1", f"https://www.youtube.com/embed/{ID}?start=3",
        f" {WATCH} ",
    ],
)  # fmt: skip
def test_one_video_has_one_address(text):
    assert url(text) == WATCH


@pytest.mark.parametrize(
    "text",
    ["file:///etc/passwd", "https://user:key@example.org/a", "/etc/passwd", "a b", None, 7, ""],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(EntryError):
        url(text)


@pytest.mark.parametrize("form", ["celebv-hq", "celebv-text", "talkvid"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"clips": 7}', b'"x"', b"{", b"7"]
)
def test_what_is_no_list_is_said(tmp_path, form, content):
    path = tmp_path / "list.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"list\.json"):
        rows_of(form, path)


def test_values_of_any_kind_become_a_row(tmp_path):
    odd = [None, True, 10**400, -1, "\ud800", [], {}, [[1]], "9" * 5000, 1e308]
    clips = {f"{key}-{i}": {key: value} for key in ("ytb_id", "duration", "bbox", "attributes")
             for i, value in enumerate(odd)}  # fmt: skip
    clips |= {f"top-{i}": {"bbox": {**BOX, "top": value}} for i, value in enumerate(odd)}
    path = celebv(tmp_path / "list.json", **clips)
    report = import_list(path, tmp_path / "out", form="celebv-hq")
    assert report.clips + len(report.faults) == len(clips)
    assert len(read_manifest(tmp_path / "out")) == report.clips
    assert len(list(read_rows(tmp_path / "out/rejected.jsonl"))) == len(report.faults)


def test_the_report_and_the_manifest(hdtf, tmp_path):
    report = import_list(hdtf, tmp_path / "out", form="hdtf")
    assert (report.clips, report.sources, len(report.faults)) == (1, 1, 11)
    assert "11 entries cannot be made" in report.to_text()
    assert report.to_plain()["rejected"]["no-source"] == 3
    first = (tmp_path / "out/manifest.jsonl").read_bytes()
    import_list(hdtf, tmp_path / "again", form="hdtf")
    assert (tmp_path / "again/manifest.jsonl").read_bytes() == first
    (rejected,) = [
        row for row in read_rows(tmp_path / "out/rejected.jsonl") if row.clip_id == "Ann_1"
    ]
    assert "01:02:03-01:02:13" in rejected.judgements[0].measured["entry"]


def test_mistakes_are_said(hdtf, tmp_path):
    with pytest.raises(UnknownNameError, match="talkvid"):
        import_list(hdtf, tmp_path / "out", form="talkvids")
    with pytest.raises(InputError, match="no file or folder"):
        import_list(tmp_path / "none", tmp_path / "out", form="hdtf")
    with pytest.raises(InputError, match="id} once"):
        import_list(hdtf, tmp_path / "out", form="hdtf", address="https://example.org/")
    (tmp_path / "empty.csv").write_text("url\n")
    with pytest.raises(InputError, match="lists no clip"):
        import_list(tmp_path / "empty.csv", tmp_path / "out", form="csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "meant"),
    [("id", "clip_id"), ("Start", "start"), ("end_time", "end"), ("Source Width", "source_width")],
)
def test_a_column_that_only_looks_like_one_that_is_read_is_refused(tmp_path, column, meant):
    path = tmp_path / "list.csv"
    path.write_text(f"url,{column}\n{ID},1\n")
    with pytest.raises(InputError, match=f"expected the column name '{meant}', got '{column}'"):
        rows_of("csv", path)
    path.write_text(f"url,{column},{meant},speaker\n{ID},1,,anna\n")  # beside it, an attribute
    (row,) = rows_of("csv", path).kept
    assert sorted(row.listed.attributes.values()) == ["1", "anna"]


def test_an_address_under_another_name_is_named(tmp_path):
    (tmp_path / "list.csv").write_text(f"URL\n{ID}\n")
    with pytest.raises(InputError, match="expected the column name 'url', got 'URL'"):
        rows_of("csv", tmp_path / "list.csv")
