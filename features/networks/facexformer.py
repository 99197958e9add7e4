"""FaceXFormer's head pose, from a checkout and a checkpoint that the user provides.

``facexformer/`` below `THEVAL_MODELS` (or the user's cache) holds the repository (its package
``network``) and a checkpoint, ``ckpts/model.pt``. Both are executed without checks: use only trusted
files. Neither is distributed with this package.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import content_hash, known, need
from theval_datasets.utils.optional import require

from .device import chosen_device

WEIGHTS: Final = "facexformer"
_CHECKPOINTS: Final = ("ckpts/model.pt", "model.pt")
_SIDE: Final = 224
_MARGIN: Final = 0.5  # margin on both sides together, in sides of the box
_POSE: Final = 2  # number of the task head pose
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)
_LABELS: Final = {
    "segmentation": (224, 224), "lnm_seg": (5, 2), "landmark": (68, 2), "headpose": (3,),
    "attribute": (40,), "a_g_e": (3,), "visibility": (29,),
}  # fmt: skip

Pixels = npt.NDArray[np.uint8]


def locate() -> tuple[Path, Path]:
    """The checkout and the checkpoint.

    Raises:
        WeightsMissingError: Either is missing.
    """
    checkout = need(known(WEIGHTS))
    files = (checkout / name for name in _CHECKPOINTS)
    return checkout, next(file for file in files if file.is_file())


def identity() -> str:
    """Hash of the checkpoint and of the code that runs it."""
    checkout, checkpoint = locate()
    code = sorted((checkout / "network").rglob("*.py"))
    return f"facexformer-{content_hash(checkpoint, *code)}"


class FaceXFormer:
    """The head pose network."""

    def __init__(self) -> None:
        torch = require("torch", extra="iqa")
        checkout, checkpoint = locate()
        self._torch = torch
        self._device = chosen_device("iqa")
        net = _package(checkout).FaceXFormer()
        loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
        net.load_state_dict(loaded["state_dict_backbone"])
        self._net: Any = net.eval().to(self._device)

    def angles(self, frame: Pixels, box: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Pitch, yaw and roll in degrees, as predicted by the network.

        Args:
            frame: uint8 (height, width, 3) in red, green, blue.
            box: (4,): left, top, right, bottom of the face in pixels, without margin.

        Returns:
            (3,): angles, -180 to 180.
        """
        from PIL import Image
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as transform

        torch = self._torch
        low, high = box[:2], box[2:4]
        margin = (high - low) * _MARGIN / 2
        size = (frame.shape[1], frame.shape[0])
        left, top = np.maximum(low - margin, 0).astype(int)
        right, bottom = np.minimum(high + margin, size).astype(int)
        crop = Image.fromarray(frame).crop((left, top, max(left + 1, right), max(top + 1, bottom)))
        sized = transform.resize(crop, [_SIDE, _SIDE], interpolation=InterpolationMode.BICUBIC)
        image = transform.normalize(transform.to_tensor(sized), list(_MEAN), list(_STD))
        labels = {
            name: torch.zeros((1, *shape), device=self._device) for name, shape in _LABELS.items()
        }
        task = torch.tensor([_POSE], device=self._device)
        with torch.inference_mode():
            pose = self._net(image[None].to(self._device), labels, task)[1]
        angles: npt.NDArray[np.float64] = np.degrees(pose[0].double().cpu().numpy())
        return angles


def _package(checkout: Path) -> Any:
    """The checkout's package `network`, imported under a unique name to avoid conflicts."""
    name = "_theval_facexformer"
    if name not in sys.modules:
        init = checkout / "network" / "__init__.py"
        spec = importlib.util.spec_from_file_location(
            name, init, submodule_search_locations=[str(init.parent)]
        )
        if spec is None or spec.loader is None:
            raise WeightsMissingError(f"{init} cannot be imported; check out FaceXFormer again")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
