"""Grouping of tracklets into tracks and people by identity, excluding pictures of people.

A track is one person within one shot: tracklets of a shot that never overlap in time and have similar
embeddings form a track. Tracks of several shots with similar embeddings are one person. Tracks that are
not people are flagged: a still picture beside a moving face, a duplicate picture of a visible person, a
face driven by the face in another panel (`panels`), and a face detected for a moment only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ..formulas.seams import Seam
from .pack import mean_embedding, similarity
from .panels import in_panels

Kind = Literal["person", "still", "duplicate", "brief"]
KINDS: Final[tuple[Kind, ...]] = ("person", "still", "duplicate", "brief")
"""Kinds of tracks; stored as the index in this tuple."""

BRIEF: Final = 3
"""Minimum sightings of a person's longest track, in a clip of more sampled frames than `_SHORT`."""
_SHORT: Final = 4
STILL: Final = 0.8  # maximum change of a still picture between sightings, grey levels
STILL_SHARE: Final = 90.0  # percentage of sightings within it; people do not freeze for so long
MOVING: Final = 2.0
_TOGETHER: Final = 0.5  # minimum temporal overlap of duplicates, share of the shorter track
_DUPLICATE: Final = 0.75  # minimum cosine similarity of duplicates
_CLEAR: Final = (
    0.65  # minimum confidence of both, since blurred faces of different people look alike
)

Floats = npt.NDArray[np.float64]
Embedding = npt.NDArray[np.float32]


@dataclass(slots=True)
class Tracklet:
    """Uninterrupted sightings of one face.

    Attributes:
        shot: Number of its shot.
        samples: Indices of the sampled frames, ascending.
        boxes: (4,) each: left, top, right, bottom in pixels.
        points: (5, 2) each: five points of the face in pixels.
        changes: Change of the face's region since the previous sighting in grey levels, for each
            sighting but the first.
        scores: Confidence of each detection.
        embeddings: Computed embeddings.
        detections: Numbers of its detections in the clip.
    """

    shot: int
    samples: list[int] = field(default_factory=list)
    boxes: list[npt.NDArray[np.float32]] = field(default_factory=list)
    points: list[npt.NDArray[np.float32]] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)

    @property
    def weight(self) -> float:
        """Weight of the tracklet: number of sightings × typical side of its box."""
        sides = [float(np.sqrt(max(0.0, (b[2] - b[0]) * (b[3] - b[1])))) for b in self.boxes]
        return len(self.samples) * float(np.median(sides))


@dataclass(frozen=True, slots=True)
class People:
    """The tracks and people of a clip.

    Attributes:
        tracks: Tracks in order of their start, then from left to right.
        person: Number of the person of each track; real people come first, and 0 is the main person.
        kind: Kind of each track.
        n_subjects: Number of people.
    """

    tracks: tuple[Tracklet, ...]
    person: tuple[int, ...]
    kind: tuple[Kind, ...]
    n_subjects: int


def group_tracks(
    tracklets: Sequence[Tracklet], n_samples: int, same: float, seams: tuple[Seam, ...] = ()
) -> People:
    """Join tracklets into tracks and people, and flag tracks that are not people.

    Args:
        tracklets: Tracklets of a clip.
        n_samples: Number of sampled frames.
        same: Minimum cosine similarity of the embeddings of one person. Without embeddings every
            tracklet is a track, and the number of people is that of the shot with the most.
        seams: Seams of the clip, with positions in pixels.
    """
    tracks = _joined(tracklets, same)
    tracks.sort(key=lambda t: (t.samples[0], float(t.boxes[0][0])))
    groups = _grouped(tracks, same)
    kinds = _kinds(tracks, groups, n_samples, seams)
    real = {g for g, kind in zip(groups, kinds, strict=True) if kind == "person"}
    weights = {
        g: sum(t.weight for t, h in zip(tracks, groups, strict=True) if h == g) for g in groups
    }
    order = sorted(weights, key=lambda g: (g not in real, -weights[g], g))
    number = {g: i for i, g in enumerate(order)}
    counted = len(real)
    if not any(t.embeddings for t in tracks):
        shots = [t.shot for t, kind in zip(tracks, kinds, strict=True) if kind == "person"]
        counted = max((shots.count(shot) for shot in shots), default=0)
    return People(tuple(tracks), tuple(number[g] for g in groups), tuple(kinds), counted)


