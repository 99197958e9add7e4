"""MobileNetV2, as it was trained to tell drawings from photographs for nsfwjs, in numpy.

The layers are those of Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018), followed by
three dense ones. Batch normalisation is folded into the convolutions when the network is loaded. Pictures are
arrays (rows, columns, channels), so that a convolution over one pixel is a product of matrices.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import content_hash

from .tfjs_files import Tensor, read_tensors

CLASSES: Final = ("drawing", "hentai", "neutral", "porn", "sexy")
"""Classes in the network's order: drawings, indecent drawings, and three kinds of photographs."""
SIDE: Final = 224
"""Side of the network's pictures in pixels."""
_BLOCKS: Final = ("expanded_conv", *(f"block_{i}" for i in range(1, 17)))
_HALVING: Final = frozenset({"block_1", "block_3", "block_6", "block_13"})
_EPSILON: Final = 1e-3
_HIGHEST: Final = 6.0  # where the rectifier ends
_BAND: Final = 1 << 16
"""Numbers of a layer that are computed at once, so that they stay in the processor's cache."""

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


def mobilenet_identity(description: Path, values: Path) -> str:
    """Identity of the network for cache keys.

    Args:
        description: The published script with names and shapes of the tensors.
        values: The published script with their values.

    Raises:
        WeightsMissingError: A file is damaged, or of another network.
    """
    digest = content_hash(description, values)
    _check(description, values, digest)
    return f"mobilenet-{digest}"


@functools.cache
def _check(description: Path, values: Path, digest: str) -> None:  # noqa: ARG001  # part of the key
    MobileNet(description, values)


class MobileNet:
    """The network, on the CPU. A picture's values do not depend on those beside it; other processors round otherwise.

    Args:
        description: The published script with names and shapes of the tensors.
        values: The published script with their values.

    Raises:
        WeightsMissingError: A file is damaged, or of another network.
    """

    def __init__(self, description: Path, values: Path) -> None:
        try:
            tensors = _LayerReader(read_tensors(description, values))
            self._first = tensors.convolution("Conv1/kernel", "bn_Conv1", (3, 3, 3, None))
            width = self._first.channels
            self._blocks = []
            for name in _BLOCKS:
                block = tensors.block(name, width)
                self._blocks.append(block)
                width = block.project.channels
            self._last = tensors.convolution("Conv_1/kernel", "Conv_1_bn", (1, 1, width, None))
            width = self._last.channels
            self._dense = []
            for name, wanted in (("dense_1", None), ("dense_2", None), ("dense_3", len(CLASSES))):
                layer = tensors.dense(name, width, wanted)
                self._dense.append(layer)
                width = layer.channels
            tensors.check_all_taken()
            with np.errstate(over="ignore", invalid="ignore"):
                trial = self._classify(np.full((1, 1, 3), 127, np.uint8))
            if not np.isfinite(trial).all():
                raise ValueError(f"expected probabilities of a picture, got {trial.tolist()}")
        except ValueError as error:
            raise WeightsMissingError(
                f"The weights in {values} and {description} are damaged, or of another network: {error}. "
                "Delete both and fetch them again."
            ) from None

    def probabilities(self, pictures: Sequence[Pixels]) -> Probabilities:
        """Probability of each class for each picture.

        Args:
            pictures: n of uint8 (height, width, 3) in red, green, blue; scaled to squares.

        Returns:
            float32 (n, 5): 0 to 1, of sum 1 for each picture; in the order of `CLASSES`.
        """
        rows = [self._classify(picture) for picture in pictures]
        return np.array(rows, np.float32).reshape(-1, len(CLASSES))

    def _classify(self, picture: Pixels) -> Probabilities:
        x = _full(_scaled(picture), self._first, stride=2)
        for block in self._blocks:
            x = block.apply(x)
        x = _rectified(_pointwise(x, self._last)).mean(axis=(0, 1))
        for layer in self._dense[:-1]:
            x = np.maximum(x @ layer.kernel + layer.bias, 0)
        logits = x @ self._dense[-1].kernel + self._dense[-1].bias
        odds = np.exp(logits - logits.max())
        probabilities: Probabilities = odds / odds.sum()
        return probabilities


@dataclass(frozen=True, slots=True)
class _Affine:
    """Kernel and bias of a layer; its output has `channels` channels."""

    kernel: Tensor
    bias: Tensor

    @property
    def channels(self) -> int:
        return len(self.bias)


