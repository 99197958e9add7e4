"""Panels need both: a seam where a division would be, and faces that move alike beyond it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.features._panels import Seam, SeamWatcher, in_panels, motion_likeness

FACE = np.array([(-1.0, -1), (1, -1), (0, 0), (-0.7, 1), (0.7, 1)])


def moving(seed: int, n: int = 20, centre: tuple[float, float] = (0, 0), size: float = 20.0):
    """A face that turns, nods, tilts and speaks at random."""
    rng = np.random.default_rng(seed)
    turn, nod, tilt, speak = 0.2 * rng.normal(size=(4, n, 1))
    points = np.repeat(FACE[None], n, axis=0)
    points[:, 2:, 0] += turn
    points[:, 2:, 1] += nod
    points[:, 3:, 0] *= 1 + speak
    z = points @ np.array((1, 1j)) * np.exp(1j * tilt) * size
    return np.stack([z.real, z.imag], axis=2) + centre


def textured(seed: int, width: int = 160, height: int = 120, offset: int = 0):
    """A smooth texture, different for each seed."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    grey = 120 + offset + 40 * np.sin(x / 15 + seed) + 20 * np.cos(y / 12 + 2 * seed)
    return np.repeat(grey.clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)


def seams_of(frames):
    watcher = SeamWatcher()
    for frame in frames:
        watcher.look(frame)
    return watcher.seams()


def test_seams_are_where_divisions_are():
    beside = [np.hstack([textured(i), textured(i + 1, offset=60)]) for i in range(4)]
    assert seams_of(beside) == (Seam(0, 160),)
    assert seams_of([f.transpose(1, 0, 2).copy() for f in beside]) == (Seam(1, 160),)
    three = [np.hstack([textured(i), textured(i, offset=70), textured(i)]) for i in range(4)]
    assert seams_of(three) == (Seam(0, 160), Seam(0, 320))
    # No seam: one picture, an edge elsewhere, an edge that passes by, frames of one pixel, none.
    assert seams_of([textured(i, width=320) for i in range(4)]) == ()
    assert seams_of([np.hstack([f[:, 40:], f[:, :40]]) for f in beside]) == ()
    passing = [np.roll(beside[0], 16 * i, axis=1) for i in range(-9, 10)]
    assert Seam(0, 160) not in seams_of(passing)
    assert seams_of([np.zeros((1, 1, 3), np.uint8)]) == ()
    assert SeamWatcher().seams() == ()


@given(st.integers(0, 10**6), st.floats(0.2, 5), st.floats(-500, 500))
def test_likeness_does_not_depend_on_place_and_size(seed, scale, shift):
    face = moving(seed)
    assert motion_likeness(face, scale * face + shift) == pytest.approx(1)


def test_strangers_move_differently_and_the_frozen_like_nobody():
    likeness = [motion_likeness(moving(i), moving(i + 1000)) for i in range(200)]
    assert max(likeness) < 0.75
    still = np.repeat(moving(1)[:1], 20, axis=0)
    assert motion_likeness(still, moving(1)) == 0
    one_mouth_point = moving(1)
    one_mouth_point[:, 4] = one_mouth_point[:, 3]
    assert np.isfinite(motion_likeness(one_mouth_point, moving(1)))


def test_both_signs_are_needed():
    left, right = moving(1, centre=(100, 100)), moving(1, centre=(300, 100))
    seam = (Seam(0, 200),)
    assert in_panels(left, right, seam)
    assert not in_panels(left, right, ())
    assert not in_panels(left, right, (Seam(0, 350), Seam(1, 100)))
    assert not in_panels(left, moving(2, centre=(300, 100)), seam)
    assert not in_panels(left[:11], right[:11], seam)
