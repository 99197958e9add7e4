"""Which visible person speaks when, by LR-ASD, and speech of nobody who is visible."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import Accumulator, ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, content_hash, known, need
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FrameRequest, Frames

from .faces import Faces
from .formulas.mfcc import STEP, mfcc
from .networks.lr_asd import CONTEXT, FPS, SIDE, LrAsd
from .people.crops import track_paths
from .people.grouping import Kind
from .people.tracks import GAP, boxes_at
from .vad import Vad

_CHUNK: Final = 100
"""Pictures that the network sees at once, besides their context."""
_SOUND_CHUNK: Final = 1500
"""Pictures whose sound the network hears at once."""
_SLACK: Final = 1e-6
_BORDER: Final = 110
# The authors' crop: the centre half of a square of 1.4 sides of the box, which is centred a fifth of a side
# below the box's centre.
_SIDE_OF_BOX: Final = 0.7
_BELOW: Final = 0.2

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SpeakingRule:
    """What turns scores into who speaks; changing it computes nothing anew.

    Attributes:
        threshold: Score from which a person speaks.
        min_turn: Minimum length of a turn in seconds; shorter ones are left out.
        max_pause: Maximum length of a pause within a turn in seconds; shorter ones are filled.
        min_off_screen: Minimum length of speech of nobody who is visible, in seconds.
    """

    threshold: float = 0.0
    min_turn: float = 0.2
    max_pause: float = 0.2
    min_off_screen: float = 0.4


class Turn(NamedTuple):
    """A span in which a person speaks.

    Attributes:
        start: In seconds.
        end: In seconds.
        track: Number of the track, as in `faces`.
    """

    start: float
    end: float
    track: int


@dataclass(frozen=True)
class ActiveSpeaker(Extractor):
    """For every person's track, 25 times a second: whether that person speaks.

    LR-ASD compares the face with the sound. It tells that a person speaks while there is speech; it does not
    tell whose voice it is (a person who moves the lips while somebody else speaks is taken for speaking), nor
    by how much sound and picture are apart. Pictures of people are included only on request.

    Attributes:
        windows: Lengths in seconds of the pieces that are scored at once; the score is the mean over all
            lengths. Longer pieces know more of what comes before and after.
        smoothing: Length in seconds over which scores are averaged.
        most: Maximum number of simultaneous tracks; the least prominent people are left out.
        pictures: Whether pictures of people are included.
    """

    windows: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    smoothing: float = 0.2
    most: int = 8
    pictures: bool = False

    name: ClassVar[str] = "active_speaker"
    source: ClassVar[str] = (
        "Liao et al., LR-ASD: Lightweight and Robust Network for Active Speaker Detection (2025); "
        "turns and off-screen speech are defined by this package"
    )
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface", "onnx")
    second_pass: ClassVar[bool] = True
    writes: ClassVar[tuple[Column, ...]] = (
        Column("track", "int32", ("row",), "Number of the track, as in `faces`; ascending.", low=0),
        Column("person", "int32", ("row",), "Number of the person.", low=0),
        Column(
            "time",
            "float64",
            ("row",),
            "Time, a multiple of 1/25 s; ascending within a track.",
            unit="s",
            low=0,
        ),
        Column(
            "score",
            "float32",
            ("row",),
            "LR-ASD's score, smoothed; from 0 on the person is taken for speaking.",
        ),
        Column(
            "speaking",
            "bool",
            ("row",),
            "Whether the person speaks, with short pauses filled; it does not tell whose voice is heard.",
        ),
        Column(
            "off_screen",
            "float64",
            ("span", 2),
            "Start and end of speech during which no visible person speaks.",
            unit="s",
            low=0,
        ),
        Column(
            "speaker_visible",
            "float64",
            (),
            "Share of the speech during which a visible person speaks.",
            nullable=True,
            low=0,
            high=1,
        ),
        Column(
            "at_once",
            "float64",
            (),
            "Share of the speech during which several visible people speak at once.",
            nullable=True,
            low=0,
            high=1,
        ),
    )

    def __post_init__(self) -> None:
        if not self.windows or min(self.windows) * FPS < 1:
            raise ValueError(f"expected windows of at least {1 / FPS} s, got {self.windows}")
        if self.smoothing < 0:
            raise ValueError(f"expected smoothing of at least 0 s, got {self.smoothing}")

    @property
    def frames(self) -> FrameRequest:
        """Every frame at full size, in grey."""
        return FrameRequest(colour="gray")

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def needs(self) -> Sequence[Extractor]:
        """Tracks, and speech."""
        return (Faces(), Vad())

    def weights(self) -> Sequence[Weights]:
        """LR-ASD, trained on TalkSet."""
        return (known("lr-asd"),)

    def weights_id(self) -> str:
        """Hash of the checkpoint."""
        return f"lr-asd-{content_hash(need(known('lr-asd')))}"

    def setup(self) -> Any:
        """Load the network."""
        return LrAsd(need(known("lr-asd")))

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Begin with the tracks; without sound there is nothing to do."""
        faces, audio = clip.feature(Faces()), clip.audio()
        return _Listener(
            self, clip, model, _visits(faces, self.most, pictures=self.pictures), audio
        )


