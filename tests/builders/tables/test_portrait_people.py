"""People, pose and difficulty of portraits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from theval_datasets.builders.tables.portrait_files import Portrait, read_portraits
from theval_datasets.builders.tables.portrait_people import _people, measure_people
from theval_datasets.curation.clips import subjects

TURNED = {"yaw_mean": 40.0, "pitch_mean": 0.0, "roll_mean": 1.0}


def person(height: float, **pose: float) -> dict:
    return {"face_height": height, "box": [0.4, 0.4, 0.6, 0.4 + height], **pose}


@pytest.fixture
def portrait(tmp_path) -> Portrait:
    Image.new("RGB", (90, 90)).save(tmp_path / "p.png")
    return read_portraits(tmp_path)["p"]


@pytest.mark.parametrize(
    ("facts", "difficulty", "yaw", "reasons"),
    [
        ([person(0.5, **TURNED)], "Medium", (40.0,), {}),
        ([person(0.5)], None, None, {"yaw", "pitch", "roll", "difficulty"}),  # it may be turned
        ([person(0.5, **TURNED), person(0.5)], None, (40.0, None), {"difficulty"}),
        ([person(0.05)] * 3, "Hard", None, {"yaw", "pitch", "roll"}),  # whatever the turn
    ],
)
def test_an_unknown_turn_leaves_the_difficulty_open(
    portrait, monkeypatch, facts, difficulty, yaw, reasons
):
    monkeypatch.setattr(subjects, "people_facts", lambda _: tuple(facts))
    measured = _people(portrait, {"faces": {}}, {"person_pose": "no-mesh"})
    assert (measured.n_subjects, measured.difficulty) == (len(facts), difficulty)
    assert measured.angles["yaw"] == yaw
    assert measured.reasons == dict.fromkeys(reasons, "no-mesh")


@pytest.mark.parametrize(("reason", "n_subjects"), [("no-face", 0), ("weights-missing", None)])
def test_a_portrait_without_faces(portrait, reason, n_subjects):
    measured = _people(portrait, {}, {"faces": reason})
    assert (measured.n_subjects, measured.difficulty) == (n_subjects, None)
    assert measured.reasons["difficulty"] == measured.reasons["yaw"] == reason
    assert ("n_subjects" in measured.reasons) == (n_subjects is None)


@pytest.mark.slow
def test_real_portraits(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    folder = shared_data / "media" / "portraits"
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(folder / "id_obama2.jpg") as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "one.jpg", exif=turned)
    with Image.open(folder / "multi_friends_t1.jpg") as picture:
        picture.save(tmp_path / "six.png")
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(tmp_path / "black.png")
    measured = measure_people(read_portraits(tmp_path), None)
    assert {name: item.n_subjects for name, item in measured.items()} == {
        "one": 1, "six": 6, "black": 0,
    }  # fmt: skip
    assert measured["one"].difficulty == "Easy"
    assert measured["six"].difficulty == "Hard"
    assert measured["one"].angles["roll"] == pytest.approx((6,), abs=5)  # upright, as shown
    assert measured["black"].reasons["difficulty"] == "no-face"