@dataclass(frozen=True, slots=True)
class _Block:
    """An inverted residual: to many channels, a convolution in each, and back to few."""

    expand: _Affine | None
    depthwise: _Affine
    project: _Affine
    stride: int

    def apply(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else _rectified(_pointwise(x, self.expand))
        y = _pointwise(_rectified(_depthwise(inner, self.depthwise, self.stride)), self.project)
        if y.shape == x.shape:
            y += x
        return y


class _LayerReader:
    """Takes layers out of tensors by name, and checks their shapes."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._left = tensors

    def take(self, name: str, *shape: int | None) -> Tensor:
        """A tensor of this shape; None for an axis of any length."""
        tensor = self._left.pop(name, None)
        fits = tensor is not None and tensor.ndim == len(shape)
        if (
            tensor is None
            or not fits
            or not all(
                n > 0 if wanted is None else n == wanted
                for n, wanted in zip(tensor.shape, shape, strict=True)
            )
        ):
            got = "none" if tensor is None else f"one of {tensor.shape}"
            wanted_shape = ", ".join("any" if n is None else str(n) for n in shape)
            raise ValueError(f"expected a tensor {name} of ({wanted_shape}), got {got}")
        return tensor

    def convolution(
        self, name: str, norm: str, shape: tuple[int | None, ...], axis: int = 3
    ) -> _Affine:
        """A convolution with the normalisation after it; `axis` is that of the output's channels."""
        kernel = self.take(name, *shape)
        channels = kernel.shape[axis]
        scale, shift, mean, variance = (
            self.take(f"{norm}/{part}", channels)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        if variance.min() < 0:
            raise ValueError(f"expected variances in {norm}, got {variance.min()}")
        squeezed = kernel.reshape(*kernel.shape[:axis], channels)
        with np.errstate(over="ignore", invalid="ignore"):
            factor = scale / np.sqrt(variance + np.float32(_EPSILON))
            layer = _Affine(squeezed * factor, shift - mean * factor)
        if not (np.isfinite(layer.kernel).all() and np.isfinite(layer.bias).all()):
            raise ValueError(f"expected finite numbers in {name} with {norm}")
        return layer

    def block(self, name: str, width: int) -> _Block:
        """A block that reads `width` channels."""
        expand = None
        inner = width
        if name != _BLOCKS[0]:
            expand = self.convolution(
                f"{name}_expand/kernel", f"{name}_expand_BN", (1, 1, width, None)
            )
            inner = expand.channels
        depthwise = self.convolution(
            f"{name}_depthwise/depthwise_kernel", f"{name}_depthwise_BN", (3, 3, inner, 1), axis=2
        )
        project = self.convolution(
            f"{name}_project/kernel", f"{name}_project_BN", (1, 1, inner, None)
        )
        return _Block(expand, depthwise, project, 2 if name in _HALVING else 1)

    def dense(self, name: str, width: int, channels: int | None) -> _Affine:
        """A layer that connects every input with every output."""
        kernel = self.take(f"{name}/kernel", width, channels)
        return _Affine(kernel, self.take(f"{name}/bias", kernel.shape[1]))

    def check_all_taken(self) -> None:
        """Check that no tensor is left.

        Raises:
            ValueError: There are tensors of other layers.
        """
        if self._left:
            raise ValueError(f"expected no tensor {min(self._left)}")


def _scaled(picture: Pixels) -> Tensor:
    """A picture as the network expects it, 0 to 1; by Pillow, which averages where it shrinks."""
    from PIL import Image

    image = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32) / np.float32(255)


def _rectified(x: Tensor) -> Tensor:
    """Numbers limited to 0 to 6, in place."""
    np.maximum(x, 0, out=x)
    return np.minimum(x, np.float32(_HIGHEST), out=x)


def _padded(x: Tensor, stride: int) -> Tensor:
    """A picture with the border of zeros of a kernel of 3 x 3: where it halves, only right and below."""
    before = 1 if stride == 1 else 0
    return np.pad(x, ((before, 1), (before, 1), (0, 0)))


def _pointwise(x: Tensor, layer: _Affine) -> Tensor:
    """A convolution over one pixel."""
    kernel = layer.kernel.reshape(-1, layer.channels)
    y: Tensor = x.reshape(-1, x.shape[2]) @ kernel
    y += layer.bias
    return y.reshape(*x.shape[:2], layer.channels)


def _full(x: Tensor, layer: _Affine, stride: int) -> Tensor:
    """A rectified convolution over 3 x 3 pixels of all channels."""
    height, width = x.shape[0] // stride, x.shape[1] // stride
    x = _padded(x, stride)
    parts = [_shifted(x, i, j, 0, height, width, stride) for i in range(3) for j in range(3)]
    columns = np.concatenate(parts, axis=2)
    return _rectified(_pointwise(columns, layer))


def _depthwise(x: Tensor, layer: _Affine, stride: int) -> Tensor:
    """A convolution over 3 x 3 pixels in each channel, a band of rows after the other."""
    height, width, channels = x.shape[0] // stride, x.shape[1] // stride, layer.channels
    x = _padded(x, stride)
    y = np.empty((height, width, channels), np.float32)
    rows = max(1, _BAND // (width * channels))
    product = np.empty((rows, width, channels), np.float32)
    for begin in range(0, height, rows):
        band = y[begin : begin + rows]
        band[:] = layer.bias
        part = product[: len(band)]
        for i in range(3):
            for j in range(3):
                seen = _shifted(x, i, j, begin, len(band), width, stride)
                np.multiply(seen, layer.kernel[i, j], out=part)
                band += part
    return y


def _shifted(x: Tensor, i: int, j: int, begin: int, height: int, width: int, stride: int) -> Tensor:
    """What row i and column j of a kernel see, for `height` rows of the output from `begin`."""
    top = i + begin * stride
    return x[top : top + height * stride : stride, j : j + width * stride : stride]