@dataclass(frozen=True, slots=True)
class _Visit:
    """A span in which a track's face is in sight without a long gap.

    Attributes:
        track: Number of the track.
        person: Number of the person.
        first: Number of the first picture, at 25 a second.
        last: Number of the last picture; that of the clip's last one if it is further away.
        times: (n,): times of the sightings in seconds.
        squares: (n, 4): left, top, right, bottom of what the network sees, at these times.
    """

    track: int
    person: int
    first: int
    last: int
    times: Floats
    squares: npt.NDArray[np.float32]


def _visits(faces: Values, most: int, *, pictures: bool) -> list[_Visit]:
    """All visits of a clip, by track and time."""
    visits: list[_Visit] = []
    kinds: tuple[Kind, ...] = ("person", "still", "duplicate") if pictures else ("person",)
    for path in track_paths(faces, most=most, kinds=kinds):
        gaps = np.flatnonzero(np.diff(path.times) > GAP) + 1
        for own in np.split(np.arange(len(path.times)), gaps):
            start = path.start if own[0] == 0 else path.times[own[0]]
            end = path.end if own[-1] == len(path.times) - 1 else path.times[own[-1]]
            last = np.floor(min(end, 1e9) * FPS + _SLACK)
            visits.append(
                _Visit(
                    path.number,
                    path.person,
                    max(0, int(np.ceil(start * FPS - _SLACK))),
                    int(last),
                    path.times[own],
                    _squares(path.boxes[own]),
                )
            )
    return sorted(visits, key=lambda v: (v.track, v.first))


