"""From tracklets to tracks to people: by identity, and without pictures of people.

A track is one person within one shot: tracklets of a shot that are never there at once and look
alike are one. Tracks of several shots that look alike are one person. A face that is not a person's
own is flagged: a picture that stays still beside a face that moves, a second picture of somebody who
is already there, a face that another panel's face drives (`panels`), and what was detected for a
moment.
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
"""What a track is; stored as the index here."""

BRIEF: Final = 3
"""Sightings that a person's longest track needs, in a clip of more sampled frames than `_SHORT`."""
_SHORT: Final = 4
_STILL: Final = 0.8  # grey levels from sighting to sighting that a picture stays below …
_STILL_SHARE: Final = 90.0  # … in this percentage of them; people freeze, but not for so long
_MOVING: Final = 2.0
_TOGETHER: Final = 0.5  # share of the shorter track during which two are there at once
_DUPLICATE: Final = 0.75  # cosine; blurred faces of different people look alike, …
_CLEAR: Final = 0.65  # … so both must be found with this confidence

Floats = npt.NDArray[np.float64]
Embedding = npt.NDArray[np.float32]


@dataclass(slots=True)
class Tracklet:
    """Sightings of one face without a break.

    Attributes:
        shot: Number of its shot.
        samples: Indices among the sampled frames, growing.
        boxes: Left, top, right, bottom of each sighting, in pixels.
        points: Its five points, (5, 2) each.
        changes: Grey levels by which its place changed, for each sighting but the first.
        scores: The detector's confidence in each.
        embeddings: Those that were made.
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
        """How much of the clip it takes up: sightings × typical side of its box."""
        sides = [float(np.sqrt(max(0.0, (b[2] - b[0]) * (b[3] - b[1])))) for b in self.boxes]
        return len(self.samples) * float(np.median(sides))


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a clip.

    Attributes:
        tracks: In order of their begin, then from left to right.
        person: For each track the number of its person; the real ones first, the one who takes up
            most of the clip being 0.
        kind: For each track what it is.
        n_subjects: How many people there are.
    """

    tracks: tuple[Tracklet, ...]
    person: tuple[int, ...]
    kind: tuple[Kind, ...]
    n_subjects: int


def group_tracks(
    tracklets: Sequence[Tracklet], n_samples: int, same: float, seams: tuple[Seam, ...] = ()
) -> People:
    """Join tracklets to tracks and people, and flag what is not a person.

    Args:
        tracklets: All of a clip.
        n_samples: Number of sampled frames.
        same: Cosine of embeddings from which two faces are one person. Without embeddings a track
            is a tracklet, and people are counted in the fullest shot.
        seams: Of the clip, their places in pixels.
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
    """Tracklets of one shot that look alike and are never there at once, as one."""
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
    """A number for each track, equal where two are one person; the weightiest tracks choose first."""
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
    return enough and float(np.percentile(track.changes, _STILL_SHARE)) < _STILL


def _moves(track: Tracklet) -> bool:
    return bool(track.changes) and float(np.percentile(track.changes, _STILL_SHARE)) >= _MOVING


def _copies(a: Tracklet, b: Tracklet) -> bool:
    clear = all(float(np.mean(t.scores)) >= _CLEAR for t in (a, b))
    return clear and _alike(a, b) >= _DUPLICATE


def _driven(a: Tracklet, b: Tracklet, seams: tuple[Seam, ...]) -> bool:
    """Whether one of them, in a panel of its own, moves as the other does."""
    at_once = _shared(a, b)
    points = []
    for track in (a, b):
        of = dict(zip(track.samples, track.points, strict=True))
        points.append(np.array([of[sample] for sample in at_once], np.float64))
    return in_panels(points[0], points[1], seams)


def _alike(a: Tracklet, b: Tracklet) -> float:
    """Cosine of the mean embeddings; -1 where either has none."""
    if not a.embeddings or not b.embeddings:
        return -1.0
    means = [mean_embedding(t.embeddings)[np.newaxis] for t in (a, b)]
    return float(similarity(means[0], means[1])[0, 0])


def _shared(a: Tracklet, b: Tracklet) -> list[int]:
    return sorted(set(a.samples) & set(b.samples))


def _together(a: Tracklet, b: Tracklet) -> bool:
    return len(_shared(a, b)) >= _TOGETHER * min(len(a.samples), len(b.samples))
