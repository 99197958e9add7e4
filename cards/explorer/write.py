"""Writes the explorer of a built dataset: pages, rows as scripts, and the media as files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from theval_datasets.errors import InputError
from theval_datasets.extraction.mesh import N_POINTS
from theval_datasets.manifest.info import ConfigInfo, Info, read_info
from theval_datasets.utils.files import atomic_write, inside, remove_inside, safe_name
from theval_datasets.utils.progress import progress

from ..pages import render_page
from .glb import read_glb
from .values import column, described, encoded, numbers, script

SCRIPTS: Final = ("rows.js", "table.js", "plots.js", "mesh.js", "clip.js", "main.js")
PAGE: Final = "index.html"
_ROWS: Final = "data/rows.js"
_SHARD: Final = 64
"""Number of clips whose details are in one file."""
_BATCH: Final = 8
_VIDEOS: Final = (".mp4", ".webm", ".mov", ".m4v", ".mkv", ".ogv")
_SOUNDS: Final = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a")
_MESHES: Final = 16
"""Number of meshes shown of a sequence, evenly spaced; a whole one has hundreds of megabytes."""
_WITH_CLIPS: Final = frozenset(
    {"landmarks", "media", "saliency", "portraits", "ratings", "motion", "mesh"}
)
"""Configs that are shown with a clip; each other one is a table of its own."""
_LARGEST_TABLE: Final = 250_000
"""Maximum number of rows of such a table."""
_PER_FRAME: Final = ("pitch", "yaw", "roll", "openness", "loudness", "speech_probability", "speech")
_OURS: Final = {
    "data": re.compile(r"(rows|(details|table)-\d{6})\.js"),
    "frames": re.compile(r"\d{6,}\.js"),
    "motion": re.compile(r"\d{6,}\.js"),
    "meshes": re.compile(r"\d{6,}\.js"),
    "media": re.compile(r"[a-z]+-\d{6,}\.[a-z0-9]{3,4}"),
}
"""Names of the files that the explorer writes, by folder."""


@dataclass
class _Details:
    """Details that are shown with a single clip.

    Attributes:
        texts: Column to value as text, of columns that the table does not show.
        ratings: Dimension, subject, score, session and distortions of each rating.
        frames: Numbers of the files with its per-frame values, one a track.
        stills: Files of stills with their saliency.
        motion: Number of the file with its FLAME motion.
        meshes: Place in the sequence and number of the file of each mesh that is shown.
        mesh_frames: Length of the sequence.
        video: File of the video.
        audio: File of the sound, if there is no video.
        poster: File of one of its frames.
        portrait: File of the portrait that it was made of.
        notes: Sentences on what cannot be shown.
    """

    texts: dict[str, str | None] = field(default_factory=dict)
    ratings: list[list[Any]] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    stills: list[dict[str, Any]] = field(default_factory=list)
    motion: int | None = None
    meshes: list[list[int]] = field(default_factory=list)
    mesh_frames: int = 0
    video: str | None = None
    audio: str | None = None
    poster: str | None = None
    portrait: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explorer:
    """A written explorer.

    Attributes:
        folder: Folder.
        clips: Number of rows of the table.
        files: Number of files.
        n_bytes: Total size of the files in bytes.
        notes: Remarks on values that cannot be shown, in sentences.
    """

    folder: Path
    clips: int
    files: int
    n_bytes: int
    notes: tuple[str, ...]


def write_explorer(folder: Path, out: Path, *, media: bool = True, mesh: bool = True) -> Explorer:
    """Write the explorer of a dataset into a folder; an earlier one there is replaced.

    File names are numbers, so that no text of the dataset becomes a path.

    Args:
        folder: Folder of the built dataset.
        out: Folder to write to.
        media: Whether videos and pictures are copied.
        mesh: Whether meshes are copied, those of faces and of sequences.

    Raises:
        InputError: The folder is not a built dataset, or `out` holds other files.
    """
    info = read_info(folder)
    if out.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"expected a folder outside of the dataset for its explorer, got {out}")
    if out.is_dir() and any(out.iterdir()) and not (out / _ROWS).is_file():
        raise InputError(
            f"{out} holds files that no explorer wrote: name a new folder, or empty it"
        )
    return _Writer(folder, out, info, media, mesh).write()


class _Writer:
    def __init__(self, folder: Path, out: Path, info: Info, media: bool, mesh: bool) -> None:
        self._folder, self._out, self._info = folder, out, info
        self._media, self._mesh = media, mesh
        self._name = "features" if "features" in info.configs else next(iter(info.configs))
        self._written: dict[str, int] = {}
        self._notes: Counter[str] = Counter()

    def write(self) -> Explorer:
        table, splits = self._table(self._name)
        details, place = self._places(table)
        self._ratings(place)
        self._frames(place)
        self._motion(place)
        self._meshes(place)
        self._videos(place)
        self._stills(place)
        self._portraits(table, details)
        table = table if "split" in table.column_names else table.append_column("split", splits)
        shown = self._columns(self._name, table, details)
        for first in range(0, len(details), _SHARD):
            name = f"details-{first // _SHARD:06d}"
            shard = {"clips": [vars(clip) for clip in details[first : first + _SHARD]]}
            self._file(f"data/{name}.js", script(f"data/{name}", shard))
        content: dict[str, Any] = {
            "dataset": self._info.dataset,
            "version": self._info.version,
            "config": self._name,
            "description": self._info.configs[self._name].description,
            "counts": dict(self._info.counts),
            "n": table.num_rows,
            "shard": _SHARD,
            "points": N_POINTS,
            "columns": shown,
            "tables": list(self._tables()),
        }
        content["notes"] = [*self._info.notes, *self._notes]
        self._pages()
        self._file(_ROWS, script("data/rows", content))
        self._remove_stale()
        sizes = self._written.values()
        return Explorer(self._out, table.num_rows, len(sizes), sum(sizes), tuple(content["notes"]))

    def _table(self, config: str) -> tuple[pa.Table, pa.Array]:
        """The rows of a config, and the split of each."""
        tables, splits = [], []
        for split, name in _files(self._info.configs[config]):
            table = pq.read_table(inside(self._folder, name))
            tables.append(table)
            splits += [split] * table.num_rows
        if not splits:
            raise InputError(f"the config {config} of {self._folder} has no rows to show")
        return pa.concat_tables(tables), pa.array(splits)

    def _tables(self) -> Iterator[dict[str, Any]]:
        """Write the tables that are not shown with clips, as leaderboards and votes; name them."""
        others = [n for n in self._info.configs if n != self._name and n not in _WITH_CLIPS]
        for number, name in enumerate(others):
            config = self._info.configs[name]
            if not 0 < config.rows <= _LARGEST_TABLE:
                if config.rows:
                    self._notes[f"{name} has {config.rows} rows, too many to show"] += 1
                continue
            table, splits = self._table(name)
            if len(config.splits) > 1 and "split" not in table.column_names:
                table = table.append_column("split", splits)
            about = {"name": name, "description": config.description, "n": table.num_rows}
            columns = self._columns(name, table, None)
            file = f"data/table-{number:06d}"
            self._file(f"{file}.js", script(file, {**about, "columns": columns}))
            yield {**about, "file": file}

    def _places(self, table: pa.Table) -> tuple[list[_Details], dict[str, _Details]]:
        """Details of each row, and those of each clip by its name."""
        details = [_Details() for _ in range(table.num_rows)]
        names = table["clip_id"].to_pylist() if "clip_id" in table.column_names else []
        return details, {
            name: clip for name, clip in zip(names, details, strict=False) if name is not None
        }

    def _columns(
        self, config: str, table: pa.Table, details: list[_Details] | None
    ) -> list[dict[str, Any]]:
        """Columns of a table; what it does not show goes into the details, if there are any."""
        known = {info.name: info for info in self._info.configs[config].columns}
        shown = []
        for name in table.column_names:
            made = column(table[name])
            about = known.get(name)
            if made is None:
                if details is None:
                    continue
                for clip, value in zip(details, table[name].to_pylist(), strict=True):
                    clip.texts[name] = described(value)
                made = {"kind": "hidden"}
            if made.pop("infinite", 0):
                self._notes[f"{name} holds values that are not finite: they are shown as null"] += 1
            shown.append(
                {
                    "name": name,
                    "unit": about.unit if about else "",
                    "meaning": about.meaning if about else "",
                    "origin": about.origin if about else "",
                    **made,
                }
            )
        return shown

    def _ratings(self, place: Mapping[str, _Details]) -> None:
        columns = ("clip_id", "dimension", "subject", "score", "session", "distortions")
        for _, row in self._rows("ratings", columns, 65_536):
            clip = place.get(row["clip_id"])
            if clip is not None:
                clip.ratings.append([row.get(name) for name in columns[1:]])

    def _frames(self, place: Mapping[str, _Details]) -> None:
        config = self._info.configs.get("landmarks")
        if config is None:
            return
        number = 0
        with progress(config.rows, "frames", "row") as bar:
            for _, name in _files(config):
                file = pq.ParquetFile(inside(self._folder, name))
                names = [n for n in file.schema_arrow.names if self._mesh or n != "mesh"]
                for batch in file.iter_batches(_BATCH, columns=names):
                    for index in range(batch.num_rows):
                        row = {n: batch.column(n)[index] for n in names}
                        clip = place.get(row["clip_id"].as_py())
                        made = None if clip is None else self._frame_values(row, clip)
                        if clip is not None and made is not None:
                            self._file(
                                f"frames/{number:06d}.js", script(f"frames/{number:06d}", made)
                            )
                            clip.frames.append(number)
                            number += 1
                        bar.update()

    def _frame_values(self, row: Mapping[str, Any], clip: _Details) -> dict[str, Any] | None:
        """Per-frame values of one row; what contradicts itself is left out with a note."""
        time = numbers(row["time"].values, "float64") if "time" in row else None
        if time is None or not len(time):
            return None
        made: dict[str, Any] = {
            name: row[name].as_py()
            for name in ("track", "person", "kind", "width", "height", "scale")
            if name in row
        }
        made["time"] = encoded(time)
        face = numbers(row["face"].values, "uint8") if "face" in row else None
        for name in _PER_FRAME:
            values = numbers(row[name].values) if name in row else None
            if values is not None and len(values) == len(time):
                made[name] = encoded(values)
            elif values is not None:
                clip.notes.append(f"{name} has {len(values)} values for {len(time)} frames")
        mesh = numbers(row["mesh"].values, "int16") if "mesh" in row else None
        if face is not None and len(face) == len(time):
            made["face"] = encoded(face)
            if mesh is not None and len(mesh) == int(face.sum()) * N_POINTS * 3:
                made["mesh"] = encoded(mesh.reshape(-1, 3)[:, :2])
            elif mesh is not None:
                clip.notes.append(f"mesh has {len(mesh)} numbers for {int(face.sum())} faces")
        return made

    def _motion(self, place: Mapping[str, _Details]) -> None:
        columns = ("clip_id", "frames", "expression_dim", "expression", "jaw", "pose")
        for number, row in self._rows("motion", columns, 1):
            clip = place.get(row["clip_id"])
            if clip is None:
                continue
            n = row.get("frames") or 0
            parts = {
                name: np.asarray(row.get(name) or (), np.float32)
                for name in ("expression", "jaw", "pose")
            }
            widths = {"expression": row.get("expression_dim") or 0, "jaw": 3, "pose": 3}
            if n < 1 or any(len(parts[key]) != n * wide for key, wide in widths.items()):
                clip.notes.append("motion has a different number of values than of frames")
                continue
            jaw, pose = (np.degrees(parts[name].reshape(n, 3)) for name in ("jaw", "pose"))
            length = np.linalg.norm(parts["expression"].reshape(n, -1), axis=1)
            made = {
                "frames": n,
                "dim": widths["expression"],
                "jaw": encoded(np.linalg.norm(jaw, axis=1)),
                "pose": [encoded(np.ascontiguousarray(pose[:, axis])) for axis in range(3)],
                "expression": encoded(length.astype(np.float32)),
            }
            self._file(f"motion/{number:06d}.js", script(f"motion/{number:06d}", made))
            clip.motion = number

    def _meshes(self, place: Mapping[str, _Details]) -> None:
        if not self._mesh:
            return
        for _, row in self._rows("mesh", ("clip_id",), 65_536):
            if row["clip_id"] in place:
                place[row["clip_id"]].mesh_frames += 1
        shown = {
            name: set(np.linspace(0, clip.mesh_frames - 1, min(_MESHES, clip.mesh_frames)).round())
            for name, clip in place.items()
            if clip.mesh_frames
        }
        for number, row in self._rows("mesh", ("clip_id", "frame", "mesh"), 1):
            if row.get("frame") not in shown.get(row["clip_id"], ()):
                continue
            clip = place[row["clip_id"]]
            try:
                made = _packed(*read_glb(_file_of(row.get("mesh"))[1]))
            except ValueError as error:
                clip.notes.append(f"the mesh of frame {row['frame']} is not drawn: {error}")
                continue
            self._file(f"meshes/{number:06d}.js", script(f"meshes/{number:06d}", made))
            clip.meshes.append([row["frame"], number])
        for clip in place.values():
            clip.meshes.sort()

    def _videos(self, place: Mapping[str, _Details]) -> None:
        if not self._media:
            return
        for number, row in self._rows("media", ("clip_id", "video", "poster", "audio"), 1):
            clip = place.get(row["clip_id"])
            if clip is None:
                continue
            clip.poster = self._picture("poster", number, row.get("poster"))
            name, data = _file_of(row.get("video"))
            if data:
                suffix = PurePosixPath(name).suffix.lower()
                if suffix in _VIDEOS:
                    clip.video = f"media/video-{number:06d}{suffix}"
                    self._file(clip.video, data)
                else:
                    clip.notes.append("browsers do not play videos of this format")
            name, data = _file_of(row.get("audio"))
            suffix = PurePosixPath(name).suffix.lower()
            if data and not clip.video and suffix in _SOUNDS:
                clip.audio = f"media/audio-{number:06d}{suffix}"
                self._file(clip.audio, data)

    def _stills(self, place: Mapping[str, _Details]) -> None:
        columns = ("clip_id", "image", "map", "width", "height", "fixations")
        if not self._media:
            return
        for number, row in self._rows("saliency", columns, 1):
            clip = place.get(row["clip_id"])
            if clip is not None:
                clip.stills.append(
                    {
                        "image": self._picture("still", number, row.get("image")),
                        "map": self._picture("map", number, row.get("map")),
                        "width": row.get("width"),
                        "height": row.get("height"),
                        "fixations": row.get("fixations") or [],
                    }
                )

    def _portraits(self, table: pa.Table, details: list[_Details]) -> None:
        if not self._media or "portrait_id" not in table.column_names:
            return
        pictures = {
            row["portrait_id"]: self._picture("portrait", number, row.get("image"))
            for number, row in self._rows("portraits", ("portrait_id", "image"), 1)
        }
        for clip, name in zip(details, table["portrait_id"].to_pylist(), strict=True):
            clip.portrait = pictures.get(name)

    def _picture(self, kind: str, number: int, value: Any) -> str | None:
        """Write a picture if it is one that browsers show; its path, or None."""
        _, data = _file_of(value)
        suffix = _picture_suffix(data)
        if suffix is None:
            return None
        path = f"media/{kind}-{number:06d}{suffix}"
        self._file(path, data)
        return path

    def _rows(
        self, config: str, columns: tuple[str, ...], batch: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows of a config with their number; those of the wanted columns that it has."""
        if config not in self._info.configs:
            return
        number = 0
        with progress(self._info.configs[config].rows, config, "row") as bar:
            for _, name in _files(self._info.configs[config]):
                file = pq.ParquetFile(inside(self._folder, name))
                present = [n for n in columns if n in file.schema_arrow.names]
                if columns[0] not in present:
                    return
                for rows in file.iter_batches(batch, columns=present):
                    for row in rows.to_pylist():
                        yield number, row
                        number += 1
                    bar.update(rows.num_rows)

    def _pages(self) -> None:
        own = resources.files(__package__ or "")
        for name in SCRIPTS:
            self._file(f"code/{name}", own.joinpath(name).read_bytes())
        styles = (own.parent.joinpath("page.css"), own.joinpath("explorer.css"))  # type: ignore[attr-defined]
        self._file("code/explorer.css", b"\n".join(style.read_bytes() for style in styles))
        title = f"{self._info.dataset} {self._info.version}"
        page = render_page("explorer/explorer.html.jinja", {"title": title, "scripts": SCRIPTS})
        self._file(PAGE, page.encode("utf-8"))
        facts = {"title": safe_name(self._info.name), "sdk": "static", "app_file": PAGE}
        head = yaml.safe_dump(facts, allow_unicode=False, sort_keys=False)
        self._file("README.md", f"---\n{head}---\n".encode())

    def _file(self, name: str, data: bytes) -> None:
        with atomic_write(self._out / name) as stream:
            stream.write(data)
        self._written[name] = len(data)

    def _remove_stale(self) -> None:
        """Remove files of an earlier explorer that this one does not have."""
        for folder, names in _OURS.items():
            for path in sorted((self._out / folder).glob("*")):
                name = f"{folder}/{path.name}"
                if names.fullmatch(path.name) and name not in self._written:
                    remove_inside(self._out, name)


