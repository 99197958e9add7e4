from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import small_release as small

from theval_datasets.cards.explorer import write
from theval_datasets.cards.explorer.write import write_explorer
from theval_datasets.errors import InputError, UnsafePathError

NAMES = ["clip-0", "clip-1", "clip-2"]


def content(out: Path, name: str) -> dict:
    """What a script hands over."""
    text = (out / f"{name}.js").read_text("ascii")
    return json.loads(json.loads(text[text.index("JSON.parse(") + 11 : -3]))


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def release(tmp_path, media) -> Path:
    videos = {"clip-0": media("plain"), "clip-1": media("rotated"), "unknown": media("plain")}
    return small.write_small_release(
        tmp_path / "release",
        {
            "features": {"train": small.features(2), "test": small.features(1, ["clip-2"])},
            "landmarks": {"train": small.landmarks(["clip-1", "clip-0", "clip-1"])},
            "ratings": {"train": small.ratings(["clip-2", "unknown"])},
            "media": {"train": small.media(videos)},
            "saliency": {"train": small.saliency(["clip-0"])},
        },
    )


def test_what_an_explorer_holds(release, tmp_path):
    made = write_explorer(release, tmp_path / "view")
    rows = content(tmp_path / "view", "data/rows")
    columns = {column["name"]: column for column in rows["columns"]}
    assert made.clips == rows["n"] == 3
    assert columns["clip_id"]["levels"] == NAMES
    assert columns["split"]["levels"] == ["train", "test"]
    assert columns["arcface"]["kind"] == columns["sha256"]["kind"] == "hidden"
    assert columns["lip_sync"]["origin"] == "theval_signals"
    clips = content(tmp_path / "view", "data/details-000000")["clips"]
    assert [clip["frames"] for clip in clips] == [[1], [0, 2], []]
    assert [clip["video"] for clip in clips] == [
        "media/video-000000.mp4",
        "media/video-000001.mp4",
        None,
    ]
    assert clips[0]["stills"][0]["fixations"] == [4, 8, 20, 60]
    assert clips[0]["texts"]["arcface"] == "4 numbers"
    assert [len(clip["ratings"]) for clip in clips] == [0, 0, 6]
    assert clips[2]["ratings"][0] == ["quality", "s0", 1.0, None, None]
    held = files(tmp_path / "view")
    assert made.files == len(held)
    assert made.n_bytes == sum(map(len, held.values()))
    assert "media/video-000002.mp4" not in held  # of no clip
    assert held["README.md"].startswith(b"---\ntitle: small\nsdk: static\napp_file: index.html\n")


def test_further_tables_motion_meshes_and_sound(tmp_path):
    sound = {"bytes": b"RIFF", "path": "a.wav"}
    other = {"bytes": b"MZ", "path": "a.exe"}
    wrong = small.motion(["clip-1"]).set_column(1, "frames", [[29]])
    moved = small.glb(np.eye(3, dtype=np.float32), nodes=[{"translation": [0, 1, 0]}])
    bad = pa.Table.from_pylist(
        [{"clip_id": "clip-1", "frame": 0, "mesh": {"bytes": moved, "path": ""}}]
    )
    release = small.write_small_release(
        tmp_path / "release",
        {
            "features": {"train": small.features(2)},
            "media": {"train": pa.table({"clip_id": NAMES[:2], "audio": [sound, other]})},
            "motion": {"train": small.motion(["clip-0"]), "test": wrong},
            "mesh": {"train": small.meshes(["clip-0", "unknown"]), "test": bad},
            "leaderboard": {"train": small.leaderboard()},
            "preferences": {"a": small.preferences(["clip-0"]), "b": small.preferences([])},
        },
    )
    write_explorer(release, tmp_path / "view")
    rows = content(tmp_path / "view", "data/rows")
    assert [(table["name"], table["n"]) for table in rows["tables"]] == [
        ("leaderboard", 3),
        ("preferences", 3),
    ]
    votes = content(tmp_path / "view", rows["tables"][1]["file"])
    columns = {column["name"]: column for column in votes["columns"]}
    assert columns["split"]["levels"] == ["a", "b"]
    assert columns["winner"]["codes"] == [0, -1, 0]
    assert "split" not in {
        column["name"]
        for column in content(tmp_path / "view", rows["tables"][0]["file"])["columns"]
    }
    first, second = content(tmp_path / "view", "data/details-000000")["clips"]
    assert first["audio"] == "media/audio-000000.wav"
    assert second["audio"] is None
    assert (first["mesh_frames"], len(first["meshes"])) == (20, 16)
    assert first["meshes"][0][0] == 0
    assert first["meshes"][-1][0] == 19
    assert second["motion"] is None
    assert second["meshes"] == []
    assert [note.partition(":")[0] for note in second["notes"]] == [
        "motion has a different number of values than of frames",
        "the mesh of frame 0 is not drawn",
    ]
    made = content(tmp_path / "view", f"motion/{first['motion']:06d}")
    jaw = np.frombuffer(base64.b64decode(made["jaw"]["f4"]), "<f4")
    np.testing.assert_allclose(jaw, np.arange(30), atol=1e-4)
    length = np.frombuffer(base64.b64decode(made["expression"]["f4"]), "<f4")
    np.testing.assert_allclose(length, np.sqrt(50), rtol=1e-6)
    last = content(tmp_path / "view", f"meshes/{first['meshes'][-1][1]:06d}")
    points = np.frombuffer(base64.b64decode(last["points"]["i2"]), "<i2").reshape(-1, 3)
    np.testing.assert_allclose(
        points / 32767 * last["half"] + np.array(last["centre"]),
        20 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        atol=1e-3,
    )
    write_explorer(release, tmp_path / "view", media=False, mesh=False)
    held = files(tmp_path / "view")
    assert not [name for name in held if name.startswith(("media/", "meshes/"))]
    assert "motion/000000.js" in held


