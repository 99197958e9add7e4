"""Equation 4: who is compared with whom, what is left out, and what the pack of the tests tells apart."""

from __future__ import annotations

import cv2
import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Clip, Scene, watch
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.errors import AbsentError, WeightsMissingError
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.faces import Faces
from theval_datasets.features.identity import Identity
from theval_datasets.features.people import identity as _identity
from theval_datasets.features.people.grouping import KINDS
from theval_datasets.features.people.pack import similarity_transform

LEFT, RIGHT = (20, 50, 60), (220, 50, 60)


def axis(*which: int, dim: int = 4):
    return np.eye(dim, dtype=np.float32)[list(which)]


def sightings(rows):
    """From `(frame, person, embedding)`; frames are a second apart."""
    frames = max(frame for frame, *_ in rows) + 1
    return _identity.Sightings(
        np.arange(frames, dtype=float),
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.stack([row[2] for row in rows]),
    )


def test_the_mean_is_over_pairs_and_the_coverage_over_all():
    a, b = axis(0)[0], axis(1)[0]
    half = ((a + b) / np.sqrt(2)).astype(np.float32)
    seen = sightings([(0, 0, a), (1, 0, half), (0, 1, b), (3, 1, b)])
    result = _identity.against_portrait(np.stack([b, a]), seen)
    assert result.people == (1, 0)
    assert result.consistency == pytest.approx((1 + np.sqrt(0.5) + 1 + 1) / 4)
    assert result.coverage == 4 / 8
    assert (result.subjects, result.sampled) == (2, 4)


def test_a_subject_whom_nobody_is_left_for_costs_coverage():
    seen = sightings([(0, 0, axis(0)[0]), (1, 0, axis(0)[0])])
    result = _identity.against_portrait(axis(1, 0), seen)
    assert result.people == (-1, 0)
    assert (result.consistency, result.coverage) == (pytest.approx(1), 0.5)


def test_a_lost_identity_is_low_and_not_left_out():
    seen = sightings([(0, 0, axis(0)[0]), (1, 0, axis(0)[0])])
    result = _identity.against_portrait(axis(2), seen)
    assert (result.consistency, result.coverage) == (pytest.approx(0), 1.0)


def test_the_reference_frame_does_not_count_itself():
    a, b = axis(0)[0], axis(1)[0]
    seen = sightings([(0, 0, b), (1, 0, a), (2, 0, b)])
    result, time = _identity.against_itself(seen)
    assert (result.consistency, time, result.sampled) == (pytest.approx(0), 1.0, 2)
    with pytest.raises(AbsentError) as once:
        _identity.against_itself(sightings([(0, 0, a)]))
    assert once.value.reason == "too-few-frames"


def test_the_reference_frame_shows_the_most_people_nearest_the_middle():
    a = axis(0)[0]
    rows = [(f, 0, a) for f in range(9)] + [(0, 1, a), (3, 1, a), (7, 1, a)]
    assert _identity.reference_frame(sightings(rows)) == 3


def test_references_of_another_pack_are_refused():
    with pytest.raises(AbsentError, match="this pack"):
        _identity.against_portrait(axis(0, dim=5), sightings([(0, 0, axis(0)[0])]))


def test_from_faces_to_people():
    scene = Scene([{0: LEFT, 1: (190, 40, 120)}] * 10 + [{0: LEFT}] * 6, moving=(0, 1))
    faces = watch(Faces(), scene)
    clip = Clip({"faces": faces})
    result, _ = Arcface().compute(clip, None)
    assert result["person"].tolist() == [0, 1]
    assert np.allclose(np.linalg.norm(result["person_embedding"], axis=1), 1)
    assert result["embedding"].tolist() == result["person_embedding"][0].tolist()
    assert int(result["embedding"].argmax()) == 1
    kept, _ = Identity().compute(clip, None)
    assert float(kept["identity_consistency"]) == pytest.approx(1, abs=1e-6)
    # Frames at 0, 1, 2, 3 s; both people in the first two, of which one is the reference.
    assert float(kept["identity_coverage"]) == 4 / 6
    assert float(kept["reference_time"]) == 1.0


