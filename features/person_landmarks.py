"""Face landmarks of all people, by track."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import Accumulator, ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import N_POINTS, Mesh, PixelMesh, Points, by_frame
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known
from theval_datasets.media.frames import FrameRequest, Frames
from theval_datasets.utils.spool import Spool

from .faces import Faces
from .landmarks import Landmarks
from .networks.face_mesh import FaceMesh
from .people.crops import TrackMesh, TrackPath, track_paths
from .people.grouping import KINDS, Kind
from .people.tracks import boxes_at, overlap

_PICTURES: Final[tuple[Kind, ...]] = ("person", "still", "duplicate")


@dataclass(frozen=True)
class PersonLandmarks(Extractor):
    """Mesh of every person's track of `faces`, one row per track and frame.

    Pictures of people (tracks of the kinds `still` and `duplicate`) are included only on request. If the
    clip has one face and the whole-frame pass of `landmarks` tracked it, its values are used. Otherwise the
    mesh tracks each face in a padded window around it, which also works for faces that are small in the
    frame. A mesh that is not of its track's face is dropped.

    Attributes:
        most: Maximum number of simultaneous tracks; the least prominent people are left out.
        covered: Minimum share of a single track's frames in which `landmarks` has the face.
        pictures: Whether pictures of people are included.
    """

    most: int = 8
    covered: float = 0.9
    pictures: bool = False

    name: ClassVar[str] = "person_landmarks"
    version: ClassVar[int] = 2
    source: ClassVar[str] = (
        "MediaPipe Face Mesh (Lugaresi et al., MediaPipe: A Framework for Building Perception "
        "Pipelines, 2019); windows are defined by this package"
    )
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)
    second_pass: ClassVar[bool] = True
    writes: ClassVar[tuple[Column, ...]] = (
        Column("track", "int32", ("row",), "Number of the track, as in `faces`; ascending.", low=0),
        Column("person", "int32", ("row",), "Number of the person.", low=0),
        Column(
            "kind",
            "int8",
            ("row",),
            "0 person, 1 still, 2 duplicate, as in `faces`.",
            low=0,
            high=2,
        ),
        Column("frame", "int64", ("row",), "Index of the frame; ascending within a track.", low=0),
        Column("time", "float64", ("row",), "Time of the frame.", unit="s", low=0),
        Column(
            "mesh",
            "int16",
            ("row", N_POINTS, 3),
            "Face Mesh points: x, z in widths and y in heights of the frame.",
            unit="1/16384 of the frame",
            low=-32767,
            high=32767,
        ),
        Column("whole_frame", "bool", (), "Whether the values are those of `landmarks`."),
        Column("width", "int32", (), "Width of the frames, upright.", unit="px", low=1),
        Column("height", "int32", (), "Height of the frames, upright.", unit="px", low=1),
    )

    @property
    def frames(self) -> FrameRequest:
        """Every frame at full size."""
        return FrameRequest()

    def needs(self) -> Sequence[Extractor]:
        """Tracks, and the mesh of whole frames."""
        return (Faces(), Landmarks())

    def weights(self) -> Sequence[Weights]:
        """Face Mesh."""
        return (known("mediapipe"),)

    def weights_id(self) -> str:
        """MediaPipe's version, whose package contains the models."""
        return f"mediapipe-{importlib.metadata.version('mediapipe')}"

    def setup(self) -> Any:
        """A pool of mesh models, which grows with the number of simultaneous tracks."""
        return []

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Use the whole-frame mesh if it is sufficient, else track every face."""
        faces = clip.feature(Faces())
        kinds: tuple[Kind, ...] = _PICTURES if self.pictures else ("person",)
        paths = track_paths(faces, most=self.most, kinds=kinds)
        is_alone = int((faces["track_kind"] != KINDS.index("brief")).sum()) == 1
        try:
            whole = clip.feature(Landmarks())
        except AbsentError:
            return _TrackFollower(paths, model, faces)
        if is_alone and len(paths) == 1 and _coverage(paths[0], whole) >= self.covered:
            return _WholeFrame(paths[0], whole)
        return _TrackFollower(paths, model, faces)


def _coverage(path: TrackPath, whole: Values) -> float:
    """Share of the track's frames in which the whole-frame mesh is of its face."""
    inside = (whole["time"] >= path.start) & (whole["time"] <= path.end)
    if not inside.any():
        return 0.0
    kept = inside[whole["face"]]
    points = PixelMesh(whole["mesh"], int(whole["width"]), int(whole["height"]))
    meshes = by_frame(points, _box)[kept].astype(np.float32)
    boxes = boxes_at(path.times, path.boxes, whole["time"][inside & whole["face"]])
    hits = sum(
        float(overlap(box[np.newaxis], mesh[np.newaxis])[0, 0]) >= 0.3
        for box, mesh in zip(boxes, meshes, strict=True)
    )
    return hits / int(inside.sum())


