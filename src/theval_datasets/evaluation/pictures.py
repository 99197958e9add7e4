"""Distances of two pictures of one size: PSNR, SSIM and LPIPS."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.extraction.weights import known, need
from theval_datasets.utils.optional import require

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Measure = Callable[[Pixels, Pixels], float]

_BACKBONES: Final = {
    "alex": "alexnet",
    "vgg": "vgg16",
    "squeeze": "squeezenet",
}
_WINDOW_SIGMA: Final = 1.5
_K1: Final = 0.01
_K2: Final = 0.03
_PEAK: Final = 255.0


def psnr(generated: Pixels, real: Pixels) -> float:
    """Peak signal-to-noise ratio of two pictures of one size.

    Args:
        generated: uint8, any shape.
        real: uint8 of the same shape.

    Returns:
        dB, at least 0; infinite for equal pictures.

    Raises:
        InputError: The shapes differ.

    Examples:
        >>> dark = np.zeros((16, 16), np.uint8)
        >>> round(psnr(dark, dark + 16), 2)
        24.05
        >>> psnr(dark, dark)
        inf
    """
    _same_shape(generated, real)
    error = float(np.mean((generated.astype(np.float64) - real.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10.0 * math.log10(_PEAK**2 / error)


def ssim(generated: Pixels, real: Pixels) -> float:
    """Structural similarity of two pictures of one size, -1 to 1, mean over channels.

    With the window of the original paper (Wang et al., 2004): Gaussian, σ = 1.5, truncated at 11
    pixels, population statistics; the border where the window does not fit is left out.

    Args:
        generated: uint8, (height, width) or (height, width, channels), at least 11 × 11.
        real: uint8 of the same shape.

    Raises:
        InputError: The shapes differ, or the pictures are too small.

    Examples:
        >>> ramp = np.tile(np.arange(16, dtype=np.uint8), (16, 1))
        >>> ssim(ramp, ramp)
        1.0
    """
    from scipy.ndimage import gaussian_filter

    _same_shape(generated, real)
    if min(generated.shape[:2]) < 11:
        raise InputError(f"expected pictures of at least 11 × 11 pixels, got {generated.shape[:2]}")
    sigma = (_WINDOW_SIGMA, _WINDOW_SIGMA, *([0.0] * (generated.ndim - 2)))

    def blur(image: Floats) -> Floats:
        blurred: Floats = gaussian_filter(image, sigma, truncate=3.5)
        return blurred

    x, y = generated.astype(np.float64), real.astype(np.float64)
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    both = blur(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float((above / below)[5:-5, 5:-5].mean())


def lpips(network: Literal["alex", "vgg", "squeeze"] = "alex") -> Measure:
    """A function that gives the perceptual distance (LPIPS, version 0.1) of two pictures.

    The backbone's weights are torchvision's (``theval-data models list``); the linear weights are
    part of the package.

    Args:
        network: Name of the backbone.

    Returns:
        Function of two pictures, uint8 (height, width, 3) of one size, that gives a distance of at
        least 0.

    Raises:
        MissingExtraError: lpips is not installed (extra [lpips]).
        WeightsMissingError: The backbone's weights are not installed.
    """
    package = require("lpips", extra="lpips")
    torch = require("torch", extra="lpips")
    state = torch.load(need(known(_BACKBONES[network])), map_location="cpu", weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it makes its backbones with deprecated torchvision options
        net = package.LPIPS(net=network, pnet_rand=True, verbose=False).eval()
    # "slice2.3.weight" here is "features.3.weight" there.
    names = {own: f"features.{own.partition('.')[2]}" for own in net.net.state_dict()}
    net.net.load_state_dict({own: state[theirs] for own, theirs in names.items()})

    def distance(generated: Pixels, real: Pixels) -> float:
        _same_shape(generated, real)
        pair = [
            torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0
            for p in (generated, real)
        ]
        with torch.inference_mode():
            return float(net(*pair))

    return distance


def _same_shape(a: Pixels, b: Pixels) -> None:
    if a.shape != b.shape:
        raise InputError(f"expected pictures of one size, got {a.shape} and {b.shape}")
