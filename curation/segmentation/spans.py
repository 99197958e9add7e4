"""Spans of a source that may become clips: one shot, the required number of people, enough speech.

Everything here is arithmetic on measurements of the source: its shots, its faces a few times a second,
its speech. The spans are candidates; they are cut, measured in full and judged.

Two shot detectors serve two purposes. `shots` reads every frame of the source and locates the first
frame of each shot exactly, so that no span crosses a cut. `faces` compares the frames that it samples of
the finished clip, because a track must end at a change of shot, also in clips that were not cut here.
Where it still detects a change, `single_speaker` rejects the clip: the second detector checks the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Feature, Values

_ROUND: Final = 6  # number of decimals of times in seconds

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """Requirements of a span.

    Attributes:
        min_seconds: Minimum length of a span, in seconds.
        aim_seconds: Length into which longer spans are divided, in seconds.
        max_seconds: Maximum length of a span, in seconds.
        min_people: Minimum number of faces.
        max_people: Maximum number of faces; None for no limit.
        min_face_height: Minimum height of a face that counts, as a share of the frame's.
        lost_samples: Maximum number of consecutive samples with another number of faces within a span.
        min_speech: Minimum share of a span that is speech.
        fps: Sampling rate of the face detector, frames a second.
        lead: Maximum silence kept before the first and after the last word, in seconds.
    """

    min_seconds: float = 3.0
    aim_seconds: float = 13.0
    max_seconds: float = 20.0
    min_people: int = 1
    max_people: int | None = 1
    min_face_height: float = 0.08
    lost_samples: int = 1
    min_speech: float = 0.4
    fps: float = 2.0
    lead: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.min_seconds <= self.aim_seconds <= self.max_seconds:
            raise ValueError("expected 0 < min_seconds <= aim_seconds <= max_seconds")
        if self.max_people is not None and not 0 <= self.min_people <= self.max_people:
            raise ValueError("expected 0 <= min_people <= max_people")
        if not (0 <= self.min_speech <= 1 and 0 < self.fps <= 30 and self.lost_samples >= 0):
            raise ValueError("expected 0 <= min_speech <= 1, 0 < fps <= 30 and lost_samples >= 0")


@dataclass(frozen=True, slots=True)
class Span:
    """A span that may become a clip.

    Attributes:
        first: Index of its first frame in the source.
        last: Index of the first frame after it.
        start: Time of the first frame, in seconds since the source's first frame.
        end: Time of the first frame after it, or the source's end, in seconds.
    """

    first: int
    last: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a source that holds no candidate.

    Attributes:
        start: Start in seconds.
        end: End in seconds.
        reason: Slug.
    """

    start: float
    end: float
    reason: str


def find_spans(
    shots: Values, faces: Feature, vad: Feature, rule: SegmentRule
) -> tuple[list[Span], list[Refusal]]:
    """The spans of a source, and the parts without a span, with the reason.

    Args:
        shots: Values of the extractor `shots`.
        faces: Feature `face_scan`.
        vad: Feature `vad`; an outcome other than ok counts as no speech, with its reason.
        rule: Requirements of spans.
    """
    frames = np.append(shots["time"], float(shots["end"]))
    edges = np.append(shots["begin"], len(shots["time"]))
    speech = vad.values["segments"] if vad.outcome.status == "ok" else np.zeros((0, 2))
    silent = vad.outcome.reason or "little-speech"  # such as no-audio
    spans: list[Span] = []
    refused: list[Refusal] = []
    for number, dark in enumerate(shots["dark"].tolist()):
        start, end = float(frames[edges[number]]), float(frames[edges[number + 1]])
        if dark:
            refused.append(Refusal(start, end, "black"))
            continue
        if end - start < rule.min_seconds:
            refused.append(Refusal(start, end, "short-shot"))
            continue
        runs = _with_people(start, end, faces, rule)
        if not runs:
            refused.append(Refusal(start, end, "no-such-people"))
        for run in runs:
            pieces = _divided(run, speech, rule)
            refused += [
                Refusal(*piece, silent) for piece in pieces if not _spoken(piece, speech, rule)
            ]
            for piece in pieces:
                if _spoken(piece, speech, rule):
                    spans.append(
                        _framed(piece, frames, (int(edges[number]), int(edges[number + 1])))
                    )
            if not pieces:
                refused.append(Refusal(*run, "short-stretch"))
    spans = [span for span in spans if span.end - span.start >= rule.min_seconds - 0.1]
    return spans, refused