def _box(points: Points) -> Points:
    """Left, top, right and bottom of the faces, (n, 4)."""
    face = points[:, :468, :2]
    return np.concatenate((face.min(axis=1), face.max(axis=1)), axis=1)


class _WholeFrame:
    """The single face that `landmarks` already tracked."""

    done = True

    def __init__(self, path: TrackPath, whole: Values) -> None:
        self._path = path
        self._whole = whole

    def update(self, batch: Frames) -> None:
        """No frames are needed."""

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        whole = self._whole
        frame = np.flatnonzero(whole["face"]).astype(np.int64)
        return {
            "track": np.full(len(frame), self._path.number, np.int32),
            "person": np.full(len(frame), self._path.person, np.int32),
            "kind": np.full(len(frame), KINDS.index(self._path.kind), np.int8),
            "frame": frame,
            "time": whole["time"][whole["face"]],
            "mesh": whole["mesh"],
            "whole_frame": np.array(True),
            "width": whole["width"],
            "height": whole["height"],
        }, {}


class _TrackFollower:
    """Tracks every face in windows of its own, with a mesh model from the pool per active track."""

    def __init__(self, paths: Sequence[TrackPath], pool: list[Any], faces: Values) -> None:
        self._waiting = sorted(paths, key=lambda c: (c.start, c.number))
        self._running: list[TrackMesh] = []
        self._ended: list[TrackMesh] = []
        self._pool = pool
        self._free: list[Any] = list(pool)
        self._size = (int(faces["width"]), int(faces["height"]))

    def update(self, batch: Frames) -> None:
        for frame, time, index in zip(batch.pixels, batch.times, batch.indices, strict=True):
            self._begin_and_end(float(time))
            for track in self._running:
                track.update(frame, float(time), int(index))

    def _begin_and_end(self, time: float) -> None:
        for track in [t for t in self._running if t.path.end < time]:
            self._running.remove(track)
            self._ended.append(track)
            self._free.append(track.mesher)
        while self._waiting and self._waiting[0].start <= time:
            path = self._waiting.pop(0)
            if not self._free:
                self._pool.append(FaceMesh(max_faces=1, refine=True, static=False))
                self._free.append(self._pool[-1])
            self._running.append(TrackMesh(path, self._free.pop(), self._size))

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        tracks = sorted(self._ended + self._running, key=lambda t: t.path.number)
        tracks = [track for track in tracks if track.frames]
        if not tracks:
            raise AbsentError("no-mesh", "faces were detected, but none has a mesh")
        lengths = [len(track.frames) for track in tracks]
        return {
            "track": np.repeat(np.array([t.path.number for t in tracks], np.int32), lengths),
            "person": np.repeat(np.array([t.path.person for t in tracks], np.int32), lengths),
            "kind": np.repeat(
                np.array([KINDS.index(t.path.kind) for t in tracks], np.int8), lengths
            ),
            "frame": np.concatenate([np.array(t.frames, np.int64) for t in tracks]),
            "time": np.concatenate([np.array(t.times) for t in tracks]),
            "mesh": _joined([track.meshes.array() for track in tracks]),
            "whole_frame": np.array(False),
            "width": np.array(self._size[0], np.int32),
            "height": np.array(self._size[1], np.int32),
        }, {}


def _joined(meshes: Sequence[Mesh]) -> Mesh:
    """The meshes of several tracks, one after another."""
    joined = Spool((N_POINTS, 3), np.int16)
    for mesh in meshes:
        joined.extend(mesh)
    return joined.array()
