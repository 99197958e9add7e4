"""Insets are faces that the border cuts, that stay where they are, beside a face that moves."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.features.insets import InsetFinder, Insets
from theval_datasets.features.people.detector import Detections
from theval_datasets.media import frame_index, read_frames
from theval_datasets.media.frames import Frames

SIZE = 320, 160
BORDER = 20  # a sixteenth of the longer side
SPEAKER = (100, 30, 180, 130)
CORNER = (10, 130, 50, 180)  # 30 of its 50 lines are in the picture


CORNERS = (144, 80)  # width and height of a corner with the border


class Script:
    """A detector that finds the same boxes in every picture; it is given pictures with the border.

    `small` are boxes that it finds in enlarged corners only.
    """

    def __init__(self, *boxes, small=()):
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4) + BORDER
        self.small = np.array(small, np.float32).reshape(-1, 4) + BORDER
        self.n_corners = 0

    def find(self, frame):
        if frame.shape == (2 * CORNERS[1], 2 * CORNERS[0], 3):
            return self.in_corner()
        assert frame.shape == (SIZE[1] + 2 * BORDER, SIZE[0] + 2 * BORDER, 3)
        return self.detected(self.boxes)

    def in_corner(self):
        """Corners come in the order left above, right above, left below, right below."""
        right, below = self.n_corners % 2, self.n_corners // 2 % 2
        self.n_corners += 1
        left = right * (SIZE[0] + 2 * BORDER - CORNERS[0])
        top = below * (SIZE[1] + 2 * BORDER - CORNERS[1])
        boxes = self.small - (left, top, left, top)
        inside = (boxes >= 0).all(axis=1) & (boxes[:, 2:] <= CORNERS).all(axis=1)
        return self.detected(2 * boxes[inside].astype(np.float32))

    @staticmethod
    def detected(boxes):
        n = len(boxes)
        return Detections(boxes, np.zeros((n, 5, 2), np.float32), np.ones(n, np.float32))


def found(*boxes, n=8, speaker=10.0, corner=0.0, shown=None, small=()):
    """Insets of `n` pictures whose speaker and corner change by some grey levels each time."""
    finder = InsetFinder(Script(*boxes, small=small))
    for i in range(n):
        frame = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
        frame[30:130, 100:180] += np.uint8(speaker * (i % 2))
        frame[130:160, 10:50] += np.uint8(corner * (i % 2))
        if shown is not None and i >= shown:
            finder._detector = Script(*(box for box in boxes if box != CORNER))
        finder.update(Frames([frame], np.array([float(i)]), np.array([i])))
    values, missing = finder.finish()
    assert missing == {}
    assert values["inset_box"].shape == (int(values["insets"]), 4)
    return values


def test_a_still_face_that_the_border_cuts_is_an_inset():
    values = found(SPEAKER, CORNER)
    assert int(values["insets"]) == 1
    expected = [10 / 320, 130 / 160, 50 / 320, 180 / 160]
    assert values["inset_box"][0] == pytest.approx(expected)
    assert int(found(SPEAKER, CORNER, (280, -30, 310, 20))["insets"]) == 2


@pytest.mark.parametrize(
    "box", [(4, 150, 16, 166), (300, 148, 316, 168), (2, -8, 20, 10), (310, -6, 324, 10)]
)
def test_small_faces_are_found_in_enlarged_corners(box):
    assert int(found(SPEAKER)["insets"]) == 0
    values = found(SPEAKER, small=[box])
    assert int(values["insets"]) == 1
    assert values["inset_box"][0] == pytest.approx(np.array(box) / (320, 160, 320, 160), abs=1e-3)
    assert int(found(SPEAKER, box, small=[box])["insets"]) == 1  # one face found twice
    assert int(found(SPEAKER, small=[(30, 100, 50, 130)])["insets"]) == 0  # not cut


@pytest.mark.parametrize(("small", "n"), [((), 3), (((4, 150, 16, 166),), 8)])
def test_corners_are_enlarged_in_three_pictures_or_as_long_as_there_is_a_face(small, n):
    detector = Script(SPEAKER, small=small)
    finder = InsetFinder(detector)
    for _ in range(8):
        finder.add(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    assert detector.n_corners == 4 * n


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_every_border_counts(number):
    cut = [(-20, 60, 20, 110), (60, -20, 100, 20), (300, 60, 340, 110), (60, 140, 100, 180)][number]
    assert int(found(SPEAKER, cut)["insets"]) == 1


@pytest.mark.parametrize(
    ("box", "n"),
    [((10, 110, 50, 160), 0), ((10, 114, 50, 164), 0), ((10, 115, 50, 165), 1)],
)
def test_a_tenth_of_the_face_is_outside(box, n):
    assert int(found(SPEAKER, box)["insets"]) == n


@pytest.mark.parametrize(("change", "n"), [(1.0, 1), (2.0, 0), (20.0, 0)])
def test_an_inset_does_not_change(change, n):
    assert int(found(SPEAKER, CORNER, corner=change)["insets"]) == n


@pytest.mark.parametrize(("change", "n"), [(0.0, 0), (1.0, 0), (2.0, 1)])
def test_somebody_moves_beside_it(change, n):
    assert int(found(SPEAKER, CORNER, speaker=change)["insets"]) == n
    assert int(found(CORNER, speaker=change)["insets"]) == 0  # nobody else is there


@pytest.mark.parametrize(("shown", "n"), [(3, 0), (4, 1), (8, 1)])
def test_it_is_there_in_half_of_the_pictures(shown, n):
    assert int(found(SPEAKER, CORNER, shown=shown)["insets"]) == n


@pytest.mark.parametrize(("n_pictures", "n"), [(0, 0), (1, 0), (2, 0), (3, 1)])
def test_two_pictures_tell_nothing(n_pictures, n):
    assert int(found(SPEAKER, CORNER, n=n_pictures)["insets"]) == n


def test_pictures_smaller_than_the_border():
    class Nothing:
        def find(self, frame):
            return Detections(*(np.zeros((0, *s), np.float32) for s in ((4,), (5, 2), ())))

    finder = InsetFinder(Nothing())
    for _ in range(3):
        finder.add(np.zeros((2, 400, 3), np.uint8))
    assert int(finder.finish()[0]["insets"]) == 0


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n"),
    [("generated/vasa1_11.mp4", 1), ("generated/vexpress_short10.mp4", 1),
     ("multi/friends_scene.mp4", 0), ("multi/hamilton_clip.mp4", 0), ("single/sadtalker_aoc.mp4", 0)],
)  # fmt: skip
def test_real_clips(name, n, shared_data, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    clip = shared_data / "media" / name
    index = frame_index(clip)
    finder = InsetFinder(Insets().setup())
    seconds = np.arange(index.times[0], index.times[-1], 1.0)
    for number in np.searchsorted(index.times, seconds).tolist():
        (picture,) = read_frames(clip, [number], index).pixels
        finder.add(np.ascontiguousarray(picture[..., ::-1]))
    assert int(finder.finish()[0]["insets"]) == n
