"""A built dataset written by hand: any tables, with the `info.json` that describes them."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from theval_datasets.manifest.info import (
    ColumnInfo,
    ConfigInfo,
    FileInfo,
    Info,
    SplitInfo,
    write_info,
)
from theval_datasets.utils.files import sha256_file

POINTS = 478
TEXTS = pa.list_(pa.string())
ORIGINS = {"lip_sync": "theval_signals", "speech_ratio": "vad", "mos": "ratings", "video": "media"}


def write_small_release(
    folder: Path, configs: Mapping[str, Mapping[str, pa.Table]], *, name: str = "theval/small"
) -> Path:
    """Write a dataset.

    Args:
        folder: Where to.
        configs: Config to split to table.
        name: Of the dataset.
    """
    infos, files = {}, {}
    for config, splits in configs.items():
        split_infos = {}
        for split, table in splits.items():
            path = f"{config}/{split}-00000-of-00001.parquet"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / path)
            size = (folder / path).stat().st_size
            files[path] = FileInfo(sha256_file(folder / path), size)
            split_infos[split] = SplitInfo(table.num_rows, size, size, (path,))
        first = next(iter(splits.values()))
        columns = tuple(
            ColumnInfo(column, "", f"Meaning of {column}.", origin=ORIGINS.get(column, "manifest"))
            for column in first.column_names
        )
        infos[config] = ConfigInfo(f"The table {config}.", columns, split_infos)
    rows = next(iter(infos.values())).rows
    write_info(folder, Info(name, "0.1.0", "0.1.0", infos, files, "", counts={"clips": rows}))
    return folder


def features(n: int, clip_ids: Sequence[str] | None = None) -> pa.Table:
    """Rows of `features`: every fifth lip_sync is null, with the reason in `missing`."""
    ids = list(clip_ids) if clip_ids else [f"clip-{i}" for i in range(n)]
    silent = [i % 5 == 4 for i in range(n)]
    return pa.table(
        {
            "clip_id": ids,
            "sha256": [f"{i:064x}" for i in range(n)],
            "duration": [2.0 + i % 7 for i in range(n)],
            "generator": [f"method {'abc'[i % 3]}" for i in range(n)],
            "mos": [1 + (i * 37 % 400) / 100 for i in range(n)],
            "speech_ratio": [(i * 13 % 100) / 100 for i in range(n)],
            "lip_sync": pa.array([None if s else (i % 97) / 97 for i, s in enumerate(silent)]),
            "distortions": pa.array(
                [["blur", "flicker"] if i % 2 else [] for i in range(n)], TEXTS
            ),
            "arcface": pa.array([[0.1] * 4] * n, pa.list_(pa.float32())),
            "missing": pa.array([["theval_signals:no-audio"] if s else [] for s in silent], TEXTS),
        }
    )


def landmarks(clip_ids: Sequence[str], frames: int = 50, fps: float = 25.0) -> pa.Table:
    """Rows of `landmarks`: a grid of points that moves to the right, without a face in frame 10."""
    time = np.arange(frames) / fps
    face = np.arange(frames) != 10
    grid = np.stack([np.arange(POINTS) % 22 / 44, np.arange(POINTS) // 22 / 44], axis=1)
    shift = np.linspace(0.1, 0.4, frames)[:, None]
    points = np.zeros((frames, POINTS, 3))
    points[..., 0] = grid[:, 0] + shift
    points[..., 1] = grid[:, 1] + 0.2
    mesh = (points[face] * 16384).round().astype(np.int16).ravel()
    on_faces = [float(v) if f else None for v, f in zip(np.sin(time * 3), face, strict=True)]
    n = len(clip_ids)
    columns: dict[str, Any] = {
        "clip_id": list(clip_ids),
        "width": [160] * n,
        "height": [120] * n,
        "scale": [1 / 16384] * n,
        "time": [time.tolist()] * n,
        "face": [face.tolist()] * n,
        "mesh": pa.array([mesh] * n, pa.list_(pa.int16())),
        **{k: [on_faces] * n for k in ("pitch", "yaw", "roll", "openness")},
        "loudness": [[0.1] * frames] * n,
        "speech_probability": [[0.9] * frames] * n,
        "speech": [[0.5 < t < 1 for t in time]] * n,
        "track": [0] * n,
        "person": [0] * n,
    }
    return pa.table(columns)


def motion(clip_ids: Sequence[str], frames: int = 30) -> pa.Table:
    """Rows of `motion`: the jaw opens by one degree a frame."""
    jaw = np.zeros((frames, 3), np.float32)
    jaw[:, 0] = np.radians(np.arange(frames))
    n, flat = len(clip_ids), pa.list_(pa.float32())
    return pa.table(
        {
            "clip_id": list(clip_ids),
            "frames": [frames] * n,
            "expression_dim": [50] * n,
            "expression": pa.array([np.ones(frames * 50, np.float32)] * n, flat),
            "jaw": pa.array([jaw.ravel()] * n, flat),
            "pose": pa.array([np.zeros(frames * 3, np.float32)] * n, flat),
        }
    )


def meshes(clip_ids: Sequence[str], frames: int = 20) -> pa.Table:
    """Rows of `mesh`: a tetrahedron that grows."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.uint16)
    rows = [
        {"clip_id": c, "frame": i, "mesh": {"bytes": glb(corners * (1 + i), triangles), "path": "m.glb"}}
        for c in clip_ids
        for i in range(frames)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def glb(points: np.ndarray, triangles: np.ndarray | None = None, **changed: Any) -> bytes:
    """A glb file by hand, as glTF 2.0 defines it.

    Args:
        points: (n, 3) float32.
        triangles: (m, 3) of unsigned integers; None for a file without them.
        changed: Further parts of its JSON.
    """
    kinds = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
    arrays = [points] if triangles is None else [points, triangles.reshape(-1)]
    blob, views, accessors = b"", [], []
    for place, array in enumerate(arrays):
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": array.nbytes})
        accessors.append(
            {"bufferView": place, "componentType": kinds[array.dtype.name], "count": len(array),
             "type": "SCALAR" if place else "VEC3"}
        )  # fmt: skip
        blob += array.tobytes() + b"\0" * (-array.nbytes % 4)
    part = {"attributes": {"POSITION": 0}, **({} if triangles is None else {"indices": 1})}
    document = {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": [part]}],
        "nodes": [{"mesh": 0}],
        "buffers": [{"byteLength": len(blob)}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(document | changed).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(blob), b"BIN\0") + blob
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def leaderboard() -> pa.Table:
    return pa.table(
        {
            "model": ["A", "B", "C"],
            "kind": ["audio", "video", None],
            "final": [0.9123456789, 0.5, 0.7],
            "rank": [1, 3, 2],
        }
    )


def preferences(clip_ids: Sequence[str]) -> pa.Table:
    """Votes on some clips, the last on one that is not there."""
    names = [*clip_ids, "unknown"]
    return pa.table(
        {
            "vote": list(range(len(names))),
            "clip_id": names,
            "left": ["A"] * len(names),
            "right": ["B"] * len(names),
            "winner": ["A", *[None] * (len(names) - 1)],
        }
    )


def ratings(clip_ids: Sequence[str], subjects: int = 6) -> pa.Table:
    rows = [
        {
            "clip_id": c,
            "dimension": "quality",
            "subject": f"s{s}",
            "session": None,
            "score": 1.0 + s % 4,
        }
        for c in clip_ids
        for s in range(subjects)
    ]
    return pa.Table.from_pylist(rows)


def media(videos: Mapping[str, Path]) -> pa.Table:
    """Rows of `media` with the bytes of files."""
    return pa.table(
        {
            "clip_id": list(videos),
            "video": [{"bytes": p.read_bytes(), "path": p.name} for p in videos.values()],
            "poster": [{"bytes": picture((160, 120)), "path": "p.png"}] * len(videos),
        }
    )


def saliency(clip_ids: Sequence[str]) -> pa.Table:
    n = len(clip_ids)
    return pa.table(
        {
            "clip_id": list(clip_ids),
            "image": [{"bytes": picture((96, 32)), "path": "i.png"}] * n,
            "map": [{"bytes": picture((96, 32)), "path": "m.png"}] * n,
            "width": [96] * n,
            "height": [32] * n,
            "fixations": [[4, 8, 20, 60]] * n,
        }
    )


def picture(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(size).save(stream, "PNG")
    return stream.getvalue()
