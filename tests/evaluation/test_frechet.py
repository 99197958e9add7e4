"""Fréchet distances, of features and of motion."""

import numpy as np
import pytest
from scipy import linalg

from theval_datasets.errors import InputError
from theval_datasets.evaluation import (
    frechet_distance,
    frechet_of_moments,
    motion_scores,
    paired_frechet_distance,
)


def test_equals_the_textbook_formula():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 1
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(s1 @ s2).real
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(wanted, rel=1e-9)


def test_one_dimension_in_closed_form():
    assert frechet_of_moments(1.0, 4.0, 3.0, 9.0) == pytest.approx(2**2 + (2 - 3) ** 2)


def test_equal_sets_and_singular_covariances():
    a = np.random.default_rng(0).normal(size=(5, 40))  # fewer rows than dimensions
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 1) == pytest.approx(40, rel=1e-9)
    assert frechet_distance(np.ones((4, 3)), np.zeros((4, 3))) == pytest.approx(3)


def test_pairing_sees_what_the_marginals_hide():
    rng = np.random.default_rng(0)
    partner = rng.normal(size=(2000, 2))
    answer = partner + 0.1 * rng.normal(size=(2000, 2))
    shuffled = rng.permutation(answer)
    assert frechet_distance(answer, shuffled) == pytest.approx(0, abs=1e-9)
    assert paired_frechet_distance(answer, shuffled, partner) > 0.5
    assert paired_frechet_distance(answer, answer, partner) == pytest.approx(0, abs=1e-9)


def test_motion_is_scored_by_part():
    rng = np.random.default_rng(0)
    clips = [
        {
            "expression": rng.normal(size=(50, 5)),
            "jaw": rng.normal(size=(50, 3)),
            "pose": rng.normal(size=50),
        }
        for _ in range(3)
    ]
    moved = [{part: array + 0.5 for part, array in clip.items()} for clip in clips]
    result = motion_scores(clips, moved, partner=clips)
    assert set(result) == {"expression", "jaw", "pose"}
    for part, size in (("expression", 5), ("jaw", 3), ("pose", 1)):
        assert result[part].mse == pytest.approx(0.25)
        assert result[part].fd == pytest.approx(0.25 * size, rel=1e-6)
        assert result[part].p_fd >= result[part].fd - 1e-9
    assert motion_scores(clips, moved)["jaw"].p_fd is None


def test_two_frames_suffice():
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(np.zeros((1, 3)), np.zeros((4, 3))), "n ≥ 2"),
        (lambda: frechet_distance(np.zeros((4, 2)), np.zeros((4, 3))), "differ in size"),
        (lambda: frechet_distance(np.full((4, 2), np.nan), np.zeros((4, 2))), "finite"),
        (
            lambda: paired_frechet_distance(np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((3, 2))),
            "as many frames",
        ),
        (lambda: motion_scores([{}], []), "same clips"),
        (lambda: motion_scores([{}], [{}]), "has no expression"),
        (lambda: motion_scores([], []), "at least one clip"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
