"""Landmarks: the mesh of every frame, stored once as integers, with a fresh tracker a clip."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from mediapipe.python.solutions import face_mesh_connections as connections

from theval_datasets.extraction import mesh as _mesh
from theval_datasets.features.landmarks import Landmarks


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(Landmarks(), talking, other, faceless, tmp_path, monkeypatch).values
    assert values["mesh"].shape == (values["face"].sum(), 478, 3)
    assert values["face"].mean() > 0.95
    assert (np.diff(values["time"]) > 0).all()
    assert (int(values["width"]), int(values["height"])) == (512, 512)
    assert float(values["duration"]) == pytest.approx(values["time"][-1] + 0.04)


def test_no_face_is_a_reason(faceless, tmp_path):
    (feature,) = contract.run(Landmarks(), [faceless], tmp_path)
    assert (feature.outcome.status, feature.outcome.reason) == ("empty", "no-face")


def test_the_index_sets_are_mediapipes():
    def unique(pairs):
        return tuple(sorted({point for pair in pairs for point in pair}))

    assert unique(connections.FACEMESH_LIPS) == _mesh.LIPS
    assert len(_mesh.LIPS) == 40
    assert unique(connections.FACEMESH_LEFT_EYEBROW) == _mesh.LEFT_BROW
    assert unique(connections.FACEMESH_RIGHT_EYEBROW) == _mesh.RIGHT_BROW
    assert unique(connections.FACEMESH_LEFT_EYE) == _mesh.LEFT_EYE
    assert unique(connections.FACEMESH_RIGHT_EYE) == _mesh.RIGHT_EYE


def test_rounding_is_within_a_sixtieth_of_a_pixel():
    points = np.random.default_rng(1).uniform(-1.5, 1.5, (50, 478, 3))
    stored = _mesh.quantise(points)
    back = _mesh.pixels(stored, 512, 512)
    assert np.abs(back - points * 512).max() <= 512 / 16384 / 2 + 1e-9
    assert _mesh.quantise(np.array([5.0, -5.0])).tolist() == [32767, -32767]
    assert (_mesh.quantise(stored * _mesh.SCALE) == stored).all()
