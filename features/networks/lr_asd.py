"""LR-ASD: scores for each picture of a face whether that person is speaking.

The network is built here as an ONNX graph from the authors' checkpoint, so that onnxruntime runs it and PyTorch
is not needed. Source: Liao et al., LR-ASD: Lightweight and Robust Network for Active Speaker Detection,
International Journal of Computer Vision, 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.utils.optional import require

from ..formulas.mfcc import STEP, mfcc
from .torch_files import Tensor, read_tensors

FPS: Final = 25
"""Number of pictures a second that the network expects."""
SIDE: Final = 112
"""Side of the network's pictures in pixels."""
CONTEXT: Final = 9
"""Number of pictures before, and after, a picture on which its features depend."""
_ROWS: Final = 4
"""Number of rows of cepstral coefficients per picture."""
_BATCH: Final = 1500
"""Number of pictures whose sound is processed at once."""
_EXTRA: Final = "faces"
_OPSET: Final = 17
_IR: Final = 10
_MEAN: Final = 0.4161
_STD: Final = 0.1688
_EPSILON: Final = 1e-3
_CHANNELS: Final = 128
_BLOCKS: Final = ("block1", "block2", "block3")

Floats = npt.NDArray[np.float32]


class LrAsd:
    """The network, on one thread of the CPU.

    Args:
        file: The authors' checkpoint.

    Raises:
        ValueError: The file is not a checkpoint of LR-ASD.
    """

    def __init__(self, file: Path) -> None:
        state = read_tensors(file)
        try:
            graphs = (_visual_encoder(state), _audio_encoder(state), _detector(state))
        except KeyError as missing:
            raise ValueError(
                f"expected {file} to be a checkpoint of LR-ASD; it has no {missing}"
            ) from None
        self._visual, self._audio, self._detector = map(_session, graphs)

    def embed_pictures(self, crops: npt.NDArray[np.uint8]) -> Floats:
        """Features of pictures.

        Args:
            crops: (n, 112, 112): consecutive grey pictures of one face, 25 a second.

        Returns:
            (n, 128): a row depends on the nine pictures before it and the nine after it.
        """
        values = (crops[:, np.newaxis].astype(np.float32) / 255 - _MEAN) / _STD
        return self._run(self._visual, x=values)

    def embed_sound(self, coefficients: Floats) -> Floats:
        """Features of sound.

        Args:
            coefficients: (4 n, 13): consecutive cepstral coefficients, 100 rows a second (`formulas.mfcc`).

        Returns:
            (n, 128): a row depends on the six rows before it and the six after it.
        """
        return self._run(self._audio, x=coefficients.T[np.newaxis, np.newaxis])

    def score(self, audio: Floats, video: Floats) -> Floats:
        """Scores of consecutive pictures, for several sequences of the same length.

        Args:
            audio: (sequences, n, 128): features of sound.
            video: (sequences, n, 128): features of pictures.

        Returns:
            Scores, (sequences, n): above 0 where the network takes the person for speaking. A score depends
            on the whole sequence.
        """
        both = np.concatenate((audio, video), axis=2).transpose(1, 0, 2)
        return np.ascontiguousarray(self._run(self._detector, x=both).T)

    def embed_samples(self, samples: Floats, begin: int, count: int) -> Floats:
        """Features of sound during consecutive pictures.

        Args:
            samples: (n,): mono audio at 16 kHz, in -1 to 1.
            begin: Index of the sample at which the first picture begins; may be negative.
            count: Number of pictures.

        Returns:
            Features, (count, 128); the sound is padded with silence.
        """
        parts = [np.zeros((0, _CHANNELS), np.float32)]
        for first in range(0, count, _BATCH):
            low, high = max(0, first - CONTEXT), min(count, first + _BATCH + CONTEXT)
            rows = mfcc(samples, begin + low * _ROWS * STEP, (high - low) * _ROWS)
            parts.append(self.embed_sound(rows)[first - low : min(count, first + _BATCH) - low])
        return np.concatenate(parts)

    def mean_scores(
        self, audio: Floats, video: Floats, windows: Sequence[float]
    ) -> npt.NDArray[np.float64]:
        """Scores of consecutive pictures: means over pieces of several lengths.

        Args:
            audio: (n, 128): features of sound.
            video: (n, 128): features of pictures.
            windows: Lengths of the pieces in seconds, at least one picture each; the last piece is shorter.

        Returns:
            (n,): above 0 where the network takes the person for speaking.
        """
        total = np.zeros(len(video))
        for seconds in windows:
            length = round(seconds * FPS)
            whole = len(video) // length * length
            if whole:
                pieces = (x[:whole].reshape(-1, length, _CHANNELS) for x in (audio, video))
                total[:whole] += self.score(*pieces).ravel()
            if whole < len(video):
                total[whole:] += self.score(audio[None, whole:], video[None, whole:])[0]
        return total / len(windows)

    @staticmethod
    def _run(session: Any, **inputs: Floats) -> Floats:
        result: Floats = session.run(None, {n: np.ascontiguousarray(v) for n, v in inputs.items()})[
            0
        ]
        return result


