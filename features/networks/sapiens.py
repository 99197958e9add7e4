"""Encoders of Sapiens: the first generation as TorchScript, the second through transformers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.utils.optional import require

from .device import Precision, arithmetic, chosen_device
from .loading import loaded

EXTRA: Final = "evaltalker"
WEIGHTS: Final = {"sapiens": "sapiens-2b", "sapiens2": "sapiens2-1b"}
"""Name in the registry of weights, by backend."""

Backend = Literal["sapiens", "sapiens2"]
Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float64]

_SIDE: Final = 1024
_MEAN: Final = (123.5, 116.5, 103.5)
_STD: Final = (58.5, 57.0, 57.5)


class SapiensEncoder:
    """Sapiens (2024), as published in TorchScript, which is executed: use only trusted files.

    Args:
        script: The file.
        precision: Precision of matrix products.

    Raises:
        MissingExtraError: torch is not installed.
        WeightsMissingError: The file is not TorchScript.
    """

    def __init__(self, script: Path, precision: Precision) -> None:
        torch = require("torch", extra=EXTRA)
        self._device = chosen_device(EXTRA)
        self._precision = precision
        try:
            with warnings.catch_warnings():
                # TorchScript is deprecated, but no other published form of this model runs without its code.
                warnings.simplefilter("ignore")
                self._net: Any = torch.jit.load(script, map_location=self._device).eval()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise WeightsMissingError(f"expected TorchScript, got {script}: {reason}") from None

    def embed(self, pictures: Sequence[Pixels]) -> Vectors:
        """Features of pictures.

        Args:
            pictures: uint8 (height, width, 3) each, in red, green, blue; scaled to squares.

        Returns:
            (n, dim): mean over the picture of each, dim of 1920 for Sapiens-2B.
        """
        import cv2
        import torch

        sized = [cv2.resize(p, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR) for p in pictures]
        batch = torch.from_numpy(np.stack(sized)).to(self._device).float()
        mean, std = (torch.tensor(values, device=self._device) for values in (_MEAN, _STD))
        batch = ((batch - mean) / std).permute(0, 3, 1, 2)
        with arithmetic(self._device, self._precision):
            (maps,) = self._net(batch)
            vectors: Vectors = maps.double().mean(dim=(2, 3)).cpu().numpy()
        return vectors


class Sapiens2Encoder:
    """Sapiens2 (2026) through transformers. Its licence forbids biometric uses.

    Args:
        folder: Folder of the model and of its image processor.
        precision: Precision of matrix products.

    Raises:
        MissingExtraError: torch, torchvision or transformers is missing, or they do not fit together.
        WeightsMissingError: The folder holds no such model.
    """

    def __init__(self, folder: Path, precision: Precision) -> None:
        require("torchvision", extra=EXTRA)
        transformers = require("transformers", extra=EXTRA)
        self._device = chosen_device(EXTRA)
        self._precision = precision
        net = loaded(transformers.Sapiens2Model, folder, kinds=("sapiens2",))
        self._prefix = 1 + net.config.num_register_tokens
        self._net: Any = net.to(self._device)
        self._processor: Any = transformers.AutoImageProcessor.from_pretrained(
            str(folder), local_files_only=True
        )

    def embed(self, pictures: Sequence[Pixels]) -> Vectors:
        """Features of pictures.

        Args:
            pictures: uint8 (height, width, 3) each, in red, green, blue; scaled as the published
                processor says.

        Returns:
            (n, dim): mean over the patches of each, without the class and register tokens.
        """
        inputs = self._processor(images=list(pictures), return_tensors="pt")
        with arithmetic(self._device, self._precision):
            tokens = self._net(pixel_values=inputs["pixel_values"].to(self._device))
            patches = tokens.last_hidden_state[:, self._prefix :]
            vectors: Vectors = patches.double().mean(dim=1).cpu().numpy()
        return vectors
