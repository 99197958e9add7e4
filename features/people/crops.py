"""The mesh of one track, in windows that are static while the face moves inside them.

A window is a square around all positions of the face while these are near each other; in it the mesh
tracks the face as in a whole frame. When the face has moved too far, a new window begins and the tracker
is reset.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.mesh import N_POINTS, Points, quantise
from theval_datasets.extraction.outcomes import Values
from theval_datasets.utils.spool import Spool

from ..networks.face_mesh import FaceMesh
from .grouping import KINDS, Kind
from .tracks import boxes_at, overlap, sightings

_MARGIN: Final = 0.35  # margin around all positions of the face, in sides of the face
_SPREAD: Final = 2.0  # largest extent of the positions in a window, in sides of the face
_SAME_FACE: Final = 0.3  # minimum intersection over union of mesh and track

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CropWindow:
    """A square of the picture for a span of time.

    Attributes:
        start: Time from which it is used, in seconds.
        left: Left edge in pixels; may be negative.
        top: Top edge in pixels; may be negative.
        side: Side in pixels.
    """

    start: float
    left: int
    top: int
    side: int

    def cut(self, frame: Pixels) -> Pixels:
        """The part of a frame in the window, black outside the frame.

        Args:
            frame: uint8 (height, width, 3).

        Returns:
            uint8 (side, side, 3).

        Examples:
            >>> CropWindow(start=0.0, left=-1, top=0, side=2).cut(np.ones((4, 4, 3), np.uint8))[:, :, 0]
            array([[0, 1],
                   [0, 1]], dtype=uint8)
        """
        height, width = frame.shape[:2]
        part = np.zeros((self.side, self.side, 3), dtype=np.uint8)
        x0, y0 = max(0, self.left), max(0, self.top)
        x1, y1 = min(width, self.left + self.side), min(height, self.top + self.side)
        if x1 > x0 and y1 > y0:
            to = np.s_[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            part[to] = frame[y0:y1, x0:x1]
        return part


@dataclass(frozen=True, slots=True)
class TrackPath:
    """Positions of a track's face over time.

    Attributes:
        number: Number of the track.
        person: Number of the person.
        kind: Kind of the track: a person, or a picture of a person.
        times: (n,): times of its sightings in seconds.
        boxes: (n, 4): boxes at these times.
        start: Start of the search in seconds: half a sampling interval before the first sighting.
        end: End of the search in seconds: half a sampling interval after the last sighting, or the
            clip's end.
        windows: Windows in order of their start.
    """

    number: int
    person: int
    kind: Kind
    times: Floats
    boxes: npt.NDArray[np.float32]
    start: float
    end: float
    windows: tuple[CropWindow, ...]

    def window_at(self, time: float) -> CropWindow:
        """The window in use at a time."""
        return [w for w in self.windows if w.start <= time or w is self.windows[0]][-1]


def track_paths(faces: Values, *, most: int, kinds: Collection[Kind]) -> list[TrackPath]:
    """Paths of a clip's tracks, ordered by person, the main person first.

    Args:
        faces: Values of the extractor `faces`.
        most: Maximum number of simultaneous tracks; the last in order are left out.
        kinds: Kinds of tracks to include.
    """
    sampled = faces["time"]
    kept: list[TrackPath] = []
    for number in np.argsort(faces["track_person"], kind="stable").tolist():
        kind = KINDS[int(faces["track_kind"][number])]
        if kind not in kinds:
            continue
        own = sightings(faces, number)
        first, last = int(faces["sample"][own[0]]), int(faces["sample"][own[-1]])
        before = 0.0 if first == 0 else (sampled[first] - sampled[first - 1]) / 2
        after = np.inf if last + 1 == len(sampled) else (sampled[last + 1] - sampled[last]) / 2
        times, boxes = sampled[faces["sample"][own]], faces["box"][own]
        path = TrackPath(
            number,
            int(faces["track_person"][number]),
            kind,
            times,
            boxes,
            float(times[0] - before),
            float(times[-1] + after),
            _windows(times, boxes),
        )
        beside = [c for c in kept if c.start < path.end and path.start < c.end]
        if len(beside) < most:
            kept.append(path)
    return kept


def _windows(times: Floats, boxes: npt.NDArray[np.float32]) -> tuple[CropWindow, ...]:
    windows: list[CropWindow] = []
    begin = 0
    for i in range(1, len(boxes) + 1):
        if i < len(boxes) and _spread(boxes[begin : i + 1]) <= _SPREAD:
            continue
        start = times[0] if begin == 0 else (times[begin - 1] + times[begin]) / 2
        windows.append(_around(float(start), boxes[begin:i]))
        begin = i
    return tuple(windows)


def _spread(boxes: npt.NDArray[np.float32]) -> float:
    """Side of the rectangle around all boxes, in sides of the largest box."""
    whole = boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)
    return float(whole.max() / (boxes[:, 2:] - boxes[:, :2]).max())


def _around(start: float, boxes: npt.NDArray[np.float32]) -> CropWindow:
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = 2 * _MARGIN * float((boxes[:, 2:] - boxes[:, :2]).max())
    side = max(2, round(float((high - low).max()) + margin))
    left, top = np.rint((low + high) / 2 - side / 2).astype(int).tolist()
    return CropWindow(start, left, top, side)


class TrackMesh:
    """Tracks the mesh of one track.

    Args:
        path: Path of the track.
        mesher: Face Mesh that is used for this track only while it lasts.
        size: Width and height of the frames.
    """

    def __init__(self, path: TrackPath, mesher: FaceMesh, size: tuple[int, int]) -> None:
        self.path = path
        self.mesher = mesher
        self.frames: list[int] = []
        self.times: list[float] = []
        self.meshes = Spool((N_POINTS, 3), np.int16)
        self._size = np.array((size[0], size[1], size[0]), dtype=np.float64)
        self._window: CropWindow | None = None

    def update(self, frame: Pixels, time: float, index: int) -> None:
        """Process the next frame of the track's time range.

        Args:
            frame: uint8 (height, width, 3) in red, green, blue.
            time: Time in seconds.
            index: Index of the frame in the clip.
        """
        window = self.path.window_at(time)
        if window is not self._window:
            self.mesher.reset()
            self._window = window
        faces = self.mesher.faces(window.cut(frame))
        if not faces:
            return
        points = faces[0] * window.side + (window.left, window.top, 0.0)
        if not self._lies_on_track(points, time):
            self.mesher.reset()
            return
        self.frames.append(index)
        self.times.append(time)
        self.meshes.append(quantise(points / self._size))

    def _lies_on_track(self, points: Points, time: float) -> bool:
        """Whether the mesh is of the track's face, and not of a neighbouring face."""
        box = boxes_at(self.path.times, self.path.boxes, np.array((time,)))
        low, high = points[:468, :2].min(axis=0), points[:468, :2].max(axis=0)
        mesh = np.concatenate((low, high)).astype(np.float32)[np.newaxis]
        return bool(overlap(box, mesh)[0, 0] >= _SAME_FACE)
