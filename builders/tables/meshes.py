"""Sequences of meshes as glb: Wavefront OBJ files of each video, one per frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.archives import ReleaseFile, files_of
from theval_datasets.utils.optional import require

from ..base.builder import TableConfig
from ..base.fields import CLIP_ID, FILE, INT, Field

EXTRA: Final = "mesh"
_NUMBER: Final = re.compile(r"(\d+)$")
_LARGEST: Final = 64 << 20

MESH_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("frame", INT, "Position in the sequence.", "", 0, origin="meshes", required=True),
    Field("mesh", FILE, "Vertices and faces as glb.", origin="meshes", required=True),
    Field("vertices", INT, "Number of vertices.", "", 1, origin="meshes", required=True),
    Field("faces", INT, "Number of triangles.", "", 1, origin="meshes", required=True),
)  # fmt: skip
MESH_CONFIG: Final = TableConfig(
    name="mesh",
    description="One row per frame of a mesh sequence, as glb.",
    rows_per_table=16,
    key=("clip_id", "frame"),
    reader="""\
row = rows[0]  # datasets 5 decodes: rows.cast_column("mesh", datasets.Mesh())
with open("frame.glb", "wb") as file:
    file.write(row["mesh"]["bytes"])
""",
)


def find_meshes(place: Path) -> dict[str, list[ReleaseFile]]:
    """OBJ files by video, in order: ``NAME/FRAME.obj`` below a folder or in a zip.

    Raises:
        InputError: For a file outside a video's folder, or without a number.
    """
    sequences: dict[str, list[tuple[int, ReleaseFile]]] = {}
    for file in files_of(place, (".obj",)):
        folder, number = PurePosixPath(file.name).parent.name, _NUMBER.search(file.stem)
        if not folder or number is None:
            raise InputError(f"{file.name}: expected VIDEO/FRAME.obj with a number as frame")
        sequences.setdefault(folder, []).append((int(number[1]), file))
    for name, files in sequences.items():
        if len({number for number, _ in files}) != len(files):
            raise InputError(f"{name}: two meshes have the same number")
    return {
        name: [f for _, f in sorted(files, key=lambda pair: pair[0])]
        for name, files in sequences.items()
    }


def mesh_rows(name: str, files: list[ReleaseFile]) -> Iterator[dict[str, Any]]:
    """Rows of one video.

    Raises:
        MissingExtraError: Without trimesh.
        InputError: For a file that is not a mesh.
    """
    trimesh = require("trimesh", extra=EXTRA)
    for place, file in enumerate(files):
        vertices, triangles = parse_obj(file.read(_LARGEST), file.name)
        mesh = trimesh.Trimesh(vertices=vertices, faces=triangles, process=False)
        yield {
            "clip_id": name,
            "frame": place,
            "mesh": {"bytes": mesh.export(file_type="glb"), "path": f"{name}-{place:05d}.glb"},
            "vertices": len(vertices),
            "faces": len(triangles),
        }


def parse_obj(data: bytes, name: str) -> tuple[list[list[float]], list[list[int]]]:
    """Vertices and triangles; materials and other files that an OBJ may name are never opened.

    Raises:
        InputError: If the file is malformed.

    Examples:
        >>> lines = [b"v 0 0 0", b"v 1 0 0", b"v 0 1 0", b"f 1 2 3"]
        >>> vertices, triangles = parse_obj(bytes([10]).join(lines), "face.obj")
        >>> triangles
        [[0, 1, 2]]
    """
    vertices: list[list[float]] = []
    triangles: list[list[int]] = []
    try:
        for line in data.decode("utf-8").splitlines():
            kind, *parts = line.split() or [""]
            if kind == "v":
                vertices.append([float(part) for part in parts[:3]])
                if len(parts) < 3:
                    raise ValueError("a vertex with fewer than three numbers")
            elif kind == "f":
                corners = [int(part.partition("/")[0]) for part in parts]
                at = [i - 1 if i > 0 else len(vertices) + i for i in corners]
                if len(at) < 3 or not all(0 <= i < len(vertices) for i in at):
                    raise ValueError("a face with missing vertices")
                triangles += [[at[0], at[k], at[k + 1]] for k in range(1, len(at) - 1)]
    except ValueError as error:
        raise InputError(f"{name} is not a Wavefront OBJ file: {error}") from None
    if not vertices or not triangles:
        raise InputError(f"{name} holds no mesh")
    return vertices, triangles