def _with_people(
    start: float, end: float, faces: Feature, rule: SegmentRule
) -> list[tuple[float, float]]:
    """Parts of a shot with the required number of faces, accurate to half a sampling step."""
    if faces.outcome.status != "ok":
        return []
    values = faces.values
    inside = np.flatnonzero((values["time"] >= start - 1e-6) & (values["time"] < end - 1e-6))
    if not len(inside):
        return []
    heights = values["box"][:, 3] - values["box"][:, 1]
    counted = values["sample"][heights >= rule.min_face_height]
    counts = np.bincount(counted, minlength=len(values["time"]))[inside]
    most = math.inf if rule.max_people is None else rule.max_people
    allowed = (counts >= rule.min_people) & (counts <= most)
    times = values["time"][inside]
    runs: list[tuple[float, float]] = []
    for a, b in _runs(allowed, rule.lost_samples):
        left = start if a == 0 else float(times[a - 1] + times[a]) / 2
        right = end if b == len(allowed) else float(times[b - 1] + times[b]) / 2
        if right - left >= rule.min_seconds:
            runs.append((left, right))
    return runs


def _runs(allowed: npt.NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Start and end of runs of True, across gaps of up to `gap` elements; gaps at the ends are left out."""
    places = np.flatnonzero(allowed)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    begins = np.concatenate(([places[0]], places[breaks + 1]))
    ends = np.concatenate((places[breaks], [places[-1]])) + 1
    return [(int(a), int(b)) for a, b in zip(begins, ends, strict=True)]


def _divided(
    run: tuple[float, float], speech: Floats, rule: SegmentRule
) -> list[tuple[float, float]]:
    """Divide a part at pauses into pieces of about the aimed length.

    A part that is not too long is not divided, so that a shot of the right length loses nothing.
    """
    start, end = run
    if end - start <= rule.max_seconds:
        return [run]
    pauses = _pauses(start, end, speech)
    pieces: list[tuple[float, float]] = []
    at = start
    while end - at > rule.max_seconds:
        low, high = at + rule.min_seconds, at + rule.max_seconds
        left = end - at
        parts = max(2, round(left / rule.aim_seconds))
        target = at + left / parts
        high = min(high, end - rule.min_seconds)
        inside = [p for p in pauses if low <= p[0] <= high]
        # a long pause outweighs a deviation from the aimed length
        cut = min(inside, key=lambda p: abs(p[0] - target) - 4 * min(p[1], 1.0), default=None)
        to = cut[0] if cut else min(target, high)
        pieces.append((at, to))
        at = to
    pieces.append((at, end))
    tight = [_tightened(piece, speech, rule) for piece in pieces]
    return [piece for piece in tight if piece[1] - piece[0] >= rule.min_seconds]


def _pauses(start: float, end: float, speech: Floats) -> list[tuple[float, float]]:
    """Middle and length of the pauses of speech within a part."""
    inner = speech[(speech[:, 1] > start) & (speech[:, 0] < end)]
    edges = np.concatenate(([start], inner.ravel().clip(start, end), [end])).reshape(-1, 2)
    return [((a + b) / 2, b - a) for a, b in edges.tolist() if b - a > 0.02]


def _tightened(
    piece: tuple[float, float], speech: Floats, rule: SegmentRule
) -> tuple[float, float]:
    """A piece without the silence at its ends, except for the lead."""
    start, end = piece
    inner = speech[(speech[:, 1] > start) & (speech[:, 0] < end)]
    if not len(inner):
        return piece
    return max(start, float(inner[0, 0]) - rule.lead), min(end, float(inner[-1, 1]) + rule.lead)


def _spoken(piece: tuple[float, float], speech: Floats, rule: SegmentRule) -> bool:
    start, end = piece
    shared = np.minimum(speech[:, 1], end) - np.maximum(speech[:, 0], start)
    return float(shared.clip(0).sum()) >= rule.min_speech * (end - start)


def _framed(piece: tuple[float, float], frames: Floats, shot: tuple[int, int]) -> Span:
    """A piece rounded to whole frames within its shot."""
    first = int(np.searchsorted(frames, piece[0] - 1e-6))
    last = int(np.searchsorted(frames, piece[1] - 1e-6))
    first = min(max(first, shot[0]), shot[1] - 1)
    last = min(max(last, first + 1), shot[1])
    return Span(
        first, last, round(float(frames[first]), _ROUND), round(float(frames[last]), _ROUND)
    )
