"""A tiny official release of Gen3DHF: videos that turn, stills, maps and scores, as zips."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

NAMES = [f"seed{i:04d}" for i in range(6)]


def turning_video(path: Path, frames: int = 25, tint: int = 0) -> Path:
    """A video whose grey grows from 0 to 240 while the head, as it were, turns."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=60, options={"crf": "10"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            pixels = np.full((64, 64, 3), round(240 * i / (frames - 1)), np.uint8)
            pixels[:8, :8] = tint
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def shades(picture: bytes) -> list[float]:
    """Mean grey of each of a still's three views."""
    views = np.array(Image.open(io.BytesIO(picture)).convert("L"))
    return [float(views[:, at : at + 512].mean()) for at in (0, 512, 1024)]


def make_release(folder: Path, *, video_zip: str = "video.zip") -> Path:
    """The dataset's repository: stills of the first three videos, maps of the first five."""
    folder.mkdir(parents=True)
    videos = {}
    for i, name in enumerate(NAMES):
        path = turning_video(folder / f"{name}.mp4", tint=30 * i)
        videos[f"{video_zip.removesuffix('.zip')}/{name}.mp4"] = path.read_bytes()
        path.unlink()
    still = png(np.full((512, 1536, 3), 99, np.uint8))
    grey = png(np.arange(64, dtype=np.uint8).reshape(8, 8))
    zipped(folder / video_zip, videos)
    zipped(folder / "image.zip", {f"image/{name}.png": still for name in NAMES[:3]})
    zipped(
        folder / "saliency_map.zip",
        {f"saliency_map/{name}_saliency.png": grey for name in NAMES[:5]},
    )
    mos = {
        name: {"quality_MOS": 40.0 + i, "authenticity_MOS": 50.5 - i}
        for i, name in enumerate(NAMES)
    }
    (folder / "MOS.json").write_text(json.dumps(mos))
    labels = {name: ["Eye Distortions"] for name in NAMES}
    (folder / "distortion_label.json").write_text(json.dumps(labels))
    return folder


def make_labels(folder: Path) -> Path:
    """The code repository's score files, of the same videos with the same scores."""
    for kind in ("numerical", "text"):
        for dimension in ("quality", "authenticity"):
            for part, chosen in (("train", range(5)), ("eval", range(5, 6))):
                entries = [_entry(i, dimension, kind == "numerical") for i in chosen]
                path = folder / "main" / "datasets" / kind / f"{part}_{dimension}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(entries))
    return folder


def _entry(i: int, dimension: str, numeric: bool) -> dict:
    low, high = (40.0, 45.0) if dimension == "quality" else (45.5, 50.5)
    score = 40.0 + i if dimension == "quality" else 50.5 - i
    levels = ("bad", "poor", "fair", "good", "excellent")
    at = (score - low) / (high - low) * 5
    level = "None" if score == low else levels[min(4, int(at - 1e-9))]
    text = f"The {dimension} of the human face in this video is {level}."
    return {
        "messages": [
            {"role": "user", "content": f"<video>Please rate the {dimension}."},
            {"role": "assistant", "content": text + (f" ({score})" if numeric else "")},
        ],
        "videos": f"/home/author/video_RGB/{NAMES[i]}.mp4",
    }
