"""Image quality networks of pyiqa, built without downloads and loaded without pickle.

When pyiqa creates a metric, it downloads timm's backbone, and then the weights that overwrite it. Here the
architecture is created without weights, and the published state is read from a local file:
``pyiqa/FILE`` below `THEVAL_MODELS`, else the Hub's cache (repository
chaofengc/IQA-PyTorch-Weights). pyiqa and its weights are for non-commercial use.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import content_hash, find, known, need
from theval_datasets.utils.optional import need as need_extra
from theval_datasets.utils.optional import require

from .device import chosen_device

Name = Literal["topiq_iaa", "topiq_nr-face", "musiq-spaq", "musiq"]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A published network of pyiqa.

    Attributes:
        architecture: Module and class.
        options: Arguments of the class.
        side: Side in pixels of the square that pictures are first scaled to; None for no scaling.
        shorter: Length in pixels that the shorter side is first scaled to; None for no scaling.
    """

    architecture: tuple[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None
    shorter: int | None = None


_TOPIQ: Final = ("pyiqa.archs.topiq_arch", "CFANet")
_MUSIQ: Final = ("pyiqa.archs.musiq_arch", "MUSIQ")
NETWORKS: Final[Mapping[Name, NetworkSpec]] = {
    "topiq_iaa": NetworkSpec(
        _TOPIQ,
        {
            "semantic_model_name": "swin_base_patch4_window12_384",
            "use_ref": False,
            "inter_dim": 512,
            "num_heads": 8,
            "num_class": 10,
        },
        side=384,
    ),
    "topiq_nr-face": NetworkSpec(
        _TOPIQ,
        {"semantic_model_name": "resnet50", "use_ref": False, "test_img_size": 512},
        shorter=512,
    ),
    "musiq-spaq": NetworkSpec(_MUSIQ),
    "musiq": NetworkSpec(_MUSIQ),
}


def states(names: Sequence[Name]) -> dict[Name, Path]:
    """Files of the networks' states on this machine, by name.

    Raises:
        WeightsMissingError: There are none.
        MissingExtraError: pyiqa is not installed.
    """
    need_extra("iqa")  # imports nothing: torch takes 200 MB of memory and seconds
    here = {name: path for name in names if (path := find(known(name))) is not None}
    return here or {names[0]: need(known(names[0]))}


def identity(names: Sequence[Name]) -> str:
    """Hashes of the states for cache keys; `none` for a missing state."""
    here = states(names)
    return "+".join(
        f"{name}-{content_hash(here[name])}" if name in here else f"{name}-none" for name in names
    )


class Scorer:
    """A network that scores pictures.

    Args:
        name: Name of the network.
        state: File of its state.
    """

    def __init__(self, name: Name, state: Path) -> None:
        torch = require("torch", extra="iqa")
        self._torch = torch
        self._network = NETWORKS[name]
        self._device = chosen_device("iqa")
        net = build(name)
        loaded = torch.load(state, map_location="cpu", weights_only=True)
        loaded = loaded.get("params", loaded)
        net.load_state_dict({k.removeprefix("module."): v for k, v in loaded.items()}, strict=False)
        _check_complete(net, loaded, state)
        self._net = net.eval().to(self._device)

    def score(self, pictures: Sequence[Pixels]) -> npt.NDArray[np.float64]:
        """Score pictures; those of one size form a batch.

        Args:
            pictures: uint8 (height, width, 3) each, in red, green, blue.

        Returns:
            (n,): scores in the network's unit.
        """
        torch = self._torch
        tensors = [self._prepared(picture) for picture in pictures]
        scores = np.zeros(len(tensors))
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, tensor in enumerate(tensors):
            groups.setdefault(tuple(tensor.shape), []).append(i)
        with torch.inference_mode():
            for members in groups.values():
                batch = torch.cat([tensors[i] for i in members])
                scores[members] = self._net(batch).reshape(-1).double().cpu().numpy()
        return scores

    def _prepared(self, picture: Pixels) -> Any:
        from torchvision.transforms import functional

        torch = self._torch
        tensor = torch.from_numpy(picture.copy()).to(self._device)
        tensor = tensor.permute(2, 0, 1)[None].float() / 255.0
        size = self._network.side and [self._network.side] * 2
        size = size or (self._network.shorter and [self._network.shorter])
        return functional.resize(tensor, size, antialias=True) if size else tensor


def build(name: Name) -> Any:
    """A network with random weights, created without downloads."""
    network = NETWORKS[name]
    module_name, class_name = network.architecture
    with _quiet():
        module = require(module_name, extra="iqa")
        options = dict(network.options)
        if class_name == "CFANet":
            # With a name of pyiqa's own, it would download a face detector as well.
            options |= {"model_name": "bare", "backbone_pretrain": False}
        with _bare_backbones(module):
            return getattr(module, class_name)(pretrained=False, **options)


@contextlib.contextmanager
def _bare_backbones(module: Any) -> Iterator[None]:
    """Keep pyiqa's Swin from downloading timm's weights while a network is created.

    It downloads them regardless of its options; the state that is loaded afterwards is complete.
    """
    original = getattr(module, "create_swin", None)
    if original is None:
        yield
        return
    module.create_swin = lambda name, **options: original(name, **{**options, "pretrained": False})
    try:
        yield
    finally:
        module.create_swin = original


def _check_complete(net: Any, loaded: Mapping[str, Any], state: Path) -> None:
    """Raise if a state leaves weights of the network random."""
    given = {key.removeprefix("module.") for key in loaded}
    lacking = sorted(
        name
        for name in net.state_dict()
        if name not in given and not name.endswith(("relative_position_index", "attn_mask"))
    )
    if lacking:
        raise WeightsMissingError(
            f"{state.name} is not a state of this network: it lacks {', '.join(lacking[:3])}"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress pyiqa's prints and its libraries' deprecation warnings."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:  # noqa: PTH123
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere):
            yield
