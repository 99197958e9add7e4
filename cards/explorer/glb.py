"""Reader of vertices and triangles in glTF's binary form, limited to what the explorer draws."""

from __future__ import annotations

import json
import math
import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_TYPES: Final = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS: Final = {"SCALAR": 1, "VEC3": 3}
_TRIANGLES: Final = 4
_IDENTITY: Final = [float(i % 5 == 0) for i in range(16)]


def read_glb(data: bytes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
    """The triangles of a glb file, all its meshes together.

    Args:
        data: The file. Nothing that it refers to is opened.

    Returns:
        Positions, (n, 3), in the file's own unit; triangles as places in it, (m, 3).

    Raises:
        ValueError: It is damaged, or holds what is not drawn: moved nodes, compressed or sparse
            numbers, or no triangles.
    """
    try:
        document, blob = _chunks(data)
        if any(_moved(node) for node in document.get("nodes", ())):
            raise ValueError("its parts are moved by nodes")
        vertices: list[npt.NDArray[np.float32]] = []
        triangles: list[npt.NDArray[np.uint32]] = []
        before = 0
        for mesh in document["meshes"]:
            for part in mesh["primitives"]:
                if part.get("mode", _TRIANGLES) != _TRIANGLES or part.get("extensions"):
                    continue
                points = _numbers(document, blob, part["attributes"]["POSITION"], "VEC3")
                if points.dtype != np.float32 or not np.isfinite(points).all():
                    raise ValueError("its positions are not finite 32-bit floats")
                corners = (
                    _numbers(document, blob, part["indices"], "SCALAR").reshape(-1)
                    if "indices" in part
                    else np.arange(len(points), dtype=np.uint32)
                )
                if corners.dtype.kind != "u" or len(corners) % 3 or (corners >= len(points)).any():
                    raise ValueError("its triangles refer to vertices that do not exist")
                vertices.append(points)
                triangles.append((corners.astype(np.uint32) + np.uint32(before)).reshape(-1, 3))
                before += len(points)
        if not sum(map(len, triangles)):
            raise ValueError("it has no triangles")
        return np.concatenate(vertices), np.concatenate(triangles)
    except (KeyError, IndexError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise ValueError(f"it is damaged: {error!r}") from None


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, length = struct.unpack_from("<4sII", data)
    if magic != b"glTF" or version != 2 or length > len(data):
        raise ValueError("it is not a complete glb file of version 2")
    chunks: dict[bytes, bytes] = {}
    place = 12
    while place < length:
        size, kind = struct.unpack_from("<I4s", data, place)
        chunks.setdefault(kind, data[place + 8 : place + 8 + size])
        place += 8 + size
    return json.loads(chunks[b"JSON"]), chunks.get(b"BIN\0", b"")


def _numbers(document: dict[str, Any], blob: bytes, place: int, kind: str) -> npt.NDArray[Any]:
    """The numbers of an accessor, (n, 1) or (n, 3)."""
    about = document["accessors"][place]
    view = document["bufferViews"][about["bufferView"]]
    dtype, width = np.dtype(_TYPES[about["componentType"]]), _WIDTHS[kind]
    if about["type"] != kind or "sparse" in about or view["buffer"] != 0:
        raise ValueError("its numbers are stored in an unsupported form")
    if "uri" in document["buffers"][0] or view.get("extensions"):
        raise ValueError("its numbers lie outside the file, or are compressed")
    count, begin = int(about["count"]), int(about.get("byteOffset", 0))
    size = dtype.itemsize * width
    step = int(view.get("byteStride", size))
    first = int(view.get("byteOffset", 0))
    length = int(view["byteLength"])
    if min(count, begin, first, length) < 0 or step < size or first + length > len(blob):
        raise ValueError("its numbers lie outside of it")
    if count and begin + (count - 1) * step + size > length:
        raise ValueError("its numbers lie outside of it")
    return np.ndarray(
        (count, width), dtype, blob, first + begin, strides=(step, dtype.itemsize)
    ).copy()


def _moved(node: dict[str, Any]) -> bool:
    """Whether a node changes where its mesh lies."""
    rest = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
    rest["matrix"] = _IDENTITY  # type: ignore[assignment]
    return any(
        not all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(node[key], still, strict=True))
        for key, still in rest.items()
        if key in node
    )
