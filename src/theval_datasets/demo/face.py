"""A portrait that is animated by warping it frame by frame.

Positions are pixels of the portrait unless stated otherwise. A pose describes mouth opening, height of
the brows, closing of the eyes and rotation of the head; `render` draws it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from theval_datasets.utils.optional import require

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

SIDE: Final = 512
"""Width and height of the rendered picture, in pixels."""
_CROP: Final = (106, 12, 232)  # left, top and side of the shown part of the portrait
_SCALE: Final = SIDE / _CROP[2]
_ROI: Final = (168, 72, 282, 206)  # left, top, right, bottom of the region that expressions change
_MOUTH: Final = (223.3, 140.2, 22.0)  # centre x, height of the corners, half width
_TEETH: Final = 9.8  # the lower lip's inner edge below the corners, at the centre
_CHIN: Final = 178.0
_BROWS: Final = ((199.0, 88.0), (252.0, 91.0))
_EYES: Final = ((204.4, 98.4, 10.5, 6.4), (247.6, 99.8, 10.5, 6.4))  # x, lid, half width, height
_HEAD: Final = (225.0, 118.0, 58.0, 78.0)  # centre and half axes
_NECK: Final = (223.0, 185.0)  # centre of rotation of the head
_INSIDE: Final = (52, 22, 24)  # colour of an open mouth


@dataclass(frozen=True, slots=True)
class Pose:
    """One moment of the face.

    Attributes:
        mouth: Opening in portrait pixels: 0 as in the portrait, about -7 closed, 12 wide open.
        brows: Raising in portrait pixels.
        eyes: 0 open, 1 closed.
        shift: x, y of the head in portrait pixels.
        roll: Degrees, clockwise.
        yaw: Sideways turn, roughly -1 to 1.
        nod: Up-and-down turn, roughly -1 to 1.
    """

    mouth: float = 0.0
    brows: float = 0.0
    eyes: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0
    yaw: float = 0.0
    nod: float = 0.0


def render(pose: Pose) -> Image:
    """The face in a pose: uint8, (512, 512, 3), RGB.

    Examples:
        >>> render(Pose()).shape
        (512, 512, 3)
    """
    return _turn(_express(pose), pose)


@functools.cache
def _portrait() -> Image:
    """The shown part of the portrait, enlarged to `SIDE`."""
    data = require("skimage.data", extra="demo")
    left, top, side = _CROP
    crop = data.astronaut()[top : top + side, left : left + side]
    enlarged: Image = np.asarray(
        cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4), np.uint8
    )
    return enlarged


@functools.cache
def _grid() -> tuple[Plane, Plane, tuple[slice, slice]]:
    """Portrait coordinates of the pixels that an expression changes, and their slices."""
    x0, y0, x1, y1 = _ROI
    columns = slice(round((x0 - _CROP[0]) * _SCALE), round((x1 - _CROP[0]) * _SCALE))
    rows = slice(round((y0 - _CROP[1]) * _SCALE), round((y1 - _CROP[1]) * _SCALE))
    y, x = np.mgrid[rows, columns].astype(np.float32) / np.float32(_SCALE)
    return x + _CROP[0], y + _CROP[1], (rows, columns)


def _express(pose: Pose) -> Image:
    x, y, place = _grid()
    dark, source_y = _open_mouth(x, y, pose.mouth)
    source_y = _raise_brows(x, source_y, pose.brows)
    source_y = _close_eyes(x, source_y, pose.eyes)
    moved = cv2.remap(
        _portrait(),
        (x - _CROP[0]) * np.float32(_SCALE),
        (source_y - _CROP[1]) * np.float32(_SCALE),
        cv2.INTER_CUBIC,
    ).astype(np.float32)
    moved += dark[..., None] * (np.array(_INSIDE, np.float32) - moved)
    image = _portrait().copy()
    image[place] = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
    return image


def _open_mouth(x: Plane, y: Plane, opening: float) -> tuple[Plane, Plane]:
    """Source height of each pixel, and its share of the dark inside of the mouth."""
    centre, corners, half = _MOUTH
    across = (x - centre) / np.float32(half)
    lip = np.clip(1 - across**2, 0, None)
    edge = corners + _TEETH * lip  # the lower lip's inner edge, as in the portrait
    below = np.clip((y - edge - opening * lip) / np.float32(14), 0, 1)
    jaw = np.exp(-((across / 1.7) ** 2))
    fall = np.clip((_CHIN + 26 - y) / np.float32(34), 0, 1)
    moved = opening * (lip * (1 - below) + jaw * below * 0.75) * _ease(fall)
    lowered = y >= edge + opening * lip
    source = np.where(lowered, y - moved, y)
    gap = np.minimum(y - edge, edge + opening * lip - y) if opening > 0 else np.zeros_like(y)
    dark = _ease(np.clip(gap / np.float32(1.2) + 0.2, 0, 1)) * (gap > 0)
    return dark.astype(np.float32), source.astype(np.float32)


def _raise_brows(x: Plane, y: Plane, raising: float) -> Plane:
    for brow_x, brow_y in _BROWS:
        near = np.exp(-(((x - brow_x) / 17) ** 2) - ((y - brow_y) / 7.5) ** 2)
        y = (y + raising * near).astype(np.float32)
    return y


def _close_eyes(x: Plane, y: Plane, closed: float) -> Plane:
    """Pull the skin above an eye down over it."""
    if closed <= 0:
        return y
    for eye_x, lid, half, height in _EYES:
        across = np.clip(1 - ((x - eye_x) / half) ** 2, 0, None)
        reach = closed * height * across
        start = lid - 7
        covered = (y > start) & (y < lid + reach) & (across > 0)
        pulled = start + (y - start) * 7 / (7 + reach)
        y = np.where(covered, pulled, y).astype(np.float32)
    return y


def _turn(image: Image, pose: Pose) -> Image:
    """Move the head, without moving the rest of the picture."""
    step = 4
    y, x = np.mgrid[0 : SIDE + 1 : step, 0 : SIDE + 1 : step].astype(np.float32)
    px, py = x / _SCALE + _CROP[0], y / _SCALE + _CROP[1]
    centre_x, centre_y, half_x, half_y = _HEAD
    u, v = (px - centre_x) / half_x, (py - centre_y) / half_y
    distance = np.sqrt(u**2 + v**2)
    part = _ease(np.clip((1.75 - distance) / 0.75, 0, 1))
    depth = np.sqrt(np.clip(1 - distance**2, 0, None))
    angle = np.deg2rad(pose.roll)
    rx, ry = px - _NECK[0], py - _NECK[1]
    dx = pose.shift[0] + (np.cos(angle) - 1) * rx - np.sin(angle) * ry + 9 * pose.yaw * depth
    dy = pose.shift[1] + np.sin(angle) * rx + (np.cos(angle) - 1) * ry + 9 * pose.nod * depth
    fields = [
        cv2.resize(
            np.asarray(plane, np.float32),
            (x.shape[1] * step, x.shape[0] * step),
            interpolation=cv2.INTER_LINEAR,
        )[step // 2 : step // 2 + SIDE, step // 2 : step // 2 + SIDE]
        for plane in (x - part * dx * _SCALE, y - part * dy * _SCALE)
    ]
    turned: Image = np.asarray(
        cv2.remap(image, fields[0], fields[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
    return turned


def _ease(x: Plane) -> Plane:
    """Smooth step from 0 to 1."""
    return (x * x * (3 - 2 * x)).astype(np.float32)
