"""People of a scene as clips: a square that follows each face, and the sound of each person's turns.

Everything here is arithmetic on measurements of the scene: the tracks of `faces` and the turns of
`active_speaker`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values
from theval_datasets.features.active_speaker import Turn
from theval_datasets.features.people.grouping import KINDS
from theval_datasets.features.people.tracks import sightings, stretches
from theval_datasets.manifest.rows import Region, SpokenTurn

_OUTLIERS: Final = 3  # sightings over which the median is taken, against single wrong boxes
_ROUND: Final = 3  # number of decimals of seconds and pixels

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PersonRule:
    """Rule by which people are cut out of a scene.

    Attributes:
        margin: Margin on every side of the face's largest box, in sides of it.
        smooth: Length in seconds over which the path of the square is averaged.
        others: Sound outside the person's own turns: `silence`, or `keep` for the sound of the scene.
        pad: Seconds of sound to keep before and after a turn, while nobody else speaks.
        min_seconds: Minimum length of a stretch, during which a person is visible without a gap of over a
            second.
        min_speaking: Minimum share of a stretch in which the person speaks; 0 keeps people who only listen.
    """

    margin: float = 0.5
    smooth: float = 1.0
    others: Literal["silence", "keep"] = "silence"
    pad: float = 0.1
    min_seconds: float = 2.0
    min_speaking: float = 0.0

    def __post_init__(self) -> None:
        if not (self.margin >= 0 and self.smooth >= 0 and self.pad >= 0 and self.min_seconds > 0):
            raise ValueError(
                "expected margin, smooth and pad of at least 0 and min_seconds above 0"
            )
        if not 0 <= self.min_speaking <= 1:
            raise ValueError(f"expected 0 <= min_speaking <= 1, got {self.min_speaking}")

    @property
    def listens(self) -> bool:
        """Whether clips depend on the turns of speech."""
        return self.others == "silence" or self.min_speaking > 0


@dataclass(frozen=True, slots=True)
class PersonCut:
    """A person in a stretch of a scene.

    Attributes:
        person: Number of the person, as in `faces`.
        start: Start in seconds of the scene.
        end: End in seconds of the scene.
        region: Square that follows the face.
        turns: Turns of everybody in seconds since `start`.
        audible: Spans of sound that are kept, in seconds since `start`; None for all.
        refused: Reason for which it does not become a clip; None for a clip.
    """

    person: int
    start: float
    end: float
    region: Region
    turns: tuple[SpokenTurn, ...] = ()
    audible: tuple[tuple[float, float], ...] | None = None
    refused: str | None = None


def people_of(
    faces: Values, turns: Sequence[Turn] | None, length: float, rule: PersonRule
) -> list[PersonCut]:
    """The people of a scene, in order of their number and time.

    Args:
        faces: Values of the extractor `faces`.
        turns: Turns of speech; None if they are unknown, for rules that do not need them.
        length: Length of the scene in seconds.
        rule: Rule by which people are cut out.
    """
    cuts: list[PersonCut] = []
    owner = faces["track_person"].tolist()
    spoken = [(turn.start, turn.end, owner[turn.track]) for turn in turns or ()]
    for track in np.flatnonzero(faces["track_kind"] == KINDS.index("person")).tolist():
        own = sightings(faces, track)
        samples = faces["sample"][own]
        for a, b in stretches(faces["time"][samples]):
            start, end = _extent(faces, int(samples[a]), int(samples[b - 1]), length)
            if end - start <= 0:
                continue
            cuts.append(
                _person(faces, owner[track], own[a:b], (start, end), spoken, turns is None, rule)
            )
    return sorted(cuts, key=lambda cut: (cut.person, cut.start))


def _extent(faces: Values, first: int, last: int, length: float) -> tuple[float, float]:
    """Start and end of sightings: up to the next sampled frame of their shot, or the end of the scene."""
    start = float(faces["time"][first])
    if last + 1 == len(faces["time"]):
        return start, length
    beyond = faces["shot"][last + 1] != faces["shot"][last]
    return start, float(faces["time"][last if beyond else last + 1])


def _person(
    faces: Values,
    person: int,
    detections: npt.NDArray[np.int64],
    extent: tuple[float, float],
    spoken: Sequence[SpokenTurn],
    unknown: bool,
    rule: PersonRule,
) -> PersonCut:
    start, end = extent
    size = (int(faces["width"]), int(faces["height"]))
    times = faces["time"][faces["sample"][detections]] - start
    region = follow(times, faces["box"][detections], size, rule)
    inside = tuple(_within(spoken, start, end))
    own_turns = [(a, b) for a, b, who in inside if who == person]
    other_turns = [(a, b) for a, b, who in inside if who != person]
    refused = None
    if end - start < rule.min_seconds:
        refused = "short-track"
    elif unknown and rule.listens:
        refused = "turns-unknown"
    elif sum(b - a for a, b in own_turns) < rule.min_speaking * (end - start):
        refused = "little-speaking"
    audible = (
        tuple(padded(own_turns, other_turns, rule.pad, end - start))
        if rule.others == "silence"
        else None
    )
    return PersonCut(person, start, end, region, inside, audible, refused)


def _within(turns: Sequence[SpokenTurn], start: float, end: float) -> Iterator[SpokenTurn]:
    """The parts of turns in a span, in seconds since its start."""
    for a, b, who in turns:
        low, high = round(max(a, start) - start, _ROUND), round(min(b, end) - start, _ROUND)
        if high > low:
            yield low, high, who


def padded(
    own_turns: Sequence[tuple[float, float]],
    other_turns: Sequence[tuple[float, float]],
    pad: float,
    length: float,
) -> list[tuple[float, float]]:
    """A person's turns with a little sound before and after them, joined where they meet.

    Args:
        own_turns: Start and end of the person's turns in seconds.
        other_turns: Those of all others; none of the added sound is within them.
        pad: Seconds that are added at most.
        length: Length of the clip in seconds.

    Examples:
        >>> padded([(1.0, 2.0), (2.15, 3.0)], [(0.0, 0.95)], 0.1, 10.0)
        [(0.95, 3.1)]
    """
    joined: list[tuple[float, float]] = []
    for start, end in sorted(own_turns):
        early, late = max(0.0, start - pad), min(length, end + pad)
        for a, b in other_turns:
            if a < start:
                early = max(early, min(b, start))
            if b > end:
                late = min(late, max(a, end))
        if joined and early <= joined[-1][1]:
            early, late = joined[-1][0], max(late, joined.pop()[1])
        joined.append((round(early, _ROUND), round(late, _ROUND)))
    return joined


def follow(
    times: Floats, boxes: npt.NDArray[np.float32], size: tuple[int, int], rule: PersonRule
) -> Region:
    """A square of one size that follows a face along its smoothed path.

    Its side is that of the face's largest box, but for single outliers, with the margin, and at most the
    shorter side of the picture.

    Args:
        times: (n,): times of the sightings in seconds of the clip, ascending.
        boxes: (n, 4): left, top, right, bottom in pixels.
        size: Width and height of the picture in pixels.
        rule: Margin and smoothing.

    Examples:
        >>> box = np.array([[100, 80, 140, 130]], np.float32)
        >>> follow(np.array([0.0]), box, (640, 480), PersonRule(margin=0.5)).boxes
        ((0.0, 70.0, 55.0, 100.0, 100.0),)
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    wide = boxes.astype(np.float64)
    shape = np.column_stack((wide[:, :2] + wide[:, 2:], wide[:, 2:] - wide[:, :2])) / (2, 2, 1, 1)
    shape = median_filter(shape, size=(_OUTLIERS, 1), mode="nearest")
    face = float(shape[:, 2:].max())
    side = round(min(face * (1 + 2 * rule.margin), *size), _ROUND)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    at = np.linspace(times[0], times[-1], 1 + math.ceil((times[-1] - times[0]) / step - 1e-6))
    path = np.column_stack([np.interp(at, times, shape[:, i]) for i in range(2)])
    path = uniform_filter1d(path, max(1, round(rule.smooth / step)), axis=0, mode="nearest")
    corners = np.clip(path - side / 2, 0, np.array(size) - side)
    if not np.ptp(corners.round(_ROUND), axis=0).any():
        at, corners = at[:1], corners[:1]
    return Region(
        boxes=tuple(
            (round(float(t), _ROUND), round(float(x), _ROUND), round(float(y), _ROUND), side, side)
            for t, (x, y) in zip(at, corners, strict=True)
        ),
        width=float(size[0]),
        height=float(size[1]),
    )
