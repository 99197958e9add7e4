"""Video Swin Transformer of torchvision, without its classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.utils.optional import require

from .device import Precision, arithmetic, chosen_device

EXTRA: Final = "evaltalker"
SIDE: Final = 224
"""Side in pixels of the square pictures that the network sees."""
STATES: Final = {"tiny": "swin3d_t", "small": "swin3d_s", "base": "swin3d_b"}
"""Name of each size in torchvision and in the registry of weights."""

Size = Literal["tiny", "small", "base"]
View = Literal["whole", "centre"]
Pixels = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float32]

_CROPPED_FROM: Final = 256
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)


class Swin3d:
    """The network, with the pooled output of its last layer.

    Args:
        size: Size of the network.
        state: File of its state, as torchvision publishes it; a classifier in it is not used.
        precision: Precision of matrix products.

    Raises:
        MissingExtraError: torch or torchvision is missing, or they do not fit together.
        WeightsMissingError: The file is no state of this network.
    """

    def __init__(self, size: Size, state: Path, precision: Precision) -> None:
        torch = require("torch", extra=EXTRA)
        video = require("torchvision.models.video", extra=EXTRA)
        self._device = chosen_device(EXTRA)
        self._precision = precision
        net = getattr(video, STATES[size])()
        net.head = torch.nn.Identity()
        loaded = torch.load(state, map_location="cpu", weights_only=True)
        try:
            net.load_state_dict({k: v for k, v in loaded.items() if not k.startswith("head.")})
        except RuntimeError as error:
            raise WeightsMissingError(
                f"{state} is not a state of torchvision's {STATES[size]}: {error}"
            ) from None
        self._net: Any = net.eval().to(self._device)

    def embed(self, frames: list[Pixels]) -> Vector:
        """The network's features of a window.

        Args:
            frames: uint8 (224, 224, 3) each, in red, green, blue; results of `pictured`.

        Returns:
            (dim,): mean over time and space, dim of 768 (tiny, small) or 1024 (base).
        """
        import torch

        window = torch.from_numpy(np.stack(frames)).to(self._device).float() / 255.0
        mean, std = (torch.tensor(values, device=self._device) for values in (_MEAN, _STD))
        window = ((window - mean) / std).permute(3, 0, 1, 2)[None]
        with arithmetic(self._device, self._precision):
            vector: Vector = self._net(window)[0].float().cpu().numpy()
        return vector


def pictured(frame: Pixels, view: View) -> Pixels:
    """A frame as the network sees it, before normalisation.

    Args:
        frame: uint8 (height, width, 3) in red, green, blue.
        view: `whole`: scaled to a square, whatever its aspect; `centre`: the centre crop that the
            published weights were evaluated with, which lacks the sides of wide pictures.

    Returns:
        uint8 (224, 224, 3).
    """
    import torch
    from torchvision.transforms import functional

    picture = torch.from_numpy(frame.copy()).permute(2, 0, 1)
    if view == "whole":
        picture = functional.resize(picture, [SIDE, SIDE], antialias=True)
    else:
        picture = functional.resize(picture, [_CROPPED_FROM], antialias=False)
        picture = functional.center_crop(picture, [SIDE, SIDE])
    pixels: Pixels = picture.permute(1, 2, 0).contiguous().numpy()
    return pixels