@pytest.mark.parametrize(("limit", "shown"), [(3, True), (2, False)])
def test_a_table_of_too_many_rows_is_named(tmp_path, monkeypatch, limit, shown):
    monkeypatch.setattr(write, "_LARGEST_TABLE", limit)
    release = small.write_small_release(
        tmp_path / "release",
        {"features": {"train": small.features(2)}, "leaderboard": {"train": small.leaderboard()}},
    )
    made = write_explorer(release, tmp_path / "view")
    assert bool(content(tmp_path / "view", "data/rows")["tables"]) is shown
    assert ("leaderboard has 3 rows, too many to show" in made.notes) is not shown


def test_two_explorers_of_one_dataset_are_the_same(release, tmp_path):
    for name in "ab":
        write_explorer(release, tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_an_earlier_explorer_is_replaced(release, tmp_path):
    out = tmp_path / "view"
    write_explorer(release, out)
    write_explorer(release, out, media=False, mesh=False)
    held = files(out)
    assert not [name for name in held if name.startswith("media/")]
    frames = content(out, "frames/000000")
    assert "mesh" not in frames
    assert "openness" in frames
    assert content(out, "data/details-000000")["clips"][0]["video"] is None


@pytest.mark.parametrize("place", ["other", "release", "release/view"])
def test_other_things_are_not_written_over(release, tmp_path, place):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(InputError, match=r"outside of the dataset|no explorer wrote"):
        write_explorer(release, tmp_path / place)
    assert files(tmp_path) == before


def test_names_of_the_dataset_become_no_paths(tmp_path, media):
    names = ["../../evil", "a/b", "<script>alert(1)</script>"]
    video = pa.table(
        {
            "clip_id": names,
            "video": [
                {"bytes": b"x", "path": "../../evil.html"},
                {"bytes": b"x", "path": "/etc/a.mp4"},
                {"bytes": b"x", "path": "a.mp4\0.svg"},
            ],
            "poster": [{"bytes": b"<svg onload=alert(1)>", "path": "a.png"}] * 3,
        }
    )
    release = small.write_small_release(
        tmp_path / "release",
        {"features": {"train": small.features(3, names)}, "media": {"train": video}},
        name="theval/: '[evil]\n---",
    )
    write_explorer(release, tmp_path / "view")
    held = files(tmp_path / "view")
    assert sorted(name for name in held if name.startswith("media/")) == ["media/video-000001.mp4"]
    assert {p.name for p in tmp_path.iterdir()} == {"release", "view"}
    assert b"<script>alert" not in b"".join(held.values())
    import yaml

    head = held["README.md"].decode().removeprefix("---\n").partition("\n---\n")[0]
    assert yaml.safe_load(head)["sdk"] == "static"
    notes = [clip["notes"] for clip in content(tmp_path / "view", "data/details-000000")["clips"]]
    assert [len(item) for item in notes] == [1, 0, 1]


def test_a_path_that_leads_out_of_the_dataset_is_not_read(release, tmp_path):
    info = json.loads((release / "info.json").read_text())
    info["configs"]["features"]["splits"]["train"]["files"] = ["../outside.parquet"]
    (release / "info.json").write_text(json.dumps(info))
    with pytest.raises(UnsafePathError):
        write_explorer(release, tmp_path / "view")


def test_frames_that_contradict_themselves_are_left_out_with_a_note(tmp_path):
    table = small.landmarks(["clip-0"])
    short = table.set_column(
        table.schema.get_field_index("mesh"), "mesh", pa.array([[1, 2]], pa.list_(pa.int16()))
    )
    short = short.set_column(table.schema.get_field_index("yaw"), "yaw", pa.array([[1.0]]))
    release = small.write_small_release(
        tmp_path / "release",
        {"features": {"train": small.features(1)}, "landmarks": {"train": short}},
    )
    write_explorer(release, tmp_path / "view")
    frames = content(tmp_path / "view", "frames/000000")
    assert "mesh" not in frames
    assert "yaw" not in frames
    assert "pitch" in frames
    (clip,) = content(tmp_path / "view", "data/details-000000")["clips"]
    assert clip["notes"] == ["yaw has 1 values for 50 frames", "mesh has 2 numbers for 49 faces"]


def test_values_that_are_not_finite_are_noted(tmp_path):
    table = small.features(2)
    table = table.set_column(
        table.schema.get_field_index("mos"), "mos", pa.array([float("nan"), 1.0])
    )
    release = small.write_small_release(tmp_path / "release", {"features": {"train": table}})
    made = write_explorer(release, tmp_path / "view")
    assert made.notes == ("mos holds values that are not finite: they are shown as null",)


def test_a_table_without_clip_ids_has_rows_all_the_same(tmp_path):
    table = pa.table({"model": ["a", "b"], "score": [1.0, 2.0]})
    release = small.write_small_release(tmp_path / "release", {"leaderboard": {"train": table}})
    assert write_explorer(release, tmp_path / "view").clips == 2


def test_an_empty_table_is_refused(tmp_path):
    release = small.write_small_release(
        tmp_path / "release", {"features": {"train": small.features(1).slice(0, 0)}}
    )
    with pytest.raises(InputError, match="no rows"):
        write_explorer(release, tmp_path / "view")
