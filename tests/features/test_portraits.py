"""Squares around faces, as networks that classify pictures see them; which people and frames, `depiction` tests."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.features.people.portraits import square_around


@pytest.mark.parametrize(
    ("box", "corner", "side"),
    [
        ((100, 60, 140, 100), (80, 40), 80),
        ((100, 60, 120, 100), (70, 40), 80),  # of the longer side
        ((0, 0, 20, 20), (0, 0), 40),  # moved into the frame
        ((-10, -10, 20, 20), (0, 0), 60),
        ((300, 160, 330, 190), (260, 120), 60),
        ((0, 0, 320, 180), (70, 0), 180),  # no larger than the frame
        ((100, 60, 100, 60), (100, 60), 1),
    ],
)
def test_the_square_around_a_face_lies_within_the_frame(box, corner, side):
    rows, columns = np.mgrid[0:180, 0:320]
    frame = np.stack([columns % 256, columns // 256, rows], axis=2).astype(np.uint8)
    part = square_around(frame, np.array(box) / (320, 180, 320, 180), sides=2)
    assert part.shape == (side, side, 3)
    x, more, y = part[0, 0].astype(int)
    assert (x + 256 * more, y) == corner


def test_a_square_is_larger_for_more_sides_of_the_face():
    frame = np.zeros((180, 320, 3), np.uint8)
    box = np.array((100, 60, 120, 100)) / (320, 180, 320, 180)
    assert [len(square_around(frame, box, sides)) for sides in (1, 1.5, 3, 9)] == [40, 60, 120, 180]
