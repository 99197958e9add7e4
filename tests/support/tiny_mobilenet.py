"""A narrow MobileNetV2 with random numbers in the form of nsfwjs' files, and a slow reference for it."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.signal import correlate2d

from theval_datasets.extraction.weights import known

N_CLASSES = 5
HALVING = (1, 3, 6, 13)
VALUES = known("nsfwjs").path
LAYERS = known("nsfwjs-layers").path


def shapes(width: int = 4, inner: int = 6) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a network whose every block has `width` channels outside and `inner` inside."""
    found: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, norm: str, *shape: int, kind: str = "kernel") -> None:
        found[f"{name}/{kind}"] = shape
        channels = shape[2] if kind == "depthwise_kernel" else shape[3]
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            found[f"{norm}/{part}"] = (channels,)

    convolution("Conv1", "bn_Conv1", 3, 3, 3, width)
    for i in range(17):
        name = f"block_{i}" if i else "expanded_conv"
        inside = inner if i else width
        if i:
            convolution(f"{name}_expand", f"{name}_expand_BN", 1, 1, width, inner)
        convolution(
            f"{name}_depthwise", f"{name}_depthwise_BN", 3, 3, inside, 1, kind="depthwise_kernel"
        )
        convolution(f"{name}_project", f"{name}_project_BN", 1, 1, inside, width)
    convolution("Conv_1", "Conv_1_bn", 1, 1, width, 8)
    for number, (rows, columns) in enumerate(((8, 7), (7, 6), (6, N_CLASSES)), 1):
        found[f"dense_{number}/kernel"] = (rows, columns)
        found[f"dense_{number}/bias"] = (columns,)
    return dict(sorted(found.items()))


def random_tensors(seed: int = 0) -> dict[str, tuple[np.ndarray, float, float]]:
    """Bytes, minimum and scale of each tensor."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes().items():
        # Sizes with which differences between pictures neither vanish nor explode in seventeen blocks.
        layer, _, part = name.rpartition("/")
        low, high = (-0.5, 0.5)
        if "dense" in layer or "kernel" in part:
            low, high = (-0.8, 0.8)
        elif part == "moving_variance":
            low, high = (0.5, 1.5)
        elif part == "gamma":
            low, high = (0.2, 0.8) if "project" in layer else (1.0, 2.0)
        scale = float(np.float32((high - low) / 255))
        found[name] = (rng.integers(0, 256, shape, np.uint8), low, scale)
    return found


def write(models: Path, tensors: dict[str, tuple[np.ndarray, float, float]] | None = None) -> Path:
    """Write both files below a folder of weights; return the one of the values."""
    tensors = random_tensors() if tensors is None else tensors
    entries = ",".join(
        f'{{name:"{name}",shape:[{",".join(map(str, content.shape))}],dtype:"float32",'
        f'quantization:{{min:{_number(low)},scale:{_number(scale)},dtype:"uint8"}}}}'
        for name, (content, low, scale) in tensors.items()
    )
    topology = 'modelTopology:{keras_version:"2.2.4",layers:[{name:"input_1",inbound_nodes:[]}]}'
    manifest = f'weightsManifest:[{{paths:["group1-shard1of1"],weights:[{entries}]}}]'
    content = base64.b64encode(b"".join(c.tobytes() for c, _, _ in tensors.values())).decode()
    values, layers = models / VALUES, models / LAYERS
    values.parent.mkdir(parents=True, exist_ok=True)
    values.write_text(packed(f'"{content}"'))
    layers.write_text(packed(f"{{{topology},{manifest}}}"))
    return values


def packed(exported: str) -> str:
    """A script for browsers that exports something."""
    return (
        f"!function(e){{module.exports=e()}}({{1:[function(e,a,n){{a.exports={exported}}},{{}}]}});"
    )


def _number(value: float) -> str:
    """A number as a minifier writes it."""
    return repr(value).replace("0.", ".", 1) if abs(value) < 1 else f"{value:g}"


def reference(
    tensors: dict[str, tuple[np.ndarray, float, float]], picture: np.ndarray
) -> np.ndarray:
    """Probabilities of the classes of a picture, channel by channel and with nothing folded."""
    w = {name: content * scale + low for name, (content, low, scale) in tensors.items()}

    def norm(x: np.ndarray, name: str, *, end: float | None = 6) -> np.ndarray:
        mean, variance = w[f"{name}/moving_mean"], w[f"{name}/moving_variance"]
        y = (x - mean) / np.sqrt(variance + 0.001) * w[f"{name}/gamma"] + w[f"{name}/beta"]
        return y if end is None else np.clip(y, 0, end)

    def slide(plane: np.ndarray, kernel: np.ndarray, *, halve: bool) -> np.ndarray:
        if not halve:
            return correlate2d(plane, kernel, mode="same")
        return correlate2d(np.pad(plane, ((0, 1), (0, 1))), kernel, mode="valid")[::2, ::2]

    def mixed(x: np.ndarray, name: str) -> np.ndarray:
        return np.einsum("hwc,cd->hwd", x, w[f"{name}/kernel"][0, 0])

    image = Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR)
    x = np.asarray(image) / 255
    kernel = w["Conv1/kernel"]
    planes = [
        sum(slide(x[:, :, c], kernel[:, :, c, d], halve=True) for c in range(3))
        for d in range(kernel.shape[3])
    ]
    x = norm(np.stack(planes, axis=2), "bn_Conv1")
    for i in range(17):
        name = f"block_{i}" if i else "expanded_conv"
        y = norm(mixed(x, f"{name}_expand"), f"{name}_expand_BN") if i else x
        kernel = w[f"{name}_depthwise/depthwise_kernel"]
        halve = i in HALVING
        planes = [slide(y[:, :, c], kernel[:, :, c, 0], halve=halve) for c in range(y.shape[2])]
        y = norm(np.stack(planes, axis=2), f"{name}_depthwise_BN")
        y = norm(mixed(y, f"{name}_project"), f"{name}_project_BN", end=None)
        x = x + y if y.shape == x.shape else y
    x = norm(mixed(x, "Conv_1"), "Conv_1_bn").mean(axis=(0, 1))
    for i in (1, 2):
        x = np.maximum(x @ w[f"dense_{i}/kernel"] + w[f"dense_{i}/bias"], 0)
    odds = np.exp(x @ w["dense_3/kernel"] + w["dense_3/bias"])
    return odds / odds.sum()
