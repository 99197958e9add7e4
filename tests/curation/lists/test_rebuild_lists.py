"""From a list to clips: sources fetched once, cut, cropped, compared; a local server for the sites."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets import media as reading
from theval_datasets.commands.import_list import import_list
from theval_datasets.commands.rebuild import rebuild
from theval_datasets.curation.sources.fetching.options import FetchOptions
from theval_datasets.manifest.rows import read_manifest, read_rows

FETCH = FetchOptions(allow_private_addresses=True, retries=0)


def make(list_folder, out):
    return rebuild(str(list_folder), out, cache=str(out.parent / "cache"), workers=1, fetch=FETCH)


def statuses(report):
    return {result.clip_id: (result.status, result.reason) for result in report.results}


def requests(web, name):
    return sum(path.startswith(f"/{name}") and method == "GET" for method, path, _ in web.log)


def imported(tmp_path, web, form, path):
    import_list(path, tmp_path / "list", form=form, address=f"{web.url}/{{id}}.mp4")
    return tmp_path / "list"


def test_hdtf_from_the_list_to_the_same_clips_twice(media, web, tmp_path):
    """Two clips of one source, one at half the resolution, one too short, one gone, one beyond the end."""
    shutil.copy(media("plain"), web.folder / "full.mp4")
    ffmpeg("-i", media("plain"), "-vf", "scale=80:60", "-c:a", "copy", web.folder / "half.mp4")
    hdtf = tmp_path / "hdtf"
    hdtf.mkdir()
    urls = {"Full": "full", "Half": "half", "Gone": "gone", "Late": "full"}
    spans = {"Full": "00:00-00:01 00:01-00:02 00:01-00:09", "Half": "00:00-00:01"}
    spans |= {"Gone": "00:00-00:01", "Late": "00:05-00:06"}
    clips = ["Full_0", "Full_1", "Full_2", "Half_0", "Gone_0", "Late_0"]
    tables = {
        "video_url": [f"{name} {web.url}/{file}.mp4" for name, file in urls.items()],
        "annotion_time": [f"{name}.mp4 {text}" for name, text in spans.items()],
        "resolution": [f"{name}.mp4 120" for name in urls],
        "crop_wh": [f"{name}.mp4 40 80 20 100" for name in clips],
    }
    for kind, lines in tables.items():
        (hdtf / f"RD_{kind}.txt").write_text("\n".join(lines))
    listed = imported(tmp_path, web, "hdtf", hdtf)
    report = make(listed, tmp_path / "out")
    assert statuses(report) == {
        "Full_0": ("made", None),
        "Full_1": ("made", None),
        "Full_2": ("changed", "length"),
        "Half_0": ("made", None),
        "Gone_0": ("gone", "removed"),
        "Late_0": ("gone", "beyond-end"),
    }
    assert report.exit_code == 1
    assert "a source of 120 px in height, it has 60" in report.to_text()
    assert requests(web, "full.mp4") == 2  # once to look at it, once to fetch it
    made = {row.clip_id: row for row in read_manifest(tmp_path / "out").rows}
    assert set(made) == {"Full_0", "Full_1", "Half_0"}
    assert [(made[n].media.width, made[n].media.height) for n in made] == [
        (80, 100),
        (80, 100),
        (40, 50),
    ]
    assert made["Full_1"].media.n_frames == 25
    assert made["Full_1"].listed.attributes["collection"] == "RD"
    assert len(list(read_rows(tmp_path / "out/rejected.jsonl"))) == 3
    whole = reading.read_frames(media("plain"), [30], reading.frame_index(media("plain"))).pixels[0]
    file = read_manifest(tmp_path / "out").file(made["Full_1"])
    cut = reading.read_frames(file, [5], reading.frame_index(file)).pixels[0]
    assert np.abs(cut.astype(int) - whole[20:120, 40:120]).mean() < 6
    again = make(tmp_path / "out", tmp_path / "again")
    assert again.counts == {"identical": 3}, again.to_text()
    resumed = make(listed, tmp_path / "out")
    assert statuses(resumed) == statuses(report)
    assert (
        requests(web, "full.mp4") == 3 * 2 - 2
    )  # the second folder fetched it anew, the first did not


def test_a_box_for_each_frame(media, web, tmp_path):
    shutil.copy(media("plain"), web.folder / "abc.mp4")
    boxes = [f"{i:06d} {0.2 + 0.005 * (i - 10):.3f} 0.1 0.4 0.5" for i in range(10, 35)]
    head = "Identity : id1\nReference : abc\nOffset : 1\n\nFRAME X Y W H\n"
    (tmp_path / "00001.txt").write_text(head + "\n".join(boxes))
    listed = imported(tmp_path, web, "voxceleb2", tmp_path / "00001.txt")
    report = make(listed, tmp_path / "out")
    assert statuses(report) == {"id1/abc/00001": ("made", None)}
    (row,) = read_manifest(tmp_path / "out").rows
    assert (row.media.width, row.media.height, row.media.n_frames) == (64, 60, 25)
    assert (row.start, row.end, len(row.region.boxes)) == (0.4, 1.4, 25)
    assert make(tmp_path / "out", tmp_path / "again").counts == {"identical": 1}


def test_frames_of_chunks_are_counted_in_the_source(media, web, tmp_path):
    shutil.copy(media("plain"), web.folder / "abc.mp4")
    tubes = ["abc_0000,120,160,5,14,0,0,80,120", "abc_0001,120,160,0,9,0,0,80,120",
             "abc_0000,120,160,45,60,0,0,80,120", "abc_0000,240,160,6,14,0,0,80,120"]  # fmt: skip
    (tmp_path / "tubes.txt").write_text("\n".join(tubes))
    report = make(
        imported(tmp_path, web, "talkinghead-1kh", tmp_path / "tubes.txt"), tmp_path / "out"
    )
    assert [(result.status, result.reason) for result in report.results] == [
        ("changed", "length"),
        ("made", None),
        ("gone", "aspect"),
        ("gone", "beyond-end"),
    ]
    (row,) = read_manifest(tmp_path / "out").rows
    assert (row.start, row.end, row.media.n_frames) == (0.2, 0.6, 10)
    assert make(tmp_path / "out", tmp_path / "again").counts == {"identical": 1}


def test_a_centre_a_whole_picture_and_a_whole_source(media, web, tmp_path):
    shutil.copy(media("plain"), web.folder / "abc.mp4")
    (tmp_path / "speech.csv").write_text("abc,0.2,1.2,0.9,0.5\nabc,0.2,1.2,0.9\n")
    report = make(imported(tmp_path, web, "avspeech", tmp_path / "speech.csv"), tmp_path / "out")
    assert report.counts == {"made": 1}
    (row,) = read_manifest(tmp_path / "out").rows
    assert (row.media.width, row.media.height) == (120, 120)
    (tmp_path / "own.csv").write_text(
        "clip_id,url,start,end\nwhole,abc,,\nrest,abc,1.5,\npart,abc,0,1\n"
    )
    import_list(tmp_path / "own.csv", tmp_path / "own", form="csv", address=f"{web.url}/{{id}}.mp4")
    report = make(tmp_path / "own", tmp_path / "own-out")
    assert report.counts == {"made": 3}, report.to_text()
    rows = {row.clip_id: row for row in read_manifest(tmp_path / "own-out").rows}
    assert {name: row.media.n_frames for name, row in rows.items()} == {
        "part": 25,
        "rest": 12,
        "whole": 50,
    }
    assert make(tmp_path / "own-out", tmp_path / "again").counts == {"identical": 3}


@pytest.mark.slow
@pytest.mark.real
def test_real_clips_by_a_list(shared_data, web, tmp_path):
    """A person's square out of real footage, also from the same footage at another resolution."""
    clips = shared_data / "media" / "single"
    shutil.copy(clips / "liveportrait_d20.mp4", web.folder / "one.mp4")
    ffmpeg("-i", clips / "liveportrait_d20.mp4", "-vf", "scale=iw/2:ih/2", web.folder / "two.mp4")
    size = reading.probe(web.folder / "one.mp4")
    box = {"top": 0.1, "bottom": 0.9, "left": 0.2, "right": 0.8}
    clip = {"duration": {"start_sec": 0.5, "end_sec": 1.5}, "bbox": box}
    entries = {name: {"ytb_id": name, **clip} for name in ("one", "two", "none")}
    (tmp_path / "list.json").write_text(json.dumps({"clips": entries}))
    report = make(imported(tmp_path, web, "celebv-hq", tmp_path / "list.json"), tmp_path / "out")
    assert statuses(report) == {
        "none": ("gone", "removed"), "one": ("made", None), "two": ("made", None),
    }  # fmt: skip
    rows = {row.clip_id: row.media for row in read_manifest(tmp_path / "out").rows}
    assert rows["one"].width == pytest.approx(0.6 * size.width, abs=2)
    assert rows["two"].height == pytest.approx(0.4 * size.height, abs=2)
    assert make(tmp_path / "out", tmp_path / "again").counts == {"identical": 2}
