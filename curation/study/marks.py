"""Centres of the red dots by which annotators mark distortions on stills.

Gen3DHF's annotators mark distortions on a picture of three views. The mode `ours` detects small, large
and touching dots; `official` follows the rule of the release, which misses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import require

Image = npt.NDArray[np.uint8]
Centres = npt.NDArray[np.int64]
"""(n, 2): row and column."""

OFFICIAL_AREA = (20.0, 200.0)
"""Smallest number of pixels inside a contour that the release counts as a dot."""
SHAPELESS = 16
"""Number of pixels up to which a component is one dot, whatever its shape."""


@dataclass(frozen=True)
class DotParameters:
    """Parameters of the detection of dots.

    Attributes:
        hue: Maximum distance of a red pixel's hue from 0, in OpenCV's units (0–179).
        saturation: Minimum saturation of a red pixel (0–255).
        value: Minimum value of a red pixel (0–255).
        smallest: Minimum number of pixels of a dot.
        split_above: Size, in dots, above which a component is split into several touching dots.
        drop_above: Size, in dots, above which a component is ignored.
        largest_share: Size of the inscribed disc, as a share of the picture, above which a component is
            ignored.
        dot_area: Number of pixels of one dot; None estimates it from the round components of the
            picture.
    """

    hue: int = 10
    saturation: int = 200
    value: int = 200
    smallest: int = 8
    split_above: float = 1.5
    drop_above: float = 6.0
    largest_share: float = 0.01
    dot_area: float | None = None


def red_mask(image: Image, parameters: DotParameters | None = None) -> npt.NDArray[np.bool_]:
    """Pixels that are as red as a mark.

    Args:
        image: uint8 (height, width, 3), RGB.
        parameters: Thresholds of the colour.

    Returns:
        bool (height, width).

    Raises:
        InputError: If the picture has another type or shape.

    Examples:
        >>> red_mask(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)).tolist()
        [[True, False]]
    """
    gate = parameters or DotParameters()
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"expected an RGB picture of uint8, got {image.dtype} {image.shape}")
    cv2 = require("cv2", extra="media")
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    red = (hue <= gate.hue) | (hue >= 180 - gate.hue)
    mask: npt.NDArray[np.bool_] = red & (saturation >= gate.saturation) & (value >= gate.value)
    return mask


def find_dots(
    image: Image,
    *,
    mode: Literal["ours", "official"] = "ours",
    parameters: DotParameters | None = None,
) -> Centres:
    """Centres of the red dots of a picture of any size.

    Args:
        image: uint8 (height, width, 3), RGB.
        mode: `ours`, or `official` for the release's rule.
        parameters: Parameters of `ours`; `official` uses their thresholds of the colour only.

    Returns:
        int64 (n, 2): row and column, in reading order.

    Examples:
        >>> picture = np.full((200, 200, 3), 255, np.uint8)
        >>> y, x = np.mgrid[:200, :200]
        >>> picture[(y - 60) ** 2 + (x - 90) ** 2 <= 36] = (255, 0, 0)
        >>> find_dots(picture).tolist()
        [[60, 90]]
    """
    rules = parameters or DotParameters()
    mask = red_mask(image, rules)
    points = _official(mask) if mode == "official" else _components(mask, rules)
    centres = np.array(sorted(set(points)), np.int64).reshape(-1, 2)
    return centres


def _official(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    cv2 = require("cv2", extra="media")
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    low, high = OFFICIAL_AREA
    points = []
    for contour in contours:
        if low <= cv2.contourArea(contour) <= high:
            moments = cv2.moments(contour)
            points.append(
                (int(moments["m01"] / moments["m00"]), int(moments["m10"] / moments["m00"]))
            )
    return points


def _components(mask: npt.NDArray[np.bool_], rules: DotParameters) -> list[tuple[int, int]]:
    cv2 = require("cv2", extra="media")
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    kept = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= rules.smallest]
    if not kept or mask.all():
        return []
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    areas = np.array([float(stats[i, cv2.CC_STAT_AREA]) for i in kept])
    boxes = [tuple(int(v) for v in stats[i, :4]) for i in kept]
    parts = [
        np.where(labels[y : y + h, x : x + w] == i, depth[y : y + h, x : x + w], 0.0)
        for i, (x, y, w, h) in zip(kept, boxes, strict=True)
    ]
    limit = rules.largest_share * mask.size
    depths = np.array([part.max() for part in parts])
    small = np.pi * depths**2 <= limit
    if not small.any():
        return []
    dot = rules.dot_area or _dot_area(areas[small], depths[small])
    points = []
    for index, area, (x, y, _, _), part in zip(kept, areas, boxes, parts, strict=True):
        if area > rules.drop_above * dot or np.pi * part.max() ** 2 > limit:
            continue
        if area > rules.split_above * dot:
            points += [(row + y, column + x) for row, column in _split(part, dot)]
        else:
            column, row = centroids[index]
            points.append((_rounded(row), _rounded(column)))
    return points


def _dot_area(areas: npt.NDArray[np.float64], depths: npt.NDArray[np.float64]) -> float:
    """Number of pixels of a dot: the median of the round components, or the area of the usual radius.

    A component is round if it has hardly more pixels than its largest inscribed disc; two touching dots
    have twice as many. Components of very few pixels count as round.
    """
    discs = np.pi * depths**2
    round_ones = (areas <= 1.35 * discs) | (areas <= SHAPELESS)
    if round_ones.any():
        return float(np.median(areas[round_ones]))
    return float(np.pi * np.median(np.maximum(depths - 0.5, 0.5)) ** 2)


def _split(part: npt.NDArray[np.float64], dot: float) -> list[tuple[int, int]]:
    """Centres of touching dots: peaks of the distance transform, moved to the centroid of their pixels."""
    radius = float(np.sqrt(dot / np.pi))
    rows, columns = np.nonzero(part)
    pixels = np.stack([rows, columns], axis=1).astype(np.float64)
    depth = part[rows, columns].copy()
    peaks: list[npt.NDArray[np.float64]] = []
    while depth.max(initial=0.0) >= 0.6 * radius:
        peak = pixels[int(depth.argmax())]
        peaks.append(peak)
        depth[((pixels - peak) ** 2).sum(axis=1) < (0.9 * radius) ** 2] = 0.0
    centres = np.array(peaks) if peaks else pixels.mean(axis=0)[None]
    for _ in range(20):
        nearest = ((pixels[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        moved = np.array([pixels[nearest == i].mean(axis=0) for i in range(len(centres))])
        if np.allclose(moved, centres, atol=1e-3):
            break
        centres = moved
    return [(_rounded(row), _rounded(column)) for row, column in centres]


def _rounded(value: float) -> int:
    return int(np.floor(value + 0.5))
