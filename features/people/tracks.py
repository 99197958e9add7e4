"""Linking of faces between sampled frames into tracklets.

A tracklet continues while a face overlaps its position at the last sighting, up to a second ago. A change
of shot ends every tracklet. Tracklets are grouped into people afterwards, by identity (`grouping`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values

from .detector import Detections, Pixels

Boxes = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

GAP: Final = 1.0
"""Maximum gap between two sightings of a tracklet, in seconds."""
_OVERLAP: Final = 0.2
_NEAR: Final = 0.6  # maximum distance of centres of one face without overlap, face sizes
_GROWTH: Final = 1.8  # maximum ratio of sizes between two sightings
_PATCH: Final = 24
_THUMB: Final = (32, 18)
_BINS: Final = 16
_CUT: Final = 40.0  # change of the thumbnail at a cut, whatever the colours, grey levels
_CUT_WITH_COLOURS: Final = (20.0, 0.2)  # change of thumbnail, and share of changed colours


class ShotDetector:
    """Detects changes of shot between sampled frames.

    `shots` locates the exact frame of a cut by comparing every frame of a source with its neighbours. Five
    frames a second have no such neighbourhood: here samples a fifth of a second apart are compared, only to
    end tracks.

    A cut is a large change of the thumbnail, or a smaller change together with a change of colours. Head
    motion changes neither much.
    """

    def __init__(self) -> None:
        self._last: tuple[Floats, Floats] | None = None

    def is_cut(self, frame: Pixels) -> bool:
        """Whether a frame belongs to another shot than the previous frame; False for the first.

        Args:
            frame: uint8 (height, width, 3) in blue, green, red.
        """
        import cv2

        thumb = cv2.resize(frame, _THUMB, interpolation=cv2.INTER_AREA)
        hues = cv2.cvtColor(thumb, cv2.COLOR_BGR2HSV).reshape(-1, 3)
        bins = [np.histogram(hues[:, c], _BINS, (0, 256))[0] / len(hues) for c in range(3)]
        now = (thumb.astype(np.float64), np.concatenate(bins))
        last, self._last = self._last, now
        if last is None:
            return False
        moved = float(np.abs(now[0] - last[0]).mean())
        recoloured = float(np.abs(now[1] - last[1]).sum()) / 6
        least, colours = _CUT_WITH_COLOURS
        return moved >= _CUT or (moved >= least and recoloured >= colours)


@dataclass(slots=True)
class _Open:
    """A tracklet that may continue."""

    tracklet: int
    box: Boxes
    time: float
    patch: Pixels


@dataclass(frozen=True, slots=True)
class Link:
    """The tracklet that a detection was linked to.

    Attributes:
        tracklet: Number of the tracklet.
        new: Whether the tracklet begins with this detection.
        change: Mean change, in grey levels, of the face's region at the tracklet's last sighting; 0 for
            the first. A still picture changes by compression noise only.
    """

    tracklet: int
    new: bool
    change: float


class TrackLinker:
    """Links the faces of a frame to earlier faces."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._count = 0

    def link(self, time: float, frame: Pixels, detections: Detections, *, cut: bool) -> list[Link]:
        """Link the faces of the next frame.

        Args:
            time: Time in seconds.
            frame: uint8 (height, width, 3) in blue, green, red.
            detections: Faces of the frame.
            cut: Whether a new shot begins with the frame.

        Returns:
            One link per face.
        """
        import cv2

        self._open = [o for o in self._open if not cut and time - o.time <= GAP]
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        partner = _matched([o.box for o in self._open], detections.boxes)
        links: list[Link] = []
        going_on: list[_Open] = []
        for i, box in enumerate(detections.boxes):
            patch = face_patch(grey, box)
            if i in partner:
                known = self._open[partner[i]]
                at_last_place = face_patch(grey, known.box).astype(np.float64)
                change = float(np.abs(at_last_place - known.patch).mean())
                links.append(Link(known.tracklet, False, change))
                known.box, known.time, known.patch = box, time, patch
                going_on.append(known)
            else:
                links.append(Link(self._count, True, 0.0))
                going_on.append(_Open(self._count, box, time, patch))
                self._count += 1
        lost = [o for o in self._open if o not in going_on]
        self._open = going_on + lost
        return links


