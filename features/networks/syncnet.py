"""SyncNet: embeddings of a mouth and of its sound, which are near each other if the two are in sync.

Chung and Zisserman, Out of Time: Automated Lip Sync in the Wild (2016), in the version whose weights the
authors published (`syncnet_v2.model`). The layers have the names of that file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import content_hash, known, need
from theval_datasets.utils.optional import require

from .device import chosen_device

WEIGHTS: Final = "syncnet"
EXTRA: Final = "sync"
WINDOW: Final = 5
"""Number of pictures in a window, at 25 a second."""
STEPS: Final = 20
"""Number of MFCC rows in a window, at 100 a second."""
EMBEDDED: Final = 1024

_BATCH: Final = 16  # windows that are embedded at once
_HIDDEN: Final = 512

Pixels = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]


class _Layer(NamedTuple):
    """A convolution, with normalisation and rectification, and the pooling after it."""

    channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] | int = 1
    padding: tuple[int, ...] | int = 0
    pool: tuple[Any, Any, Any] | None = None  # kernel, stride, padding


_SOUND: Final = (
    _Layer(64, (3, 3), padding=1, pool=(1, 1, 0)),
    _Layer(192, (3, 3), padding=1, pool=(3, (1, 2), 0)),
    _Layer(384, (3, 3), padding=1),
    _Layer(256, (3, 3), padding=1),
    _Layer(256, (3, 3), padding=1, pool=(3, 2, 0)),
    _Layer(512, (5, 4)),
)
_FACE: Final = (
    _Layer(96, (5, 7, 7), (1, 2, 2), pool=((1, 3, 3), (1, 2, 2), 0)),
    _Layer(256, (1, 5, 5), (1, 2, 2), (0, 1, 1), ((1, 3, 3), (1, 2, 2), (0, 1, 1))),
    _Layer(256, (1, 3, 3), padding=(0, 1, 1)),
    _Layer(256, (1, 3, 3), padding=(0, 1, 1)),
    _Layer(256, (1, 3, 3), padding=(0, 1, 1), pool=((1, 3, 3), (1, 2, 2), 0)),
    _Layer(512, (1, 6, 6)),
)


def identity() -> str:
    """Hash of the weights, for cache keys.

    Raises:
        MissingExtraError: torch is not installed.
        WeightsMissingError: The weights are not on this machine.
    """
    require("torch", extra=EXTRA)
    return f"syncnet-{content_hash(need(known(WEIGHTS)))}"


def network() -> Any:
    """The network with random weights, a `torch.nn.ModuleDict` of its four parts."""
    nn = require("torch", extra=EXTRA).nn
    return nn.ModuleDict(
        {
            "netcnnaud": nn.Sequential(*_convolutions(nn, 1, _SOUND)),
            "netfcaud": nn.Sequential(*_head(nn)),
            "netcnnlip": nn.Sequential(*_convolutions(nn, 3, _FACE)),
            "netfclip": nn.Sequential(*_head(nn)),
        }
    )


def _convolutions(nn: Any, channels: int, layers: Sequence[_Layer]) -> Iterator[Any]:
    for layer in layers:
        flat = len(layer.kernel) == 2
        convolution = nn.Conv2d if flat else nn.Conv3d
        yield convolution(channels, layer.channels, layer.kernel, layer.stride, layer.padding)
        yield (nn.BatchNorm2d if flat else nn.BatchNorm3d)(layer.channels)
        yield nn.ReLU()
        if layer.pool is not None:
            yield (nn.MaxPool2d if flat else nn.MaxPool3d)(*layer.pool)
        channels = layer.channels


def _head(nn: Any) -> Iterator[Any]:
    yield nn.Linear(_HIDDEN, _HIDDEN)
    yield nn.BatchNorm1d(_HIDDEN)
    yield nn.ReLU()
    yield nn.Linear(_HIDDEN, EMBEDDED)


class SyncNet:
    """The network with published weights.

    Args:
        file: The authors' file of weights; None for that of the registry.
    """

    def __init__(self, file: Path | None = None) -> None:
        torch = require("torch", extra=EXTRA)
        file = need(known(WEIGHTS)) if file is None else file
        net = network()
        state = torch.load(file, map_location="cpu", weights_only=True)
        lacking = sorted(set(net.state_dict()) - set(state))
        if any(not name.endswith("num_batches_tracked") for name in lacking):
            raise WeightsMissingError(
                f"{file.name} is not the state of SyncNet: expected `syncnet_v2.model`, got a file "
                f"without {lacking[0]}"
            )
        net.load_state_dict(state, strict=False)
        self._torch = torch
        self._device = chosen_device(EXTRA)
        self._net = net.eval().to(self._device)

    def embed_faces(self, crops: Sequence[Pixels]) -> Embeddings:
        """Embeddings of all windows of consecutive crops.

        Only the first layer spans several pictures, so all windows are computed in one pass.

        Args:
            crops: n of uint8 (224, 224, 3) in blue, green, red, 25 a second; n of at least 5.

        Returns:
            float32 (n - 4, 1024).
        """
        pictures = self._torch.from_numpy(np.stack(crops)).to(self._device).float()
        with self._torch.inference_mode():
            output = self._net["netcnnlip"](pictures.permute(3, 0, 1, 2)[None])
            output = self._net["netfclip"](output[0, :, :, 0, 0].T)
        embeddings: Embeddings = output.cpu().numpy()
        return embeddings

    def embed_sounds(self, coefficients: npt.NDArray[np.float32]) -> Embeddings:
        """Embeddings of the windows of a sound, 25 a second.

        Args:
            coefficients: (m, 13): MFCC, 100 a second; m of at least 20.

        Returns:
            float32 (k, 1024), for the windows that begin at every fourth step and end within the sound.
        """
        torch = self._torch
        starts = range(0, len(coefficients) - STEPS + 1, STEPS // WINDOW)
        windows = [coefficients[start : start + STEPS].T for start in starts]
        parts: list[Embeddings] = []
        with torch.inference_mode():
            for begin in range(0, len(windows), _BATCH):
                batch = np.stack(windows[begin : begin + _BATCH])[:, None]
                output = self._net["netcnnaud"](torch.from_numpy(batch).to(self._device))
                parts.append(self._net["netfcaud"](output[:, :, 0, 0]).cpu().numpy())
        return np.concatenate(parts)