class _Graph:
    """An ONNX graph that is a chain of nodes, each of which reads the output of the one before.

    Args:
        state: Tensors of the checkpoint by name.
        shape: Shape of the input `x`; None for axes of any length.
    """

    def __init__(self, state: Mapping[str, Tensor], shape: Sequence[int | None]) -> None:
        self._onnx = require("onnx", extra=_EXTRA)
        self._state = state
        self._shape = shape
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.last = "x"

    def add(self, kind: str, *further: Tensor | str, **attributes: Any) -> str:
        """Add a node that reads the last output and given inputs; return the name of its output."""
        inputs = [self.last, *(self._name(value) for value in further)]
        self.last = f"{kind}_{len(self._nodes)}"
        node = self._onnx.helper.make_node(kind, inputs, [self.last], **attributes)
        self._nodes.append(node)
        return self.last

    def _name(self, value: Tensor | str) -> str:
        if isinstance(value, str):
            return value
        name = f"constant_{len(self._constants)}"
        self._constants.append(
            self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        )
        return name

    def convolve(self, name: str, norm: str, *, stride: int = 1) -> None:
        """Add a convolution over two axes, with its normalisation folded in, and a rectifier.

        Apart from the stride, the shape of the input is kept. An axis of length 1 in the middle of the
        kernel's axes is left out.
        """
        scale, shift = self._norm(norm)
        weight = self._state[f"{name}.weight"]
        kernel = [size for size in weight.shape[2:] if size > 1 or weight.ndim == 4]
        kernel = kernel if len(kernel) == 2 else [*kernel, 1]
        weight = (weight * scale.reshape(-1, *[1] * (weight.ndim - 1))).reshape(
            *weight.shape[:2], *kernel
        )
        pads = [size // 2 for size in kernel] * 2
        self.add("Conv", weight, shift, kernel_shape=kernel, pads=pads, strides=[stride] * 2)
        self.add("Relu")

    def attend(self, name: str) -> None:
        """Weight the channels, the last axis, by a gate computed from them."""
        scale, shift = self._norm(f"{name}.bn")
        read = self.last
        weight = self._state[f"{name}.attention.weight"][:, :, 0] * scale[:, None]
        self.add("MatMul", weight.T)
        self.add("Add", shift)
        self.add("Sigmoid")
        self.add("Mul", read)

    def _norm(self, name: str) -> tuple[Tensor, Tensor]:
        """Factor and summand equivalent to a normalisation after training."""
        mean, variance = self._state[f"{name}.running_mean"], self._state[f"{name}.running_var"]
        scale = self._state[f"{name}.weight"] / np.sqrt(variance + np.float32(_EPSILON))
        return scale, self._state[f"{name}.bias"] - mean * scale

    def model(self) -> bytes:
        """The graph as the bytes of an ONNX file."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "lr_asd",
            [helper.make_tensor_value_info("x", kind, self._shape)],
            [helper.make_tensor_value_info(self.last, kind, None)],
            self._constants,
        )
        opset = [helper.make_opsetid("", _OPSET)]
        content: bytes = helper.make_model(
            graph, opset_imports=opset, ir_version=_IR
        ).SerializeToString()
        return content


def _visual_encoder(state: Mapping[str, Tensor]) -> bytes:
    """Spatial convolutions in each picture, temporal ones at each position; (n, 128)."""
    graph = _Graph(state, (None, 1, SIDE, SIDE))
    side = SIDE // 2
    for i, block in enumerate(_BLOCKS):
        name = f"model.visualEncoder.{block}"
        graph.convolve(f"{name}.s_1", f"{name}.s_norm_1", stride=1 if i else 2)
        graph.convolve(f"{name}.s_2", f"{name}.s_norm_2")
        # (pictures, channels, rows, columns) to (1, channels, pictures, places) and back.
        channels = len(state[f"{name}.t_1.weight"])
        graph.add("Reshape", np.array((-1, channels, side * side), np.int64))
        graph.add("Transpose", perm=[1, 0, 2])
        graph.add("Unsqueeze", np.array([0], np.int64))
        graph.convolve(f"{name}.t_1", f"{name}.t_norm_1")
        graph.convolve(f"{name}.t_2", f"{name}.t_norm_2")
        graph.add("Squeeze", np.array([0], np.int64))
        graph.add("Transpose", perm=[1, 0, 2])
        graph.add("Reshape", np.array((-1, channels, side, side), np.int64))
        if block != _BLOCKS[-1]:
            graph.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
            side //= 2
    graph.add("GlobalMaxPool")
    graph.add("Reshape", np.array((-1, _CHANNELS), np.int64))
    return graph.model()


def _audio_encoder(state: Mapping[str, Tensor]) -> bytes:
    """Convolutions over coefficients and over time, halving the time twice; (n, 128)."""
    graph = _Graph(state, (1, 1, None, None))
    for block in _BLOCKS:
        name = f"model.audioEncoder.{block}"
        for layer in ("m", "t"):
            for i in (1, 2):
                graph.convolve(f"{name}.{layer}_{i}", f"{name}.{layer}_norm_{i}")
        if block != _BLOCKS[-1]:
            graph.add("MaxPool", kernel_shape=[1, 3], strides=[1, 2], pads=[0, 1, 0, 1])
    graph.add("ReduceMean", axes=[0, 2], keepdims=0)
    graph.add("Transpose", perm=[1, 0])
    return graph.model()


def _detector(state: Mapping[str, Tensor]) -> bytes:
    """A gate over both features, a bidirectional recurrent layer, a gate, a score; (n, sequences)."""
    graph = _Graph(state, (None, None, 2 * _CHANNELS))
    graph.attend("model.fusion")
    layers = [f"model.detector.gru_{way}" for way in ("forward", "backward")]
    inner, recurrent = (
        np.stack([_gates(state[f"{layer}.weight_{kind}_l0"]) for layer in layers])
        for kind in ("ih", "hh")
    )
    bias = np.stack(
        [
            np.concatenate([_gates(state[f"{layer}.bias_{k}_l0"]) for k in ("ih", "hh")])
            for layer in layers
        ]
    )
    graph.add(
        "GRU", inner, recurrent, bias, direction="bidirectional", linear_before_reset=1,
        hidden_size=recurrent.shape[-1],
    )  # fmt: skip
    graph.add("Transpose", perm=[0, 2, 1, 3])
    graph.add("Reshape", np.array((0, 0, _CHANNELS), np.int64))
    graph.attend("model.detector.attention")
    graph.add("MatMul", state["lossAV.FC.weight"][1])
    graph.add("Add", state["lossAV.FC.bias"][1:2])
    return graph.model()


def _gates(rows: Tensor) -> Tensor:
    """A layer's gates (reset, update, new) in ONNX's order: update, reset, new."""
    reset, update, new = np.split(rows, 3)
    return np.concatenate((update, reset, new))


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it keeps the largest sum of buffers there ever was
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