def overlap(a: Boxes, b: Boxes) -> Floats:
    """Intersection over union of boxes.

    Args:
        a: (n, 4): left, top, right, bottom.
        b: (m, 4): left, top, right, bottom.

    Returns:
        (n, m): 0 to 1.

    Examples:
        >>> overlap(np.array([[0, 0, 2, 2]], np.float32), np.array([[1, 0, 3, 2]], np.float32)).round(3)
        array([[0.333]])
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2]).astype(np.float64)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:]).astype(np.float64)
    shared = np.clip(high - low, 0.0, None).prod(axis=2)
    areas = [(x[:, 2:] - x[:, :2]).astype(np.float64).prod(axis=1) for x in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def _matched(before: list[Boxes], now: Boxes) -> dict[int, int]:
    """Index of the earlier box that each current face continues, matched one to one."""
    if not before or not len(now):
        return {}
    from scipy.optimize import linear_sum_assignment

    last = np.stack(before)
    shared = overlap(last, now)
    sizes = [np.sqrt((x[:, 2:] - x[:, :2]).clip(1e-6).prod(axis=1)) for x in (last, now)]
    centres = [(x[:, :2] + x[:, 2:]) / 2 for x in (last, now)]
    size = (sizes[0][:, None] + sizes[1][None, :]) / 2
    away = np.linalg.norm(centres[0][:, None] - centres[1][None, :], axis=2) / size
    growth = np.maximum(sizes[0][:, None] / sizes[1], sizes[1] / sizes[0][:, None])
    allowed = (shared >= _OVERLAP) | ((away <= _NEAR) & (growth <= _GROWTH))
    worth = np.where(allowed, 1.0 + shared - 0.1 * np.minimum(away, 5.0), 0.0)
    rows, columns = linear_sum_assignment(-worth)
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if allowed[i, j]}


def face_patch(grey: Pixels, box: Boxes) -> Pixels:
    """The part of a grey picture in a box, scaled to a small square.

    Args:
        grey: uint8 (height, width).
        box: (4,): left, top, right, bottom in pixels; clipped to the picture.

    Returns:
        uint8 (24, 24).
    """
    import cv2

    height, width = grey.shape
    left, top = np.clip(np.floor(box[:2]), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(box[2:]), (left + 1, top + 1), (width, height)).astype(int)
    part = grey[top:bottom, left:right]
    patch: Pixels = cv2.resize(part, (_PATCH, _PATCH), interpolation=cv2.INTER_AREA)
    return patch


def boxes_at(times: Floats, boxes: Boxes, wanted: Floats) -> Boxes:
    """Boxes between sightings, by linear interpolation; before the first and after the last, the nearest.

    Args:
        times: (n,): times of the sightings in seconds, ascending.
        boxes: (n, 4): left, top, right, bottom in pixels.
        wanted: (m,): times of the interpolated boxes in seconds.

    Returns:
        (m, 4): left, top, right, bottom in pixels.

    Examples:
        >>> boxes = np.array([[0, 0, 2, 2], [2, 0, 4, 2]], np.float32)
        >>> boxes_at(np.array([0.0, 1.0]), boxes, np.array([0.5])).tolist()
        [[1.0, 0.0, 3.0, 2.0]]
    """
    columns = [np.interp(wanted, times, boxes[:, c]) for c in range(4)]
    return np.stack(columns, axis=1).astype(np.float32)


def sightings(faces: Values, track: int) -> npt.NDArray[np.int64]:
    """Indices of a track's faces, by time.

    Args:
        faces: Values of the extractor `faces`.
        track: Number of the track.

    Examples:
        >>> sightings({"track": np.array([1, 0, 1]), "sample": np.array([2, 0, 1])}, 1)
        array([2, 0])
    """
    own = np.flatnonzero(faces["track"] == track)
    return own[np.argsort(faces["sample"][own], kind="stable")]


def stretches(times: Floats, max_gap: float = GAP + 1e-6) -> list[tuple[int, int]]:
    """Runs of sightings of a face without a long gap.

    Args:
        times: (n,): times of its sightings in seconds, ascending.
        max_gap: Largest gap within a run in seconds; by default a second, with a tolerance for rounding.

    Returns:
        First index and the index after the last, for each run.

    Examples:
        >>> stretches(np.array([0.0, 0.2, 0.4, 2.0, 2.2]))
        [(0, 3), (3, 5)]
    """
    breaks = np.flatnonzero(np.diff(times) > max_gap) + 1
    edges = [0, *breaks.tolist(), len(times)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]
