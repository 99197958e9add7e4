"""Panels need both: a seam, and faces that move alike on both sides of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.features.formulas.seams import Seam, SeamDetector
from theval_datasets.features.people.panels import in_panels, motion_likeness

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


def textured(seed: int, level: int = 120):
    """A smooth texture, different for each seed."""
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    return (level + 40 * np.sin(x / 15 + seed) + 20 * np.cos(y / 12 + 2 * seed)).astype(np.uint8)


def seams_of(pictures, **size):
    detector = SeamDetector()
    for picture in pictures:
        detector.update(picture)
    return detector.seams(**size)


def test_seams_are_straight_and_stay():
    beside = [np.hstack([textured(i, 60), textured(i, 180)]) for i in range(4)]
    (seam,) = seams_of(beside, size=(320, 120))
    assert (seam.axis, seam.place) == (0, pytest.approx(160, abs=1))
    (seam,) = seams_of([picture.T.copy() for picture in beside])
    assert (seam.axis, seam.place) == (1, pytest.approx(0.5, abs=0.01))
    three = [np.hstack([textured(i, n) for n in (60, 180, 60)]) for i in range(4)]
    assert len(seams_of(three)) == 2
    # A blurred edge is one seam, and one that passes by is none.
    blurred = beside[0].astype(float)
    blurred[:, 159:161] = (blurred[:, 158:159] * (0.66, 0.33)) + blurred[:, 161:162] * (0.33, 0.66)
    assert len(seams_of([blurred.astype(np.uint8)])) == 1
    assert seams_of([np.roll(beside[0], 16 * i, axis=1) for i in range(4)]) == ()
    assert seams_of([textured(i) for i in range(4)]) == ()
    assert seams_of([np.zeros((1, 1), np.uint8)]) == seams_of([]) == ()


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