def _joined(tracklets: Sequence[Tracklet], same: float) -> list[Tracklet]:
    """Join tracklets of one shot with similar embeddings that never overlap in time."""
    tracks: list[Tracklet] = []
    for tracklet in sorted(tracklets, key=lambda t: (t.samples[0], -len(t.samples))):
        mates = [
            (_alike(track, tracklet), -i)
            for i, track in enumerate(tracks)
            if track.shot == tracklet.shot and track.samples[-1] < tracklet.samples[0]
        ]
        best = max(mates, default=(-1.0, 0))
        if best[0] >= same:
            _append(tracks[-best[1]], tracklet)
        else:
            tracks.append(tracklet)
    return tracks


def _append(track: Tracklet, more: Tracklet) -> None:
    track.samples += more.samples
    track.boxes += more.boxes
    track.points += more.points
    track.changes += more.changes
    track.scores += more.scores
    track.embeddings += more.embeddings
    track.detections += more.detections


def _grouped(tracks: Sequence[Tracklet], same: float) -> list[int]:
    """Number of the person of each track, assigned in order of the tracks' weights."""
    groups: list[list[int]] = []
    of: dict[int, int] = {}
    for i in sorted(range(len(tracks)), key=lambda i: (-tracks[i].weight, i)):
        candidates = [
            (float(np.mean([_alike(tracks[i], tracks[j]) for j in group])), -g)
            for g, group in enumerate(groups)
            if not any(_shared(tracks[i], tracks[j]) for j in group)
        ]
        best = max(candidates, default=(-1.0, 0))
        if best[0] >= same:
            groups[-best[1]].append(i)
            of[i] = -best[1]
        else:
            of[i] = len(groups)
            groups.append([i])
    return [of[i] for i in range(len(tracks))]


def _kinds(
    tracks: Sequence[Tracklet], groups: Sequence[int], n_samples: int, seams: tuple[Seam, ...]
) -> list[Kind]:
    kinds: list[Kind] = ["person"] * len(tracks)
    if n_samples > _SHORT:
        for i, group in enumerate(groups):
            own = (len(t.samples) for t, g in zip(tracks, groups, strict=True) if g == group)
            if max(own) < BRIEF:
                kinds[i] = "brief"
    for i, track in enumerate(tracks):
        beside = [j for j in range(len(tracks)) if j != i and _together(track, tracks[j])]
        moving = any(kinds[j] == "person" and _moves(tracks[j]) for j in beside)
        if kinds[i] == "person" and moving and _still(track):
            kinds[i] = "still"
    for i in sorted(range(len(tracks)), key=lambda i: (tracks[i].weight, -i)):
        originals = (
            tracks[j]
            for j in range(len(tracks))
            if kinds[j] == "person"
            and (tracks[j].weight, -j) > (tracks[i].weight, -i)
            and _together(tracks[i], tracks[j])
        )
        if kinds[i] == "person" and any(
            _copies(tracks[i], other) or _driven(tracks[i], other, seams) for other in originals
        ):
            kinds[i] = "duplicate"
    return kinds


def _still(track: Tracklet) -> bool:
    enough = len(track.changes) >= BRIEF - 1
    return enough and float(np.percentile(track.changes, STILL_SHARE)) < STILL


def _moves(track: Tracklet) -> bool:
    return bool(track.changes) and float(np.percentile(track.changes, STILL_SHARE)) >= MOVING


def _copies(a: Tracklet, b: Tracklet) -> bool:
    clear = all(float(np.mean(t.scores)) >= _CLEAR for t in (a, b))
    return clear and _alike(a, b) >= _DUPLICATE


def _driven(a: Tracklet, b: Tracklet, seams: tuple[Seam, ...]) -> bool:
    """Whether two tracks in different panels have the same motion."""
    at_once = _shared(a, b)
    points = []
    for track in (a, b):
        of = dict(zip(track.samples, track.points, strict=True))
        points.append(np.array([of[sample] for sample in at_once], np.float64))
    return in_panels(points[0], points[1], seams)


def _alike(a: Tracklet, b: Tracklet) -> float:
    """Cosine similarity of the mean embeddings; -1 if either has none."""
    if not a.embeddings or not b.embeddings:
        return -1.0
    means = [mean_embedding(t.embeddings)[np.newaxis] for t in (a, b)]
    return float(similarity(means[0], means[1])[0, 0])


def _shared(a: Tracklet, b: Tracklet) -> list[int]:
    return sorted(set(a.samples) & set(b.samples))


def _together(a: Tracklet, b: Tracklet) -> bool:
    return len(_shared(a, b)) >= _TOGETHER * min(len(a.samples), len(b.samples))
