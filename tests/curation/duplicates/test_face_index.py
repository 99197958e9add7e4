"""Faces found again as an exhaustive comparison finds them; who is who, in any order."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.curation.duplicates import face_index
from theval_datasets.curation.duplicates.face_index import FaceIndex, people_of
from theval_datasets.features.people.pack import similarity


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def faces(n, people, seed=3):
    """Embeddings of some people, of which those of one person have cosines around 0.45."""
    rng = np.random.default_rng(seed)
    who = rng.integers(people, size=n)
    own, each = unit(rng.normal(size=(people, 64))), unit(rng.normal(size=(n, 64)))
    return unit(own[who] + 1.1 * each)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that there are several."""
    monkeypatch.setattr(face_index, "_QUERIES", 17)
    monkeypatch.setattr(face_index, "_FACES", 29)


def test_the_nearest_is_that_of_an_exhaustive_comparison():
    known, asked = faces(100, 10), faces(60, 10, seed=4)
    known[50] = known[7]  # of equal ones the first counts
    asked[0] = known[7]
    numbers, cosines = FaceIndex(known).nearest(asked)
    exhaustive = similarity(asked, known)
    assert numbers.tolist() == exhaustive.argmax(axis=1).tolist()
    assert numbers[0] == 7
    assert cosines == pytest.approx(exhaustive.max(axis=1), abs=1e-12)


def test_an_empty_index_and_a_later_begin():
    index = FaceIndex(np.zeros((0, 3), np.float32))
    assert index.nearest(np.eye(3, dtype=np.float32))[0].tolist() == [-1, -1, -1]
    for face in np.eye(3, dtype=np.float32):
        index.add(face)
    assert len(index) == 3
    assert index.nearest(np.eye(3, dtype=np.float32)[:1], begin=1)[0].tolist() == [1]


def in_sequence(clips, min_cosine):
    """The same, face by face."""
    known, people = [], []
    for clip in clips:
        own = []
        for face in clip:
            alike = similarity(np.stack(known), face[None])[:, 0] if known else np.zeros(0)
            if not len(alike) or alike.max() < min_cosine:
                known.append(face)
                own.append(len(known) - 1)
            else:
                own.append(int(alike.argmax()))
        people.append(own)
    return people


@pytest.mark.parametrize("min_cosine", [-1.0, 0.3, 0.45, 1.0])
def test_people_are_known_again_as_in_sequence(min_cosine):
    every = faces(120, 12)
    clips = [every[i : i + 1 + i % 3] for i in range(0, 117, 3)]
    assert people_of(clips, min_cosine) == in_sequence(clips, min_cosine)


def test_who_is_who_does_not_depend_on_the_order():
    every = faces(90, 9)
    order = np.random.default_rng(1).permutation(90)
    person = FaceIndex(every).identities(0.42)
    shuffled = FaceIndex(every[order]).identities(0.42)
    groups = {frozenset(np.flatnonzero(person == p)) for p in set(person)}
    assert groups == {frozenset(order[shuffled == p]) for p in set(shuffled)}
    assert 1 < len(groups) < 90
    assert person[0] == 0  # numbered by the first face
    assert (np.maximum.accumulate(person)[1:] - np.maximum.accumulate(person)[:-1]).max() <= 1


def test_faces_are_one_person_by_way_of_others():
    angles = np.deg2rad([0, 60, 120, 250])
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert FaceIndex(ring).identities(0.49).tolist() == [0, 0, 0, 1]
    assert FaceIndex(ring).identities(0.51).tolist() == [0, 1, 2, 3]
    assert FaceIndex(ring[:0]).identities(0.5).tolist() == []