def _squares(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the network sees of faces, smoothed by the median of three sightings."""
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    steady = np.column_stack((centre, side))
    if len(steady) > 2:
        around = np.stack((steady[:-2], steady[1:-1], steady[2:]))
        steady[1:-1] = np.median(around, axis=0)
    middle = steady[:, :2] + np.stack((np.zeros_like(side), _BELOW * steady[:, 2]), axis=1)
    half = _SIDE_OF_BOX / 2 * steady[:, 2:]
    return np.concatenate((middle - half, middle + half), axis=1)


def crop(frame: Pixels, square: npt.NDArray[np.float32]) -> Pixels:
    """A square of a grey frame as the network sees it.

    Args:
        frame: uint8 (height, width).
        square: (4,): left, top, right, bottom in pixels.

    Returns:
        uint8 (112, 112); grey beyond the frame.

    Examples:
        >>> frame = np.arange(224, dtype=np.uint8)[None, :].repeat(224, axis=0)
        >>> crop(frame, np.array((56, 56, 168, 168), np.float32))[0, :3]
        array([56, 57, 58], dtype=uint8)
    """
    import cv2

    scale = SIDE / max(1.0, float(square[2] - square[0]))
    # Centres of pixels lie half a pixel inside, in the frame as in the crop.
    shift = 0.5 * scale - 0.5 - scale * square[:2].astype(np.float64)
    matrix = np.array(((scale, 0.0, shift[0]), (0.0, scale, shift[1])))
    result: Pixels = cv2.warpAffine(
        frame, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=float(_BORDER)
    )
    return result


class _Watch:
    """Pictures of one visit, seen by the network as soon as there are enough."""

    def __init__(self, visit: _Visit, network: LrAsd) -> None:
        self.visit = visit
        self._network = network
        self._held: list[Pixels] = []
        self._before = 0
        self._seen: list[Scores] = []
        self.count = 0
        self._last: tuple[float, Pixels] | None = None

    def update(self, frame: Pixels, time: float) -> None:
        """Take a frame for all pictures that it is the nearest to, as far as is known by now."""
        if self.count > self.visit.last - self.visit.first:
            return
        visit = self.visit
        square = boxes_at(visit.times, visit.squares, np.array((time,)))[0]
        now = (time, crop(frame, square))
        last = self._last or now
        while self.count <= visit.last - visit.first:
            wanted = (visit.first + self.count) / FPS
            if wanted >= time + 0.5 / FPS:
                break
            self._add(last[1] if abs(wanted - last[0]) <= abs(wanted - time) else now[1])
        self._last = now

    def _add(self, picture: Pixels) -> None:
        self._held.append(picture)
        self.count += 1
        if len(self._held) == self._before + _CHUNK + CONTEXT:
            self._see(self._before + _CHUNK)

    def _see(self, end: int) -> None:
        """Let the network see what is held; keep the features up to `end`, and what is context later."""
        seen = self._network.see(np.stack(self._held))
        self._seen.append(seen[self._before : end])
        self._held = self._held[max(0, end - CONTEXT) :]
        self._before = min(end, CONTEXT)

    def finish(self) -> Scores:
        """Features of all pictures, (n, 128)."""
        if len(self._held) > self._before:
            self._see(len(self._held))
        return np.concatenate(self._seen) if self._seen else np.zeros((0, 128), np.float32)


class _Listener:
    """Watches all visits, and compares them with the sound in the end."""

    def __init__(
        self,
        extractor: ActiveSpeaker,
        clip: ClipInputs,
        network: LrAsd,
        visits: Sequence[_Visit],
        audio: Audio,
    ) -> None:
        self._extractor = extractor
        self._clip = clip
        self._network = network
        self._watches = [_Watch(visit, network) for visit in visits]
        self._audio = audio

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            for watch in self._watches:
                visit = watch.visit
                if visit.first / FPS - 0.5 / FPS <= time <= visit.last / FPS + 0.5 / FPS:
                    watch.update(frame, time)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        scored = [(w.visit, self._scores(w)) for w in self._watches if w.count]
        if not scored:
            raise AbsentError(
                "no-face", "no face is in sight at any of the times that are looked at"
            )
        lengths = [len(scores) for _, scores in scored]
        number = np.concatenate(
            [v.first + np.arange(n) for (v, _), n in zip(scored, lengths, strict=True)]
        )
        values: Values = {
            "track": np.repeat(np.array([v.track for v, _ in scored], np.int32), lengths),
            "person": np.repeat(np.array([v.person for v, _ in scored], np.int32), lengths),
            "time": number / FPS,
            "score": np.concatenate([scores for _, scores in scored]),
        }
        values["speaking"] = speaking(values)
        segments = self._clip.feature(Vad())["segments"]
        judged = speech_on_screen(values, segments, self._clip.duration)
        values["off_screen"] = judged.off_screen
        if judged.visible is None or judged.at_once is None:
            return values, {"speaker_visible": "no-speech", "at_once": "no-speech"}
        values["speaker_visible"] = np.array(judged.visible)
        values["at_once"] = np.array(judged.at_once)
        return values, {}

    def _scores(self, watch: _Watch) -> Scores:
        seen = watch.finish()
        heard = self._heard(watch.visit.first, len(seen))
        extractor = self._extractor
        total = np.zeros(len(seen))
        for length in extractor.windows:
            total += _windowed(self._network, heard, seen, round(length * FPS))
        return smoothed(total / len(extractor.windows), round(extractor.smoothing * FPS)).astype(
            np.float32
        )

    def _heard(self, first: int, count: int) -> Scores:
        """Features of the sound during a visit, (count, 128)."""
        rows = SAMPLE_RATE // STEP // FPS
        zero = first * rows * STEP - round(self._audio.start * SAMPLE_RATE)
        parts: list[Scores] = []
        for begin in range(0, count, _SOUND_CHUNK):
            end = min(count, begin + _SOUND_CHUNK)
            low, high = max(0, begin - CONTEXT), min(count, end + CONTEXT)
            coefficients = mfcc(self._audio.samples, zero + low * rows * STEP, (high - low) * rows)
            parts.append(self._network.hear(coefficients)[begin - low : end - low])
        return np.concatenate(parts)


def _windowed(network: LrAsd, heard: Scores, seen: Scores, length: int) -> Scores:
    """Scores of pieces of one length, the last of which may be shorter; (n,)."""
    count = len(seen)
    whole = count // length * length
    parts: list[Scores] = []
    if whole:
        pieces = (x[:whole].reshape(-1, length, x.shape[1]) for x in (heard, seen))
        parts.append(network.score(*pieces).ravel())
    if whole < count:
        parts.append(network.score(heard[None, whole:], seen[None, whole:])[0])
    return np.concatenate(parts)


def smoothed(values: Floats, width: int) -> Floats:
    """Moving average; at the ends over fewer values.

    Args:
        values: (n,).
        width: Number of values in an average; an even one is raised by 1, 0 and 1 change nothing.

    Returns:
        (n,).

    Examples:
        >>> smoothed(np.array([0.0, 3.0, 0.0, 3.0]), 3).tolist()
        [1.5, 1.0, 2.0, 1.5]
    """
    half = width // 2
    total = np.concatenate(((0.0,), np.cumsum(values)))
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    mean: Floats = (total[high] - total[low]) / (high - low)
    return mean


def turns(values: Values, rule: SpeakingRule | None = None) -> list[Turn]:
    """Who speaks when.

    Args:
        values: Values of the extractor `active_speaker`.
        rule: Thresholds; None for the defaults.

    Returns:
        Turns in order of their start, then of their track; those of one track do not overlap.

    Examples:
        >>> score = np.repeat(np.array([-1.0, 1.0, -1.0], np.float32), 25)
        >>> track = np.zeros(75, np.int32)
        >>> turns({"track": track, "time": np.arange(75) / 25, "score": score})
        [Turn(start=1.0, end=2.0, track=0)]
    """
    rule = rule or SpeakingRule()
    found: list[Turn] = []
    for own in _runs(values):
        times, spoken = values["time"][own], _spoken(values["score"][own], rule)
        edges = np.flatnonzero(np.diff(np.concatenate(((False,), spoken, (False,)))))
        for begin, end in edges.reshape(-1, 2):
            start, stop = float(times[begin]), float(times[end - 1] + 1 / FPS)
            found.append(Turn(start, stop, int(values["track"][own[0]])))
    return sorted(found, key=lambda turn: (turn.start, turn.track))


def speaking(values: Values, rule: SpeakingRule | None = None) -> npt.NDArray[np.bool_]:
    """Whether each row's person speaks, with short pauses filled and short turns left out.

    Args:
        values: Values of the extractor `active_speaker`.
        rule: Thresholds; None for the defaults.

    Returns:
        (rows,).
    """
    rule = rule or SpeakingRule()
    result = np.zeros(len(values["time"]), bool)
    for own in _runs(values):
        result[own] = _spoken(values["score"][own], rule)
    return result


def _runs(values: Values) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of the rows of each visit: one track, without a gap."""
    step = np.diff(values["time"]) * FPS
    breaks = (np.diff(values["track"]) != 0) | (step > 1.5) | (step < 0.5)
    for own in np.split(np.arange(len(values["time"])), np.flatnonzero(breaks) + 1):
        if len(own):
            yield own


def _spoken(score: Scores, rule: SpeakingRule) -> npt.NDArray[np.bool_]:
    spoken = score >= rule.threshold
    spoken = _without(spoken, value=False, length=rule.max_pause, edges=False)
    return _without(spoken, value=True, length=rule.min_turn, edges=True)


def _without(
    flags: npt.NDArray[np.bool_], *, value: bool, length: float, edges: bool
) -> npt.NDArray[np.bool_]:
    """Flags with the runs of a value that are shorter than a length turned over.

    Args:
        flags: (n,): 25 a second.
        value: Of the runs.
        length: In seconds; runs of at least this length stay.
        edges: Whether runs at the first and the last flag are turned over too.
    """
    result = flags.copy()
    bounds = np.concatenate(((0,), np.flatnonzero(np.diff(flags)) + 1, (len(flags),)))
    for begin, end in itertools.pairwise(bounds.tolist()):
        at_edge = begin == 0 or end == len(flags)
        if (
            flags[begin] == value
            and (end - begin) / FPS < length - _SLACK
            and (edges or not at_edge)
        ):
            result[begin:end] = not value
    return result


@dataclass(frozen=True, slots=True)
class OnScreen:
    """Whose speech it is that is heard: a visible person's or not.

    Attributes:
        off_screen: (n, 2): start and end of speech during which no visible person speaks, in seconds.
        visible: Share of the speech that is not off-screen; None without speech.
        at_once: Share of the speech during which several people speak; None without speech.
    """

    off_screen: Floats
    visible: float | None
    at_once: float | None


def speech_on_screen(
    values: Values, segments: Floats, duration: float, rule: SpeakingRule | None = None
) -> OnScreen:
    """How much of the speech is that of visible people.

    Args:
        values: Values of the extractor `active_speaker`.
        segments: (n, 2): start and end of speech in seconds, as in `vad`.
        duration: Length of the pictures in seconds; speech after it is left out.
        rule: Thresholds; None for the defaults.
    """
    rule = rule or SpeakingRule()
    count = max(1, int(np.ceil(duration * FPS - _SLACK)))
    middle = (np.arange(count) + 0.5) / FPS
    speech = np.zeros(count, bool)
    for start, end in segments:
        speech |= (middle >= start) & (middle < end)
    persons = np.zeros(count, np.int64)
    spoken = speaking(values, rule)
    number = np.rint(values["time"] * FPS).astype(np.int64)
    at = np.unique(np.stack((number[spoken], values["person"][spoken])), axis=1)[0]
    np.add.at(persons, at[at < count], 1)
    alone = _without(speech & (persons == 0), value=True, length=rule.min_off_screen, edges=True)
    edges = np.flatnonzero(np.diff(np.concatenate(((False,), alone, (False,)))))
    spans = edges.reshape(-1, 2).astype(np.float64) / FPS
    if not speech.any():
        return OnScreen(spans, None, None)
    total = int(speech.sum())
    return OnScreen(
        spans, 1 - float(alone.sum()) / total, float((speech & (persons > 1)).sum()) / total
    )
