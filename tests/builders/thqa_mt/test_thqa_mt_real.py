"""A small THQA-MT of real clips of talking-head models, with simulated ratings, the whole way.

Nobody rated these clips: the ratings are drawn from a distribution, and every name says so.
"""

from __future__ import annotations

import csv
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clean_environment import load_in
from PIL import Image

from theval_datasets.commands.build import build
from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.commands.verify import verify
from theval_datasets.media import frame_index, read_frames
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.optional import available

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(1500)]

CLIPS = {
    "zl__AniPortrait": "generated/aniportrait_zl_2panel.mp4",
    "woman__FantasyTalking": "generated/fantasytalking_cfg1.0.mp4",
    "radio__V-Express": "generated/vexpress_short10.mp4",
    "radio__recorded": "single/vexpress_rdradio10.mp4",
    "couple__recorded": "multi/derived_two_people_turns.mp4",
    "mute__recorded": "single/mead_M030_front_neutral_level1_001.mp4",
}
"""Name after the default rule, ``{portrait_id}__{generator}``, to the file."""
FEATURES = (
    "landmarks", "head_pose", "vad", "loudness", "theval_signals",
    "faces", "arcface", "identity", "person_landmarks", "person_pose",
)  # fmt: skip
LISTED = """\
clip_id,generator,portrait_id,difficulty,succeeded
zl__AniPortrait.mp4,AniPortrait,zl,easy,1
,AniPortrait,couple,,0
"""
"""One clip and an attempt that gave none; the other clips tell by their names."""
SUBJECTS, SEEN = 12, 10
LIKED = dict(zip(CLIPS, (0.8, 3.4, 2.6, 4.2, 3.0, 1.4), strict=True))
LOAD = """
import importlib.util, json
assert importlib.util.find_spec("theval_datasets") is None
from datasets import load_dataset
rows = load_dataset("theval/thqa-mt", split="train")
tracks = load_dataset("theval/thqa-mt", "landmarks", split="train")
ratings = load_dataset("theval/thqa-mt", "ratings", split="train")
made = load_dataset("theval/thqa-mt", "generators", split="train")
print(json.dumps({"rows": list(rows), "tracks": tracks["clip_id"][:], "ratings": len(ratings),
                  "generators": list(made)}))
"""


def first_frame(clip: Path, path: Path) -> None:
    Image.fromarray(read_frames(clip, [0], frame_index(clip)).pixels[0]).save(path)


