from __future__ import annotations

import io
import json
import wave
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pytest

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.rsatalker import Rsatalker
from theval_datasets.builders.rsatalker.dataset import CELLS
from theval_datasets.builders.rsatalker.motion import read_motion
from theval_datasets.builders.rsatalker.tables import read_relations, read_spans
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError
from theval_datasets.utils.files import sha256_file

TALKS = {
    "train": ["dQw4w9WgXcQ_sub_video_1", "dQw4w9WgXcQ_sub_video_2_1", "abc_def-hij_sub_video_0"],
    "test": ["zzzzzzzzzzz_sub_video_3"],
    "ood": ["odd name"],
}


def speech(path: Path, seconds: float) -> None:
    with wave.open(str(path), "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(16000)
        track.writeframes(bytes(2 * round(16000 * seconds)))


def motion(seed: int, n: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"exp": rng.normal(size=(n, 53)).astype(np.float32), "pose": rng.normal(size=(n, 6))}


@pytest.fixture
def release(tmp_path) -> Path:
    folder = tmp_path / "dualtalk"
    for split, names in TALKS.items():
        (folder / split).mkdir(parents=True)
        for seed, name in enumerate(names):
            for speaker in (1, 2):
                stem = folder / split / f"{name}_speaker{speaker}"
                speech(stem.with_name(stem.name + ".wav"), 1.5 + seed)
                np.savez(stem.with_name(stem.name + ".npz"), **motion(seed * 2 + speaker))
    return folder


def build(tmp_path: Path, release: Path, out: str = "out", **tables: Path):
    return write_release(Rsatalker, Inputs(release=release, tables=tables), tmp_path / out)


def load(folder: Path, config: str, cache: Path) -> dict[str, dict]:
    loaded = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
    rows = {row["clip_id"]: row for split in loaded.values() for row in split}
    assert rows
    return rows


def labels(folder: Path) -> Path:
    path = folder / "relations.csv"
    path.write_text(
        "id,relationship,blood,equal\n"
        "dQw4w9WgXcQ,Mother–Son,,\n"
        "dQw4w9WgXcQ_sub_video_2_1,couple,0,1\n"
        "abc_def-hij,siblings,1,1\n"
        "zzzzzzzzzzz,colleagues,0,0\n"
    )
    return path


def test_everything_given(release, tmp_path):
    spans = tmp_path / "spans.csv"
    spans.write_text(
        "clip_id,start,end,match_score\n"
        "dQw4w9WgXcQ_sub_video_1,10,11.5,0.9\n"
        "dQw4w9WgXcQ_sub_video_2_1_speaker2,20.25,,\n"
    )
    made = build(tmp_path, release, spans=spans, relationships=labels(tmp_path))
    assert list(made.info.configs) == ["features", "motion", "media"]
    assert {s: c.rows for s, c in made.info.configs["features"].splits.items()} == {
        "train": 6, "test": 2, "ood": 2,
    }  # fmt: skip
    rows = load(made.folder, "features", tmp_path / "hf")
    row = rows["dQw4w9WgXcQ_sub_video_1_speaker1"]
    assert (row["blood"], row["equal"], row["relationship"]) == (True, False, "mother-son")
    assert (row["youtube_id"], row["partner"]) == (
        "dQw4w9WgXcQ",
        "dQw4w9WgXcQ_sub_video_1_speaker2",
    )
    assert (row["start"], row["end"], row["match_score"]) == (10, 11.5, 0.9)
    other = rows["dQw4w9WgXcQ_sub_video_2_1_speaker2"]
    assert (other["relationship"], other["blood"], other["equal"]) == ("couple", False, True)
    assert (other["start"], other["end"], other["match_score"]) == (20.25, 22.75, None)
    assert rows["dQw4w9WgXcQ_sub_video_2_1_speaker1"]["start"] is None
    assert rows["abc_def-hij_sub_video_0_speaker1"]["youtube_id"] == "abc_def-hij"
    odd = rows["odd name_speaker1"]
    assert odd["youtube_id"] is None
    assert {"name:unknown-pattern", "blood:not-stated"} <= set(odd["missing"])
    counts = made.info.counts
    assert {name: counts[name] for name in CELLS.values()} == dict.fromkeys(CELLS.values(), 2)
    assert (counts["unlabelled"], counts["videos"], counts["located"]) == (2, 3, 3)
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_motion_is_the_files_with_head_and_jaw_apart(release, tmp_path):
    rows = load(build(tmp_path, release).folder, "motion", tmp_path / "hf")
    first, wanted = rows["dQw4w9WgXcQ_sub_video_2_1_speaker1"], motion(3)
    assert (first["frames"], first["expression_dim"]) == (7, 53)
    assert np.array_equal(np.float32(first["expression"]).reshape(7, 53), wanted["exp"])
    assert np.array_equal(
        np.float32(first["pose"]).reshape(7, 3), np.float32(wanted["pose"][:, :3])
    )
    assert np.array_equal(np.float32(first["jaw"]).reshape(7, 3), np.float32(wanted["pose"][:, 3:]))


def test_speech_is_in_media_without_a_video(release, tmp_path):
    made = build(tmp_path, release)
    row = load(made.folder, "media", tmp_path / "hf")["odd name_speaker2"]
    assert row["audio"]["bytes"] == (release / "ood" / "odd name_speaker2.wav").read_bytes()
    assert row["video"] is None
    assert row["missing"] == ["media:no-clip"]


def test_what_locate_says_is_understood(release, tmp_path):
    reasons = {
        "threshold": 0.3,
        "found": [
            {"short": "x/zzzzzzzzzzz_sub_video_3_speaker1.wav", "long": "v.mp4", "start": 4.5,
             "score": 0.75, "margin": 0.5, "reason": None},
            {"short": "x/zzzzzzzzzzz_sub_video_3_speaker2.wav", "long": None, "start": None,
             "score": None, "margin": None, "reason": "not-found"},
        ],
        "unreadable": {},
    }  # fmt: skip
    path = tmp_path / "spans.json"
    path.write_text(json.dumps(reasons))
    rows = load(build(tmp_path, release, spans=path).folder, "features", tmp_path / "hf")
    row = rows["zzzzzzzzzzz_sub_video_3_speaker1"]
    assert (row["start"], row["end"], row["match_score"]) == (4.5, 6.0, 0.75)
    assert "spans:not-located" in rows["zzzzzzzzzzz_sub_video_3_speaker2"]["missing"]
    path.write_text("{}")
    with pytest.raises(InputError, match="locate --json"):
        read_spans(path)


def test_parts_that_are_missing_are_said(release, tmp_path):
    (release / "ood" / "odd name_speaker2.wav").unlink()
    (release / "ood" / "odd name_speaker2.npz").unlink()
    (release / "test" / "zzzzzzzzzzz_sub_video_3_speaker1.wav").unlink()
    (release / "test" / "zzzzzzzzzzz_sub_video_3_speaker2.npz").unlink()
    relations = tmp_path / "r.csv"
    relations.write_text("id,relationship\nnobody,couple\nzzzzzzzzzzz.mp4,siblings\n")
    made = build(tmp_path, release, relationships=relations)
    notes = " ".join(made.info.notes)
    for messages in (
        "1 recording without speech, such as zzzzzzzzzzz_sub_video_3_speaker1",
        "1 recording without motion, such as zzzzzzzzzzz_sub_video_3_speaker2",
        "1 recording without the other speaker, such as odd name_speaker1",
        "relationships: 1 of 2 names match a conversation; not matched: 'nobody'.",
    ):
        assert messages in notes, messages
    assert verify(made.folder).exit_code == 0


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("spans", "clip_id,start\nelsewhere,1\n"),
        ("relationships", "id,relationship\nelsewhere,couple\n"),
    ],
)
def test_tables_that_match_no_recording_are_an_error(release, tmp_path, kind, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"{kind}: none of the 1 names matches"):
        build(tmp_path, release, **{kind: path})


