"""Red dots: golden stills, and pictures drawn here with known centres."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theval_datasets.curation.study.marks import DotParameters, find_dots, red_mask
from theval_datasets.curation.study.saliency import (
    fixation_map,
    saliency_from_fixations,
    saliency_from_marks,
    scale_fixations,
)
from theval_datasets.errors import InputError


def drawn(centres, radius=5, size=(200, 300), seed=0):
    """A grey, noisy picture with red discs at (row, column)."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 180, (*size, 1), np.uint8).repeat(3, axis=2)
    for (row, column), r in zip(centres, np.broadcast_to(radius, len(centres)), strict=True):
        cv2.circle(image, (column, row), int(r), (255, 0, 0), -1)
    return image


@pytest.mark.real
@pytest.mark.parametrize("name", ["sparse", "none"])
def test_golden_stills(shared_data: Path, name):
    golden = json.loads((shared_data / "golden" / "reddot_golden.json").read_text())
    wanted = golden[f"reddot_{name}"]
    image = cv2.imread(str(shared_data / "golden" / f"reddot_{name}.png"))[..., ::-1].copy()
    release = np.load(shared_data / "golden" / f"reddot_{name}_official_sal.npz")["sal"]
    for mode in ("ours", "official"):
        saliency = saliency_from_marks([image], mode=mode)
        assert saliency.fixations.tolist() == wanted["true_centres_yx"]
        assert np.array_equal(saliency.as_bytes(), release)
        assert saliency.saliency.max() == wanted["official_saliency_max"]
        assert saliency.saliency.sum() == pytest.approx(wanted["official_saliency_sum"], rel=1e-6)
        assert saliency.empty == (name == "none")


def test_touching_dots_are_told_apart_and_the_release_loses_them():
    centres = [[50, 50], [50, 59], [120, 80], [128, 88], [136, 80], [160, 250], [20, 200]]
    image = drawn(centres, radius=5)
    dots = find_dots(image)
    assert len(dots) == len(centres)
    assert np.abs(dots - np.array(sorted(centres))).max() <= 1
    assert len(find_dots(image, mode="official")) < len(centres)


def test_small_and_large_dots_are_found_and_large_patches_are_not():
    image = drawn([[30, 40]], radius=2)
    assert find_dots(image).tolist() == [[30, 40]]
    assert find_dots(image, mode="official").tolist() == []
    image = drawn([[60, 80], [100, 200]], radius=10)
    assert find_dots(image).tolist() == [[60, 80], [100, 200]]
    assert find_dots(image, mode="official").tolist() == []
    image = drawn([[60, 80], [60, 110], [60, 140]], radius=5)
    image[120:180, 100:260] = (255, 0, 0)  # a red scarf
    assert find_dots(image).tolist() == [[60, 80], [60, 110], [60, 140]]


def test_a_picture_that_is_red_all_over_holds_no_dot():
    assert find_dots(np.full((60, 80, 3), (255, 0, 0), np.uint8)).tolist() == []
    image = drawn([])
    image[50:120, 100:260] = (255, 0, 0)
    assert find_dots(image).tolist() == []


def test_a_dot_on_the_border_is_found():
    dots = find_dots(drawn([[0, 150], [100, 299]]))
    assert len(dots) == 2
    assert np.abs(dots - [[2, 150], [100, 297]]).max() <= 1


def test_specks_and_dull_reds_are_no_dots():
    image = drawn([])
    image[50:52, 50:53] = (255, 0, 0)  # six pixels
    image[100:110, 100:110] = (150, 30, 30)
    assert find_dots(image).tolist() == []
    assert find_dots(image, parameters=DotParameters(smallest=6)).tolist() == [[51, 51]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 8))
def test_scattered_dots_of_any_size_are_found_exactly(seed, radius):
    rng = np.random.default_rng(seed)
    grid = [(row, column) for row in range(20, 190, 34) for column in range(20, 290, 34)]
    chosen = rng.permutation(len(grid))[: rng.integers(1, 15)]
    centres = sorted([int(a) for a in grid[i] + rng.integers(-4, 5, 2)] for i in chosen)
    assert find_dots(drawn(centres, radius, seed=seed)).tolist() == centres


def test_several_annotators_are_combined_and_remembered():
    first, second = drawn([[50, 60]]), drawn([[50, 60], [150, 200]])
    saliency = saliency_from_marks([first, second])
    assert saliency.fixations.tolist() == [[50, 60], [50, 60], [150, 200]]
    assert saliency.annotator.tolist() == [0, 1, 1]
    assert saliency.saliency[50, 60] == 1.0
    assert saliency.saliency[150, 200] == pytest.approx(0.5, abs=1e-6)


def test_any_size_of_picture_and_map():
    image = drawn([[50, 60], [150, 200]])
    saliency = saliency_from_marks([image], size=(1536, 512))
    assert saliency.saliency.shape == (512, 1536)
    assert saliency.fixations.tolist() == [[50, 60], [150, 200]]
    assert np.unravel_index(saliency.saliency.argmax(), saliency.saliency.shape) in [
        (129, 309),
        (385, 1026),
    ]
    official = saliency_from_marks([image], mode="official")
    assert official.saliency.shape == (512, 1536)
    assert official.saliency.max() == 1.0


def test_scaled_fixations_stay_inside():
    points = np.array([[0, 0], [199, 299]])
    assert scale_fixations(points, (200, 300), (512, 1536)).tolist() == [[1, 2], [510, 1533]]


def test_what_is_refused():
    with pytest.raises(InputError, match="RGB"):
        red_mask(np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="at least one"):
        saliency_from_marks([])
    with pytest.raises(InputError, match="differ in size"):
        saliency_from_marks([drawn([]), drawn([], size=(100, 100))])
    with pytest.raises(InputError, match="outside"):
        fixation_map(np.array([[10, 0]]), (10, 10))


def test_no_marks_is_an_empty_map():
    assert (
        saliency_from_fixations(np.zeros((0, 2), int), (10, 12)).tolist()
        == np.zeros((10, 12)).tolist()
    )