def ratings(path: Path) -> None:
    """Simulated: nine of twelve subjects see the eleventh distortion in the first clip."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["subject", "clip_id", "score", "distortions"])
        for (name, mean), subject in itertools.product(LIKED.items(), range(SUBJECTS)):
            votes = ["0"] * 12
            votes[SEEN] = str(int(name == "zl__AniPortrait" and subject < 9))
            score = round(float(np.clip(mean + rng.normal(0, 0.5), 0, 5)), 1)
            out.writerow([f"simulated-{subject:02d}", name, score, "".join(votes)])


@pytest.fixture(scope="module")
def made(shared_data: Path, tmp_path_factory) -> tuple[Path, Path]:
    """The same set, built twice."""
    folder = tmp_path_factory.mktemp("real")
    media, videos, portraits = shared_data / "media", folder / "videos", folder / "portraits"
    videos.mkdir()
    portraits.mkdir()
    for name, file in CLIPS.items():
        shutil.copy(media / file, videos / f"{name}.mp4")
    for name in ("couple", "radio"):  # as a generator is given it
        first_frame(videos / f"{name}__recorded.mp4", portraits / f"{name}.png")
    shutil.copy(media / "portraits" / "id_obama1.jpg", portraits / "zl.jpg")  # a stranger's
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THEVAL_MODELS", str(shared_data / "models"))
        manifest = curate([str(videos)], folder / "work", root=folder).manifest
        names = (*FEATURES, "formants") if available("parselmouth") else FEATURES
        cache = str(folder / "cache")
        report = extract(manifest, features=names, cache=cache)
        assert report.exit_code == 0, report.to_text()
        (folder / "clips.csv").write_text(LISTED)
        ratings(folder / "ratings-simulated.csv")
        tables = [f"ratings={folder / 'ratings-simulated.csv'}", f"clips={folder / 'clips.csv'}"]
        tables.append(f"portraits={portraits}")
        first, two = (
            build("thqa-mt", folder / out, manifest=manifest, cache=cache, tables=tables)
            for out in ("one", "two")
        )
    return first.release.folder, two.release.folder


@pytest.fixture(scope="module")
def loaded(made, clean_env_python: Path, tmp_path_factory) -> dict[str, Any]:
    """What `datasets` alone loads of it."""
    return load_in(clean_env_python, LOAD, made[0].parents[1], tmp_path_factory.mktemp("hf"))


@pytest.fixture(scope="module")
def rows(loaded) -> dict[str, dict[str, Any]]:
    return {row["clip_id"]: row for row in loaded["rows"]}


def test_it_is_what_it_says(made):
    report = verify(made[0])
    assert report.exit_code == 0, report.to_text()
    assert "no person gave them" in (made[0] / "README.md").read_text()


def test_a_second_build_is_the_same_bytes(made):
    first, two = (
        {p.relative_to(folder): sha256_file(p) for p in folder.rglob("*") if p.is_file()}
        for folder in made
    )
    assert len(first) > 8
    assert first == two


def test_where_clips_come_from(rows, loaded):
    assert rows.keys() == CLIPS.keys()
    for name, row in rows.items():
        assert f"{row['portrait_id']}__{row['generator']}" == name
        assert row["content_id"] == f"portrait-{row['portrait_id']}"
    assert {row["fold"] for row in rows.values()} == set(range(5))
    assert rows["radio__V-Express"]["fold"] == rows["radio__recorded"]["fold"]
    assert loaded["ratings"] == len(CLIPS) * SUBJECTS
    difficulty = {name: row["difficulty"] for name, row in rows.items()}
    assert difficulty.pop("zl__AniPortrait") == "Easy"  # as stated; the others are measured
    portraits = {item: difficulty[f"{item}__recorded"] for item in ("couple", "radio", "mute")}
    assert portraits["mute"] is None  # it has none
    assert {portraits["couple"], portraits["radio"]} <= {"Easy", "Medium", "Hard"}
    generators = {row["generator"]: row for row in loaded["generators"]}
    assert generators["AniPortrait"]["attempted"] == 2
    assert generators["AniPortrait"]["succeeded"] == 1
    assert generators["recorded"]["attempted"] is None
    assert generators["recorded"]["clips"] == 3


def test_scores_follow_the_simulated_ones(rows):
    mos = [rows[name]["mos"] for name in CLIPS]
    assert np.argsort(mos).tolist() == np.argsort(list(LIKED.values())).tolist()
    assert rows["zl__AniPortrait"]["distortions"] == ["Speaker mismatch"]
    assert all(rows[name]["distortions"] == [] for name in CLIPS if not name.startswith("zl"))


def test_people_and_their_identity(rows, loaded):
    people = {name: row["n_subjects"] for name, row in rows.items()}
    assert people == {name: 2 if name == "couple__recorded" else 1 for name in CLIPS}
    assert loaded["tracks"].count("couple__recorded") == 2
    identity = {name: row["identity_consistency"] for name, row in rows.items()}
    assert identity["zl__AniPortrait"] < 0.32  # two people on stills are no more alike than that
    for name in ("couple__recorded", "radio__recorded"):
        assert identity[name] > 0.53, name
        assert rows[name]["identity_coverage"] > 0.9
    references = {name: row["identity_reference"] for name, row in rows.items()}
    assert references["woman__FantasyTalking"] == "own-frame"
    assert references["couple__recorded"] == "portrait"
    assert all(abs(np.linalg.norm(row["arcface"]) - 1) < 1e-5 for row in rows.values())


def test_signals_are_plausible(rows):
    for name, row in rows.items():
        assert row["face_ratio"] > 0.95, name
        assert abs(row["yaw_mean"]) < 30
        assert 0 < row["head_motion"] < 100
        assert 0 < row["lip_dynamics"] < 10
        if name == "mute__recorded":
            assert row["lip_sync"] is None
            assert {"vad:no-audio", "theval_signals:no-audio"} <= set(row["missing"])
        else:
            assert 0.5 < row["speech_ratio"] <= 1, name
            assert 0 < row["lip_sync"] < 0.6, name
    if available("parselmouth"):  # peaks of speech, as THQA-MT reports them
        assert all(500 < rows[n]["f1_hz"] < 1700 for n in CLIPS if n != "mute__recorded")
        assert all(1700 < rows[n]["f2_hz"] < 4250 for n in CLIPS if n != "mute__recorded")
        assert rows["mute__recorded"]["f1_hz"] is None
    else:
        assert all("formants:extra-missing" in row["missing"] for row in rows.values())
