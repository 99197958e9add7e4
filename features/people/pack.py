"""InsightFace model packs: location, roles of their files, and inference.

A pack is a folder ``insightface/models/NAME`` of ONNX files below `THEVAL_MODELS` or the user's cache.
The role of a file follows from its inputs and outputs, as in insightface itself.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import Weights, content_hash, find, folders, known, need
from theval_datasets.utils.optional import require

_log = logging.getLogger(__name__)

DEFAULT: Final = "buffalo_l"
_FOLDER: Final = "insightface/models"
_CROP: Final = 112
# Eyes, nose and corners of the mouth in ArcFace's aligned crop of 112 × 112 pixels.
_TEMPLATE: Final = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pack:
    """The used files of a pack.

    Attributes:
        name: Name of its folder.
        detector: File of SCRFD.
        recogniser: File of ArcFace or a similar model; None if the pack has none.
    """

    name: str
    detector: Path
    recogniser: Path | None

    def identity(self) -> str:
        """Identity for cache keys: the hashes of both files."""
        recogniser = content_hash(self.recogniser) if self.recogniser else "none"
        return f"scrfd-{content_hash(self.detector)}+arcface-{recogniser}"


def weights_of(name: str | None = None) -> Weights:
    """Weights of a pack by the name of its folder; None for buffalo_l."""
    if name in (None, DEFAULT):
        return known(DEFAULT)
    other = known("insightface-pack")
    return replace(
        other,
        name=name,
        path=f"{_FOLDER}/{name}",
        instructions=f"put its ONNX files into FOLDER, or run `theval-data models fetch {DEFAULT}`",
    )


def find_pack(name: str | None = None) -> Pack | None:
    """A pack on this machine, without downloads.

    Args:
        name: Name of its folder; None for buffalo_l, or else the first other installed pack.

    Returns:
        None if there is no pack with a detector.
    """
    for root in (folder / _FOLDER for folder in folders()):
        others = sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
        wanted = [name] if name else [DEFAULT, *(other for other in others if other != DEFAULT)]
        for folder in (root / each for each in wanted):
            pack = _read(folder) if folder.is_dir() else None
            if pack is not None:
                return pack
    return None


def need_pack(name: str | None = None) -> Pack:
    """A pack on this machine; see `find_pack`.

    Raises:
        WeightsMissingError: There is no such pack.
    """
    pack = find_pack(name)
    if pack is None:
        weights = weights_of(name)
        need(weights)
        raise WeightsMissingError(
            f"expected an InsightFace pack with a detector in {find(weights)}, but none of its ONNX "
            f"files is a detector. Get the default pack with `theval-data models fetch {DEFAULT}`"
        )
    return pack


def need_recogniser(name: str | None = None) -> Path:
    """The recogniser of a pack that is on this machine.

    Raises:
        WeightsMissingError: There is no pack, or it has no recogniser.
    """
    pack = need_pack(name)
    if pack.recogniser is None:
        raise WeightsMissingError(f"the InsightFace pack {pack.name} has no recogniser of faces")
    return pack.recogniser


def _read(folder: Path) -> Pack | None:
    detector = recogniser = None
    for file in sorted(folder.glob("*.onnx")):
        status = file.stat()
        role = _role(str(file), status.st_size, status.st_mtime_ns)
        if role == "detector" and detector is None:
            detector = file
        elif role == "recogniser" and recogniser is None:
            recogniser = file
    return Pack(folder.name, detector, recogniser) if detector else None


@functools.cache
def _role(path: str, size: int, modified: int) -> str | None:  # noqa: ARG001  # part of the key
    """Role of an ONNX file, by the shapes of its inputs and outputs; None for other models."""
    onnx = require("onnx", extra="faces")
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (DecodeError, OSError, ValueError) as error:
        _log.warning("%s is not an ONNX model: %s", path, error)
        return None
    own = {weight.name for weight in graph.initializer}
    inputs = [given for given in graph.input if given.name not in own]
    if len(graph.output) >= 6:
        return "detector"
    sides = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim[2:4]] if inputs else []
    square = len(sides) == 2 and sides[0] == sides[1]
    if len(inputs) == 1 and len(graph.output) == 1 and square and sides[0] in (112, 128):
        return "recogniser"
    return None


def load_model(file: Path) -> Any:
    """Load a model of a pack through insightface, on one thread of the CPU."""
    zoo = require("insightface.model_zoo", extra="faces")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it keeps the largest sum of buffers there ever was
    return zoo.get_model(str(file), providers=["CPUExecutionProvider"], sess_options=options)


class Recogniser:
    """Computes embeddings of faces.

    Args:
        file: ONNX file of the model.
    """

    def __init__(self, file: Path) -> None:
        self._model = load_model(file)

    def embed(self, frame: Pixels, points: Points) -> npt.NDArray[np.float32]:
        """Embedding of a face.

        Args:
            frame: uint8 (height, width, 3) in blue, green, red.
            points: (5, 2): eyes, nose, corners of the mouth in pixels.

        Returns:
            (dim,), of length 1.
        """
        crop = aligned(frame, points, int(self._model.input_size[0]))
        result = np.asarray(self._model.get_feat(crop), dtype=np.float64).ravel()
        return (result / np.linalg.norm(result)).astype(np.float32)


def aligned(frame: Pixels, points: Points, side: int = _CROP) -> Pixels:
    """A face aligned so that its five points match ArcFace's template.

    Args:
        frame: uint8 (height, width, 3) in blue, green, red.
        points: (5, 2): eyes, nose, corners of the mouth in pixels.
        side: Side of the crop in pixels: a multiple of 112 or of 128.

    Returns:
        uint8, (side, side, 3).

    Examples:
        >>> points = np.array(_TEMPLATE)
        >>> aligned(np.zeros((112, 112, 3), np.uint8), points).shape
        (112, 112, 3)
    """
    import cv2

    template = np.array(_TEMPLATE)
    if side % _CROP:
        template = (template + np.array((8.0, 0.0))) * (side / 128.0)
    else:
        template *= side / _CROP
    matrix = similarity_transform(points.astype(np.float64), template)
    crop: Pixels = cv2.warpAffine(frame, matrix, (side, side), borderValue=0.0)
    return crop


def similarity_transform(
    source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Rotation, uniform scale and shift that map `source` to `target` with least squared error.

    The solution is in closed form: a similarity of the plane is a complex factor and a shift.

    Args:
        source: (n, 2): points.
        target: (n, 2): corresponding points.

    Returns:
        (2, 3): matrix for `cv2.warpAffine`.

    Examples:
        >>> square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])
        >>> (similarity_transform(square, 2 * square + 3).round(9) + 0.0).tolist()
        [[2.0, 0.0, 3.0], [0.0, 2.0, 3.0]]
    """
    z = source @ np.array((1.0, 1.0j))
    w = target @ np.array((1.0, 1.0j))
    centred = z - z.mean()
    factor = (centred.conj() @ (w - w.mean())) / (centred.conj() @ centred).real
    shift = w.mean() - factor * z.mean()
    return np.array(
        (
            (factor.real, -factor.imag, shift.real),
            (factor.imag, factor.real, shift.imag),
        )
    )


def similarity(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> Any:
    """Cosine similarities of embeddings of length 1.

    Args:
        a: (n, dim): embeddings.
        b: (m, dim): embeddings.

    Returns:
        (n, m): similarities, -1 to 1.

    Examples:
        >>> round(float(similarity(np.array([1.0, 0.0]), np.array([0.6, 0.8]))), 3)
        0.6
    """
    return np.clip(a.astype(np.float64) @ b.astype(np.float64).T, -1.0, 1.0)


def mean_embedding(embeddings: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Normalised mean of embeddings.

    Args:
        embeddings: (dim,) each, of length 1.

    Returns:
        (dim,), of length 1.

    Examples:
        >>> mean_embedding([np.array([1, 0], np.float32), np.array([0, 1], np.float32)]).round(3).tolist()
        [0.7070000171661377, 0.7070000171661377]
    """
    mean = np.mean(np.stack(embeddings).astype(np.float64), axis=0)
    unit: npt.NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit
