"""Identity without a download: who is compared with whom, and what dlib's network tells apart."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Clip, Scene, watch

from theval_datasets.errors import AbsentError, MissingExtraError
from theval_datasets.features.faces import Faces
from theval_datasets.features.identity_open import IdentityOpen
from theval_datasets.features.people import open_identity as _open
from theval_datasets.features.people.detector import MediaPipeDetector
from theval_datasets.features.people.identity import Sightings, against_itself
from theval_datasets.media.frames import Frames

LEFT, RIGHT = (20, 50, 60), (220, 50, 60)


def sightings(rows):
    """From `(frame, person, descriptor)`; frames are a second apart."""
    return Sightings(
        np.arange(max(frame for frame, *_ in rows) + 1, dtype=float),
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows], np.float32),
    )


def test_by_hand():
    """The reference is the frame at 1 s, which shows both; person 1 is 3 and 4 away, person 0 is 1 away."""
    rows = [(0, 0, (0, 1)), (1, 0, (0, 0)), (1, 1, (9, 0)), (2, 1, (9, 3)), (3, 1, (9, -4))]
    lines, time = against_itself(sightings(rows), _open.by_distance)
    assert time == 1.0
    assert lines.consistency == pytest.approx((1 + 3 + 4) / 3)
    assert lines.coverage == 3 / 6
    assert (lines.subjects, lines.sampled, lines.people) == (2, 3, (0, 1))


def test_people_are_matched_by_their_faces_and_not_by_their_numbers():
    """A person who returns under another number is found again."""
    rows = [(0, 0, (0, 0)), (1, 0, (0, 0)), (2, 1, (0, 1)), (2, 2, (5, 5)), (1, 2, (5, 5))]
    lines, _ = against_itself(sightings(rows), _open.by_distance)
    assert lines.people == (0, 2)
    assert lines.consistency == 0


def test_nothing_to_compare():
    with pytest.raises(AbsentError) as item:
        against_itself(sightings([(0, 0, (0, 0))]), _open.by_distance)
    assert item.value.reason == "too-few-frames"
    seen = Sightings(np.arange(3.0), np.array([1]), np.array([0]), np.zeros((1, 2), np.float32))
    with pytest.raises(AbsentError) as none:
        against_itself(seen, _open.by_distance)
    assert none.value.reason == "no-face"


class Levels:
    """A recogniser to whom the grey level at the nose is the face."""

    def embed(self, frame, points):
        x, y = np.rint(points[2]).astype(int)
        return np.array([frame[y, x, 0], 0], np.float32)


def measured(scene, faces):
    extractor = IdentityOpen()
    accumulator = extractor.open(Clip({"faces": faces}), Levels())
    frames = scene.frames()
    for first in range(0, len(frames.times), 4):
        part = slice(first, first + 4)
        accumulator.update(Frames(frames.pixels[part], frames.times[part], frames.indices[part]))
    return accumulator.finish()[0]


def test_once_a_second_and_people_only():
    scene = Scene([{0: LEFT, 1: RIGHT}] * 16, moving=(0,))  # the other is a still
    values = measured(scene, watch(Faces(), scene))
    assert int(values["subjects"]) == 1
    levels = [90 + i * 37 % 100 for i in (0, 5, 10, 15)]
    reference = int(float(values["reference_time"]))
    others = [abs(level - levels[reference]) for level in levels]
    assert float(values["identity_distance"]) == pytest.approx(sum(others) / 3)
    assert float(values["identity_distance_coverage"]) == 1


@pytest.mark.parametrize("points", [
    [(40, 40), (60, 40), (50, 50), (42, 60), (58, 60)],
    [(49, 40), (51, 40), (50, 50), (49, 60), (51, 60)],  # turned: the eyes are near each other
])  # fmt: skip
def test_the_square_does_not_shrink_with_a_turned_head(points):
    assert _open.square(np.array(points, np.float32)) == (26, 26, 74, 74)


def test_without_the_packages(monkeypatch):
    monkeypatch.setattr(_open.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(MissingExtraError, match=r"\[identity-open\]"):
        IdentityOpen().weights_id()


@pytest.fixture(scope="module")
def recogniser():
    pytest.importorskip("dlib", reason="needs the extra [identity-open]")
    return _open.DlibRecogniser()


@pytest.mark.slow
def test_contract(recogniser, talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(IdentityOpen(), talking, other, faceless, tmp_path, monkeypatch).values
    assert 0 < float(values["identity_distance"]) < _open.SAME
    assert float(values["identity_distance_coverage"]) > 0.9


@pytest.mark.slow
@pytest.mark.real
def test_it_tells_people_apart(recogniser, shared_data):
    import cv2

    detector = MediaPipeDetector()
    faces = {}
    for path in sorted((shared_data / "media" / "portraits").glob("*")):
        if path.name.startswith(("id_", "friends_")):
            picture = cv2.imread(str(path))
            points = detector.find(picture).points[0]
            faces[path.stem] = recogniser.embed(np.ascontiguousarray(picture[..., ::-1]), points)
    assert len(faces) == 9
    apart = {True: [], False: []}
    for a, item in faces.items():
        for b, two in faces.items():
            if a < b:
                apart[a[:-1] == b[:-1]].append(float(np.linalg.norm(item - two)))
    assert len(apart[True]) == 3
    assert max(apart[True]) < 0.45
    assert min(apart[False]) > _open.SAME


def test_the_key_names_the_packages():
    pytest.importorskip("dlib", reason="needs the extra [identity-open]")
    assert IdentityOpen().weights_id().startswith("dlib-")
    assert "+face-recognition-models-0.3" in IdentityOpen().weights_id()
