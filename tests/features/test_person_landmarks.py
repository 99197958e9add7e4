"""Meshes of tracks: the whole-frame pass where it will do, windows where it will not."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Scene, watch

from theval_datasets.extraction.mesh import pixels
from theval_datasets.features.faces import Faces
from theval_datasets.features.formulas.signals import mouth_openness
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.people import crops as _crops
from theval_datasets.features.people.grouping import KINDS
from theval_datasets.features.person_landmarks import PersonLandmarks
from theval_datasets.features.person_pose import PersonPose

LEFT, RIGHT = (20, 50, 60), (220, 50, 60)


def paths(scene, most=8, kinds=("person",), alias=None):
    return _crops.track_paths(watch(Faces(), scene, alias=alias), most=most, kinds=kinds)


def test_people_are_followed_and_pictures_of_them_only_on_demand():
    scene = Scene([{0: LEFT, 1: RIGHT, 2: (120, 10, 40)}] * 20, moving=(0, 2))
    everybody = {"alias": {2: 0}, "kinds": KINDS}
    assert [path.kind for path in paths(scene, **everybody)] == ["person", "still", "duplicate"]
    assert [(p.person, p.kind) for p in paths(scene, alias={2: 0})] == [(0, "person")]


def test_a_face_in_its_place_has_one_window_around_it():
    (path,) = paths(Scene([{0: LEFT}] * 10))
    (window,) = path.windows
    assert (window.left, window.top, window.side) == (-1, 29, 102)
    assert path.start == 0.0
    assert path.end == np.inf


def test_a_face_that_moves_far_has_several_windows():
    (path,) = paths(Scene([{0: (10 * i, 50, 60)} for i in range(25)]))
    assert len(path.windows) > 2
    for time, box in zip(path.times, path.boxes, strict=True):
        window = path.window_at(float(time))
        assert window.left <= box[0]
        assert window.left + window.side >= box[2]


def test_a_track_is_looked_for_half_an_interval_around_its_sightings():
    scene = Scene([{0: LEFT}] * 5 + [{0: LEFT, 1: RIGHT}] * 5 + [{0: LEFT}] * 5, moving=(0, 1))
    path = paths(scene)[1]
    assert (path.start, path.end) == (pytest.approx(0.9), pytest.approx(1.9))


def test_at_most_so_many_are_followed_at_once():
    scene = Scene([{0: LEFT, 1: (180, 40, 90), 2: (100, 100, 40)}] * 6, moving=(0, 1, 2))
    assert [c.person for c in paths(scene)] == [0, 1, 2]
    assert [c.person for c in paths(scene, most=2)] == [0, 1]


def test_a_window_beyond_the_frame_is_black_there():
    frame = np.full((20, 30, 3), 7, np.uint8)
    part = _crops.CropWindow(0.0, -5, -5, 12).cut(frame)
    assert part.shape == (12, 12, 3)
    assert (part[:5] == 0).all()
    assert (part[5:, 5:] == 7).all()
    assert (_crops.CropWindow(0.0, 100, 100, 8).cut(frame) == 0).all()


@pytest.mark.slow
def test_a_lone_face_is_not_followed_twice(talking, other, faceless, tmp_path, monkeypatch):
    feature = contract.check(PersonLandmarks(), talking, other, faceless, tmp_path, monkeypatch)
    (whole,) = contract.run(Landmarks(), [talking], tmp_path / "a")
    assert bool(feature.values["whole_frame"])
    assert set(feature.values["kind"].tolist()) == {KINDS.index("person")}
    assert np.array_equal(feature.values["mesh"], whole.values["mesh"])
    contract.check(PersonPose(), talking, other, faceless, tmp_path / "pose", monkeypatch)


@pytest.mark.real
@pytest.mark.slow
def test_two_people_are_followed_as_if_each_were_alone(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    media = shared_data / "media"
    pair, alone = media / "multi/derived_two_people_overlap.mp4", media / "single/sadtalker_aoc.mp4"
    (both,) = contract.run(PersonLandmarks(), [pair], tmp_path)
    (alone_feature,) = contract.run(Landmarks(), [alone], tmp_path)
    assert np.unique(both.values["track"], return_counts=True)[1].tolist() == [200, 200]
    right = both.values["track"] == 1
    here = pixels(both.values["mesh"][right], 1024, 512) - (512, 0, 0)
    there = pixels(alone_feature.values["mesh"], 512, 512)
    assert np.sqrt(((here - there)[:, :468, :2] ** 2).mean()) < 1.0
    assert np.corrcoef(mouth_openness(here), mouth_openness(there))[0, 1] > 0.98


@pytest.mark.real
def test_small_faces_get_a_mesh(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    picture = shared_data / "media/portraits/multi_friends_t1.jpg"
    (whole,) = contract.run(Landmarks(), [picture], tmp_path)
    (feature,) = contract.run(PersonPose(), [picture], tmp_path)
    assert whole.outcome.reason == "no-face"
    assert len(feature.values["yaw"]) == 6
