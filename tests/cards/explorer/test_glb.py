"""Meshes of glb files, made by hand and by trimesh; damaged ones are named so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_release import glb

from theval_datasets.cards.explorer.glb import read_glb

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 2.5, 0], [0, 0, -3]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 3, 1]])
WHOLE = glb(POINTS, TRIANGLES.astype(np.uint16))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_points_and_triangles(kind):
    points, triangles = read_glb(glb(POINTS, TRIANGLES.astype(kind)))
    np.testing.assert_array_equal(points, POINTS)
    np.testing.assert_array_equal(triangles, TRIANGLES)


def test_without_indices_each_three_points_are_a_triangle():
    points, triangles = read_glb(glb(POINTS[[0, 1, 2, 0, 3, 1]]))
    np.testing.assert_array_equal(points[triangles], POINTS[TRIANGLES])


def test_several_meshes_are_one():
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}] * 2
    points, triangles = read_glb(glb(POINTS, TRIANGLES.astype(np.uint16), meshes=meshes))
    assert len(points) == 8
    np.testing.assert_array_equal(triangles, [*TRIANGLES, *(TRIANGLES + 4)])


@pytest.mark.parametrize(
    "node",
    [{"translation": [0, 1, 0]}, {"scale": [1, 1, 2]}, {"rotation": [0, 0, 1, 0]},
     {"matrix": [2.0, *[0.0] * 14, 1.0]}],
)  # fmt: skip
def test_moved_parts_are_refused(node):
    still = {"translation": [0, 0, 0], "matrix": np.eye(4).ravel().tolist(), "mesh": 0}
    indices = TRIANGLES.astype(np.uint16)
    assert len(read_glb(glb(POINTS, indices, nodes=[still]))[1]) == 2
    with pytest.raises(ValueError, match="moved"):
        read_glb(glb(POINTS, indices, nodes=[still | node]))


@pytest.mark.parametrize(
    ("points", "triangles", "message"),
    [
        (POINTS, np.array([[0, 1, 4]], np.uint8), "do not exist"),
        (POINTS, np.array([[0, 1]], np.uint8), "do not exist"),
        (POINTS * np.float32(np.nan), TRIANGLES.astype(np.uint8), "finite"),
        (POINTS[:0], None, "no triangles"),
    ],
)
def test_what_is_no_mesh(points, triangles, message):
    with pytest.raises(ValueError, match=message):
        read_glb(glb(points, triangles))


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_damage_never_gives_anything_but_a_mesh_or_a_value_error(place, byte, cut):
    damaged = WHOLE[:place] if cut else WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]
    try:
        points, triangles = read_glb(damaged)
    except ValueError:
        return
    assert triangles.max() < len(points)
    assert np.isfinite(points).all()


def test_what_trimesh_writes():
    trimesh = pytest.importorskip("trimesh", reason="the extra [mesh] is not installed")
    ball = trimesh.creation.icosphere(subdivisions=3)
    points, triangles = read_glb(ball.export(file_type="glb"))
    np.testing.assert_allclose(points, ball.vertices, atol=1e-6)
    np.testing.assert_array_equal(triangles, ball.faces)
