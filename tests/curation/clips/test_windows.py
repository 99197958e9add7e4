"""Regions of lists as windows of pictures, and clips cut by them."""

from __future__ import annotations

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets import media as reading
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.curation.clips.windows import AspectError, OutsideError, window_of
from theval_datasets.errors import ManifestError
from theval_datasets.manifest.rows import Region

QUICK = Encoding(crf=0, preset="ultrafast")
STILL = np.zeros(1)


def corner(window):
    return int(window.left[0]), int(window.top[0]), window.width, window.height


@pytest.mark.parametrize(
    ("region", "size", "expected"),
    [
        (Region(boxes=((0, 306, 40, 480, 480),), height=720), (1280, 720), (306, 40, 480, 480)),
        (Region(boxes=((0, 306, 40, 480, 480),), height=720), (640, 360), (152, 20, 240, 240)),
        (Region(boxes=((0, 306, 40, 480, 480),), height=720), (1920, 1080), (458, 60, 720, 720)),
        (Region(boxes=((0, 64, 30, 64, 60),), width=320, height=240), (640, 480), (128, 60, 128, 120)),
        (Region(boxes=((0, 10, 10, 33, 41),)), (640, 480), (10, 10, 32, 40)),
        (Region(boxes=((0, 0.5, 0.25, 0.5, 0.5),), width=1, height=1), (640, 480), (320, 120, 320, 240)),
        (Region(centre=(0.5, 0.5)), (640, 480), (80, 0, 480, 480)),
        (Region(centre=(0.0, 0.5)), (640, 480), (0, 0, 480, 480)),
        (Region(centre=(1.0, 0.5)), (640, 480), (160, 0, 480, 480)),
        (Region(centre=(0.5, 1.0)), (480, 640), (0, 160, 480, 480)),
    ],
)  # fmt: skip
def test_boxes_are_scaled_to_the_picture(region, size, expected):
    assert corner(window_of(region, size, STILL)) == expected


def test_what_reaches_out_is_moved_in_and_what_is_too_large_is_bounded():
    right = Region(boxes=((0, 600, 100, 60, 60),))
    assert corner(window_of(right, (640, 480), STILL)) == (580, 100, 60, 60)
    large = Region(boxes=((0, 100, 0, 500, 600),))
    assert corner(window_of(large, (640, 480), STILL)) == (100, 0, 500, 480)


@pytest.mark.parametrize(
    ("left", "outside"), [(609, False), (611, True), (-29, False), (-31, True)]
)
def test_a_box_whose_centre_is_outside_is_refused(left, outside):
    region = Region(boxes=((0, left, 100, 60, 60),))
    if outside:
        with pytest.raises(OutsideError, match="outside the picture of 640x480"):
            window_of(region, (640, 480), STILL)
    else:
        assert window_of(region, (640, 480), STILL).width == 60


@pytest.mark.parametrize(("side", "refused"), [(16, False), (15, True)])
def test_a_window_has_at_least_16_pixels(side, refused):
    region = Region(boxes=((0, 100, 100, side, 100),))
    if refused:
        with pytest.raises(OutsideError, match="at least 16 px"):
            window_of(region, (640, 480), STILL)
    else:
        assert window_of(region, (640, 480), STILL).width == 16


@pytest.mark.parametrize(
    ("width", "refused"), [(653, False), (654, True), (628, False), (627, True)]
)
def test_boxes_of_a_picture_of_another_shape_are_refused(width, refused):
    region = Region(boxes=((0, 0, 0, 100, 100),), width=width, height=480)
    if refused:
        with pytest.raises(AspectError, match="the source is 640x480"):
            window_of(region, (640, 480), STILL)
    else:
        assert window_of(region, (640, 480), STILL).height == 100


def test_a_moving_window_has_the_size_of_the_largest_box_and_follows_the_centres():
    region = Region(boxes=((0.0, 0, 0, 40, 40), (1.0, 100, 50, 60, 80)))
    window = window_of(region, (640, 480), np.array([0.0, 0.5, 1.0, 2.0]))
    assert (window.width, window.height) == (60, 80)
    centres = [(20, 20), (75, 55), (130, 90), (130, 90)]
    expected = [(max(0, x - 30), max(0, y - 40)) for x, y in centres]
    assert np.abs(np.stack([window.left, window.top], 1) - expected).max() <= 1
    assert window.moves
    assert not window_of(region, (640, 480), np.array([1.0, 2.0])).moves


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"boxes": ((0, 0, 0, 1, 1),), "centre": (0.5, 0.5)},
        {"boxes": ((0, 0, 0, 0, 1),)},
        {"boxes": ((1, 0, 0, 1, 1), (1, 0, 0, 1, 1))},
        {"boxes": ((0, float("nan"), 0, 1, 1),)},
        {"boxes": ((0, 0, 0, 1, 1),), "width": 640},
        {"boxes": ((0, 0, 0, 1, 1),), "height": 0},
        {"centre": (1.1, 0.5)},
    ],
)
def test_regions_that_mean_nothing_are_refused(fields):
    with pytest.raises(ManifestError):
        Region(**fields)


@pytest.fixture(scope="module")
def square(tmp_path_factory):
    """A white square of 32 px that moves 100 px/s to the right and 40 px/s down, from (20, 40)."""
    path = tmp_path_factory.mktemp("square") / "square.mp4"
    scene = (
        "color=black:s=320x240:r=25:d=2[a];color=white:s=32x32:r=25:d=2[b];"
        "[a][b]overlay=x='20+100*t':y='40+40*t'"
    )
    ffmpeg("-f", "lavfi", "-i", scene, "-c:v", "libx264", "-g", "12", path)
    return path


@pytest.mark.parametrize("start", [0.0, 0.6])
def test_the_cut_window_follows_to_the_frame(square, tmp_path, start):
    end = 1.6
    boxes = tuple(
        (t - start, 20 + 100 * t - 16, 40 + 40 * t - 16, 64.0, 64.0) for t in (start, 1.0, end)
    )
    clip = tmp_path / "clip.mp4"
    made = cut(square, Piece(start, end, region=Region(boxes=boxes)), clip, QUICK)
    assert (made.width, made.height, made.n_frames) == (64, 64, round((end - start) * 25))
    index = reading.frame_index(clip)
    pixels = reading.read_frames(clip, list(range(made.n_frames)), index).pixels
    for picture in pixels:
        rows, columns = np.nonzero(picture.mean(axis=2) > 128)
        assert abs(columns.mean() - 31.5) <= 2.5  # overlay, window and colour go by whole pixels
        assert abs(rows.mean() - 31.5) <= 2.5
        assert len(rows) == pytest.approx(32 * 32, rel=0.1)
    first = clip.read_bytes()
    cut(square, Piece(start, end, region=Region(boxes=boxes)), clip, QUICK)
    assert clip.read_bytes() == first