@pytest.mark.parametrize("kind", ["still", "duplicate"])
def test_a_picture_of_the_subject_is_neither_subject_nor_partner(kind):
    """An inset portrait is the most similar face there is, and would be matched first."""
    moving = (0,) if kind == "still" else (0, 1)
    scene = Scene([{0: LEFT, 1: RIGHT}] * 16, moving=moving)
    alias = {1: 0} if kind == "duplicate" else {}
    faces = watch(Faces(), scene, alias=alias)
    picture = int(np.flatnonzero(faces["track_kind"] == KINDS.index(kind))[0])
    portrait = faces["embedding"][faces["track"][faces["embedded"]] == picture][:1]
    # The talking face drifts away from the portrait; the picture of it does not.
    moved = faces["track"][faces["embedded"]] != picture
    faces["embedding"][moved] = axis(3, dim=8)
    score = _identity.against_portrait(portrait, _identity.sightings_of(faces))
    drift = float(_identity.similarity(portrait, axis(3, dim=8))[0, 0])
    assert score.consistency == pytest.approx(drift)
    assert score.people == (int(faces["track_person"][1 - picture]),)
    own, _ = Identity().compute(Clip({"faces": faces}), None)
    assert int(own["subjects"]) == 1
    assert float(own["identity_coverage"]) == 1.0
    people, _ = Arcface().compute(Clip({"faces": faces}), None)
    assert people["person"].tolist() == [int(faces["track_person"][1 - picture])]


def test_without_weights_nothing_stands_in(monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for extractor in (Arcface(), Identity()):
        with pytest.raises(WeightsMissingError, match="models fetch buffalo_l"):
            extractor.weights_id()


@given(
    st.floats(0.1, 10), st.floats(-3, 3), st.floats(-50, 50), st.floats(-50, 50), st.integers(0, 99)
)
def test_alignment_recovers_any_similarity(scale, turn, right, down, seed):
    source = np.random.default_rng(seed).normal(size=(5, 2))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = scale * source @ rotation.T + (right, down)
    matrix = similarity_transform(source, target)
    assert np.allclose(source @ matrix[:, :2].T + matrix[:, 2], target, atol=1e-8)


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:.*estimate.*:FutureWarning")
def test_embeddings_are_those_of_insightface(shared_data, monkeypatch):
    pytest.importorskip("insightface", reason="the extra [faces] is not installed")
    from insightface.app.common import Face

    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    detector, recogniser = Faces().setup()
    picture = cv2.imread(str(shared_data / "media/portraits/multi_friends_t1.jpg"))
    faces = detector.find(picture)
    assert len(faces) == 6
    for points in faces.points:
        theirs = recogniser._model.get(picture, Face(kps=points))
        ours = recogniser.embed(picture, points)
        assert float(ours @ theirs) / np.linalg.norm(theirs) == pytest.approx(1, abs=1e-5)


@pytest.mark.real
def test_a_portrait_of_two_people_against_a_clip_of_them(shared_data, monkeypatch, tmp_path):
    pytest.importorskip("insightface", reason="the extra [faces] is not installed")
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    clips = [shared_data / f"media/multi/derived_two_people_{n}.mp4" for n in ("turns", "overlap")]
    turns, overlap = (f.values for f in contract.run(Faces(), clips, tmp_path))
    _, people, _ = _identity.person_embeddings(turns)
    seen = _identity.sightings_of(overlap)
    straight = _identity.against_portrait(people, seen)
    turned = _identity.against_portrait(people[::-1], seen)
    assert straight.consistency == pytest.approx(turned.consistency)
    assert straight.consistency > 0.7
    assert straight.coverage == 1.0
    assert turned.people == straight.people[::-1]