def _files(config: ConfigInfo) -> Iterator[tuple[str, str]]:
    """Split and path of each file of a config."""
    for split, about in config.splits.items():
        for name in about.files:
            yield split, name


def _packed(points: npt.NDArray[np.float32], triangles: npt.NDArray[np.uint32]) -> dict[str, Any]:
    """A mesh as the page takes it: positions in a box around it, in 16 bits."""
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    centre, half = (low + high) / 2, float((high - low).max() / 2) or 1.0
    scaled = np.clip(np.round((points - centre) / half * 32767), -32767, 32767)
    return {
        "centre": centre.tolist(),
        "half": half,
        "points": encoded(scaled.astype(np.int16)),
        "triangles": encoded(triangles),
    }


def _file_of(value: Any) -> tuple[str, bytes]:
    """Name and bytes of a media column's value; empty where there is none."""
    if not isinstance(value, dict):
        return "", b""
    return str(value.get("path") or ""), value.get("bytes") or b""


def _picture_suffix(data: bytes) -> str | None:
    """The suffix of a picture that browsers show, by its first bytes.

    Example:
        >>> _picture_suffix(bytes.fromhex("89504e470d0a1a0a")), _picture_suffix(b"<svg>")
        ('.png', None)
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return ".png"
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    return ".webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None