def test_two_builds_are_the_same_bytes(release, tmp_path):
    first, second = (build(tmp_path, release, out).folder for out in ("a", "b"))
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert files
    assert all(sha256_file(first / f) == sha256_file(second / f) for f in files)


def test_motion_files_are_not_trusted(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, exp=np.array([{"a": 1}], dtype=object), pose=np.zeros((1, 6)))
    with pytest.raises(InputError, match="not a plain array"):
        read_motion(path)
    for exp, pose in (
        (np.zeros((3, 49)), np.zeros((3, 6))),
        (np.zeros((3, 50)), np.zeros((2, 6))),
        (np.zeros((0, 50)), np.zeros((0, 6))),
    ):
        np.savez(path, exp=exp, pose=pose)
        with pytest.raises(InputError, match="expected exp"):
            read_motion(path)
    np.savez(path, exp=np.full((3, 50), np.nan), pose=np.zeros((3, 6)))
    with pytest.raises(InputError, match="finite"):
        read_motion(path)
    np.savez(path, exp=np.zeros((3, 50)))
    with pytest.raises(InputError, match="missing"):
        read_motion(path)
    stream = io.BytesIO()
    np.save(stream, np.zeros((1 << 20, 50), np.float32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("exp.npy", stream.getvalue())
    with pytest.raises(InputError, match="unpacks to"):
        read_motion(path)


def test_tables_that_contradict_themselves_are_refused(release, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("id,relationship,blood\na,siblings,0\nb,couple,perhaps\nb,couple,\n")
    with pytest.raises(
        InputError, match=r"contradicts the relationship 'siblings'.*perhaps.*occurs twice"
    ):
        read_relations(path)
    path.write_text("clip_id,start,end\na,5,4\n")
    with pytest.raises(InputError, match="start < end"):
        read_spans(path)
    (release / "test" / "odd name_speaker1.wav").write_bytes(b"")
    with pytest.raises(InputError, match="occurs twice"):
        build(tmp_path, release)
    with pytest.raises(InputError, match="holds no recordings"):
        build(tmp_path, _empty(tmp_path))


def _empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"
