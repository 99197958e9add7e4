"""Distortion-aware saliency maps from fixations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

from .marks import Centres, DotParameters, Image, find_dots

SIGMA = 5.0
"""Standard deviation of the Gaussian that smooths fixations, in pixels."""
RELEASE_SIZE = (1536, 512)
"""Width and height of the release's maps."""


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """Fixations and saliency of one picture.

    Attributes:
        fixations: int64 (n, 2): row and column in the picture's pixels, of all annotators.
        annotator: int64 (n,): index of each fixation's annotator.
        saliency: float64 (height, width) in [0, 1]; all 0 without marks.
        empty: Whether there are no marks.

    Examples:
        >>> nothing = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
        >>> SaliencyMap(*nothing, np.zeros((2, 2))).empty
        True
    """

    fixations: Centres
    annotator: npt.NDArray[np.int64]
    saliency: npt.NDArray[np.float64]

    @property
    def empty(self) -> bool:
        """Whether there are no marks (a picture without distortion)."""
        return len(self.fixations) == 0

    def as_bytes(self) -> Image:
        """The map as uint8 (height, width), 0 to 255, truncated as the release does.

        Examples:
            >>> nothing = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
            >>> SaliencyMap(*nothing, np.array([[0.0, 0.5, 1.0]])).as_bytes()
            array([[  0, 127, 255]], dtype=uint8)
        """
        return (self.saliency * 255.0).astype(np.uint8)


def fixation_map(fixations: Centres, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Number of fixations of each pixel.

    Args:
        fixations: int64 (n, 2): row and column, in pixels.
        shape: Height and width.

    Returns:
        float64 (height, width): whole numbers, at least 0.

    Raises:
        InputError: If a fixation is outside the picture.

    Examples:
        >>> fixation_map(np.array([[0, 1]]), (2, 2)).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    counts = np.zeros(shape)
    points = np.asarray(fixations, np.int64).reshape(-1, 2)
    if len(points) and (points.min() < 0 or (points >= np.array(shape)).any()):
        raise InputError(f"expected fixations within {shape[0]}x{shape[1]} pixels, got one outside")
    np.add.at(counts, (points[:, 0], points[:, 1]), 1.0)
    return counts


def saliency_from_fixations(
    fixations: Centres, shape: tuple[int, int], *, sigma: float = SIGMA
) -> npt.NDArray[np.float64]:
    """Saliency map of fixations, smoothed by a Gaussian (mirrored at borders) and divided by the maximum.

    Args:
        fixations: int64 (n, 2): row and column, in pixels.
        shape: Height and width of the map.
        sigma: Pixels.

    Returns:
        float64 (height, width), 0 to 1; all 0 without fixations.

    Examples:
        >>> saliency_from_fixations(np.array([[1, 1]]), (3, 3), sigma=0.5).round(2)[1].tolist()
        [0.14, 1.0, 0.14]
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(fixation_map(fixations, shape), sigma)
    top = smooth.max(initial=0.0)
    result: npt.NDArray[np.float64] = smooth / top if top > 0 else smooth
    return result


def saliency_from_marks(
    images: Sequence[Image],
    *,
    mode: Literal["ours", "official"] = "ours",
    parameters: DotParameters | None = None,
    size: tuple[int, int] | None = None,
    sigma: float = SIGMA,
) -> SaliencyMap:
    """Saliency map of a picture that one or several annotators marked, each on a copy.

    The mode `ours` scales the centres to `size` and smooths there, so that σ is the same for all maps; the
    official mode smooths in the picture's own pixels and then resizes the map.

    Args:
        images: uint8 (height, width, 3), RGB, all of one size.
        mode: `ours`, or the rule of the release.
        parameters: Parameters of the detection of dots.
        size: Width and height of the map; None for those of the picture (1536×512 in the official
            mode).
        sigma: Pixels.

    Raises:
        InputError: If there is no picture, or they differ in size.

    Examples:
        >>> rows, columns = np.mgrid[:256, :256]
        >>> picture = np.full((256, 256, 3), 200, np.uint8)
        >>> picture[(rows - 90) ** 2 + (columns - 40) ** 2 <= 36] = (255, 0, 0)
        >>> saliency_from_marks([picture]).fixations.tolist()
        [[90, 40]]
    """
    if not images:
        raise InputError("expected at least one marked picture, got none")
    shapes = {image.shape[:2] for image in images}
    if len(shapes) > 1:
        raise InputError(f"the copies of one picture differ in size: {sorted(shapes)}")
    height, width = images[0].shape[:2]
    dots = [find_dots(image, mode=mode, parameters=parameters) for image in images]
    fixations = np.concatenate(dots)
    annotator = np.repeat(np.arange(len(dots)), [len(points) for points in dots])
    if mode == "official":
        saliency = _resized(
            saliency_from_fixations(fixations, (height, width), sigma=sigma), size or RELEASE_SIZE
        )
    else:
        target = size or (width, height)
        saliency = saliency_from_fixations(
            scale_fixations(fixations, (height, width), (target[1], target[0])),
            (target[1], target[0]),
            sigma=sigma,
        )
    return SaliencyMap(fixations=fixations, annotator=annotator, saliency=saliency)


def scale_fixations(fixations: Centres, shape: tuple[int, int], target: tuple[int, int]) -> Centres:
    """Fixations scaled to a picture of another size.

    Args:
        fixations: int64 (n, 2): row and column, in pixels.
        shape: Height and width of their picture.
        target: Height and width of the other picture.

    Returns:
        int64 (n, 2): row and column, in pixels of the other picture.

    Examples:
        >>> scale_fixations(np.array([[10, 20]]), (100, 100), (50, 50)).tolist()
        [[5, 10]]
    """
    if shape == target:
        return fixations
    factor = np.array(target) / np.array(shape)
    scaled = np.floor((fixations + 0.5) * factor).astype(np.int64)
    return np.minimum(scaled, np.array(target) - 1)


def _resized(saliency: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    import cv2

    if saliency.shape == (size[1], size[0]):
        return saliency
    resized = cv2.resize(saliency, size, interpolation=cv2.INTER_LINEAR)
    top = float(resized.max())
    result: npt.NDArray[np.float64] = resized / top if top > 0 else resized
    return result
