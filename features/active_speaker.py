"""Active speaker detection by LR-ASD: which visible person speaks when, and off-screen speech."""

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
from theval_datasets.utils.optional import available, require

from .faces import Faces
from .networks.lr_asd import FPS, LrAsd
from .people.visits import Visit, VisitEncoder, visits
from .vad import Vad

_SLACK: Final = 1e-6

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpeakingRule:
    """Thresholds that convert scores to turns; changing them needs no new extraction.

    Attributes:
        threshold: Score from which a person speaks.
        speech_only: Whether a person counts as speaking only where speech is heard (`vad`); the network
            alone takes a moving face for speaking during pauses too.
        min_turn: Minimum length of a turn in seconds; shorter ones are left out.
        max_pause: Maximum length of a pause within a turn in seconds; shorter ones are filled.
        min_off_screen: Minimum length of off-screen speech in seconds.
    """

    threshold: float = 0.0
    speech_only: bool = True
    min_turn: float = 0.2
    max_pause: float = 0.2
    min_off_screen: float = 0.4


class Turn(NamedTuple):
    """A span in which a person speaks.

    Attributes:
        start: Start in seconds.
        end: End in seconds.
        track: Number of the track, as in `faces`.
    """

    start: float
    end: float
    track: int


@dataclass(frozen=True)
class ActiveSpeaker(Extractor):
    """Whether each visible person speaks, 25 times a second, by track.

    LR-ASD uses the face and the sound. It detects that a person speaks while there is speech, but not whose
    voice is heard (a person who moves the lips while somebody else speaks is taken for speaking), nor the
    offset between sound and picture. A face that lies on its side is hardly ever taken for speaking. Pictures
    of people are included only on request.

    Attributes:
        windows: Lengths in seconds of the pieces that are scored; the score is the mean over all lengths.
            The authors use 1 to 6 s; with the longer ones, high scores extend into the silence after speech.
        smoothing: Length in seconds over which scores are averaged.
        most: Maximum number of simultaneous tracks; the least prominent people are left out, and their
            speech counts as off-screen.
        pictures: Whether pictures of people are included.
    """

    windows: tuple[float, ...] = (1.0, 2.0)
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
        Column("speech", "bool", ("row",), "Whether speech is heard at that time, as in `vad`."),
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
            "Share of the speech during which a visible person speaks, by LR-ASD; whose voice is heard it does not tell.",
            nullable=True,
            low=0,
            high=1,
        ),
        Column(
            "speaking_at_once",
            "float64",
            (),
            "Share of the speech during which several visible people speak at once, by LR-ASD.",
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
        if not available("onnx"):
            require("onnx", extra="faces")  # raises the error that says how to get it
        return f"lr-asd-{content_hash(need(known('lr-asd')))}"

    def setup(self) -> Any:
        """Load the network."""
        return LrAsd(need(known("lr-asd")))

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Begin with the tracks; without sound no frames are needed."""
        faces, audio = clip.feature(Faces()), clip.audio()
        return _SpeakerScorer(
            self, clip, model, visits(faces, most=self.most, pictures=self.pictures), audio
        )


class _SpeakerScorer:
    """Encodes the crops of all visits, and scores them with the sound at the end."""

    def __init__(
        self,
        extractor: ActiveSpeaker,
        clip: ClipInputs,
        network: LrAsd,
        spans: Sequence[Visit],
        audio: Audio,
    ) -> None:
        self._extractor = extractor
        self._clip = clip
        self._network = network
        self._encoders = [VisitEncoder(visit, network) for visit in spans]
        self._audio = audio

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            for encoder in self._encoders:
                visit = encoder.visit
                if visit.first / FPS - 0.5 / FPS <= time <= visit.last / FPS + 0.5 / FPS:
                    encoder.update(frame, time)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        scored = [(w.visit, self._scores(w)) for w in self._encoders if w.count]
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
        segments = self._clip.feature(Vad())["segments"]
        values["speech"] = speech_at(values["time"], segments)
        values["speaking"] = speaking(values)
        judged = speech_on_screen(values, segments, self._clip.duration)
        values["off_screen"] = judged.off_screen
        if judged.visible is None or judged.speaking_at_once is None:
            return values, {"speaker_visible": "no-speech", "speaking_at_once": "no-speech"}
        values["speaker_visible"] = np.array(judged.visible)
        values["speaking_at_once"] = np.array(judged.speaking_at_once)
        return values, {}

    def _scores(self, encoder: VisitEncoder) -> Scores:
        video_features, audio = encoder.finish(), self._audio
        begin = round((encoder.visit.first / FPS - audio.start) * SAMPLE_RATE)
        audio_features = self._network.embed_samples(audio.samples, begin, len(video_features))
        mean = self._network.mean_scores(audio_features, video_features, self._extractor.windows)
        return smoothed(mean, round(self._extractor.smoothing * FPS)).astype(np.float32)


def smoothed(values: Floats, width: int) -> Floats:
    """Moving average, over fewer values at both ends.

    Args:
        values: Values, (n,).
        width: Number of values in an average; an even number is raised by 1; 0 and 1 change nothing.

    Returns:
        Averages, (n,).

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
    """Turns of all people.

    Args:
        values: Values of the extractor `active_speaker`.
        rule: Thresholds; None for the defaults.

    Returns:
        Turns sorted by start, then by track; those of one track do not overlap.

    Examples:
        >>> score = np.repeat(np.array([-1.0, 1.0, -1.0], np.float32), 25)
        >>> track = np.zeros(75, np.int32)
        >>> values = {"track": track, "time": np.arange(75) / 25, "score": score}
        >>> turns(values | {"speech": np.ones(75, bool)})
        [Turn(start=1.0, end=2.0, track=0)]
    """
    rule = rule or SpeakingRule()
    result: list[Turn] = []
    for own in _runs(values):
        times, spoken = values["time"][own], _spoken(values, own, rule)
        edges = np.flatnonzero(np.diff(np.concatenate(((False,), spoken, (False,)))))
        for begin, end in edges.reshape(-1, 2):
            stop = (round(float(times[end - 1]) * FPS) + 1) / FPS
            result.append(Turn(float(times[begin]), stop, int(values["track"][own[0]])))
    return sorted(result, key=lambda turn: (turn.start, turn.track))


def speaking(values: Values, rule: SpeakingRule | None = None) -> npt.NDArray[np.bool_]:
    """Whether each row's person speaks, with short pauses filled and short turns left out.

    Args:
        values: Values of the extractor `active_speaker`.
        rule: Thresholds; None for the defaults.

    Returns:
        (rows,).

    Examples:
        >>> values = {"track": np.zeros(50, np.int32), "time": np.arange(50) / 25}
        >>> values |= {"speech": np.ones(50, bool)}
        >>> score = np.repeat(np.array([-1.0, 1.0], np.float32), 25)
        >>> int(speaking(values | {"score": score}).sum())
        25
    """
    rule = rule or SpeakingRule()
    result = np.zeros(len(values["time"]), bool)
    for own in _runs(values):
        result[own] = _spoken(values, own, rule)
    return result


def _runs(values: Values) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of the rows of each visit: one track, without a gap."""
    step = np.diff(values["time"]) * FPS
    breaks = (np.diff(values["track"]) != 0) | (step > 1.5) | (step < 0.5)
    for own in np.split(np.arange(len(values["time"])), np.flatnonzero(breaks) + 1):
        if len(own):
            yield own


def speech_at(times: Floats, segments: Floats) -> npt.NDArray[np.bool_]:
    """Whether speech is heard in the middle of each picture.

    Args:
        times: (n,): times of pictures at 25 a second, in seconds.
        segments: (m, 2): start and end of speech in seconds, as in `vad`.

    Returns:
        (n,).

    Examples:
        >>> speech_at(np.array([0.0, 0.04, 0.08]), np.array([[0.05, 0.2]])).tolist()
        [False, True, True]
    """
    middle = times + 0.5 / FPS
    is_speech = np.zeros(len(times), bool)
    for start, end in segments:
        is_speech |= (middle >= start) & (middle < end)
    return is_speech


def _spoken(
    values: Values, own: npt.NDArray[np.int64], rule: SpeakingRule
) -> npt.NDArray[np.bool_]:
    """Whether a person speaks in the rows of one visit."""
    spoken = values["score"][own] >= rule.threshold
    if rule.speech_only:
        spoken &= values["speech"][own]
    spoken = _without(spoken, value=False, length=rule.max_pause, edges=False)
    return _without(spoken, value=True, length=rule.min_turn, edges=True)


def _without(
    flags: npt.NDArray[np.bool_], *, value: bool, length: float, edges: bool
) -> npt.NDArray[np.bool_]:
    """Flags in which short runs of a value are inverted.

    Args:
        flags: (n,): 25 a second.
        value: Value of the runs to invert.
        length: Length in seconds; runs of at least this length are kept.
        edges: Whether runs at the first and the last flag are inverted too.
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
    """Division of the speech into that of visible people and off-screen speech.

    Attributes:
        off_screen: (n, 2): start and end of speech during which no visible person speaks, in seconds.
        visible: Share of the speech that is not off-screen; None without speech.
        speaking_at_once: Share of the speech during which several people speak; None without speech.
    """

    off_screen: Floats
    visible: float | None
    speaking_at_once: float | None


def speech_on_screen(
    values: Values, segments: Floats, duration: float, rule: SpeakingRule | None = None
) -> OnScreen:
    """Divide the speech into that of visible people and off-screen speech.

    Args:
        values: Values of the extractor `active_speaker`.
        segments: (n, 2): start and end of speech in seconds, as in `vad`.
        duration: Length of the pictures in seconds; speech after it is left out.
        rule: Thresholds; None for the defaults.

    Examples:
        >>> values = {"track": np.zeros(50, np.int32), "person": np.zeros(50, np.int32)}
        >>> values |= {"time": np.arange(50) / 25, "speech": np.ones(50, bool)}
        >>> values |= {"score": np.repeat(np.array([-1.0, 1.0], np.float32), 25)}
        >>> divided = speech_on_screen(values, np.array([[0.0, 2.0]]), duration=2.0)
        >>> divided.off_screen.tolist(), divided.visible
        ([[0.0, 1.0]], 0.5)
    """
    rule = rule or SpeakingRule()
    count = max(1, int(np.ceil(duration * FPS - _SLACK)))
    speech = speech_at(np.arange(count) / FPS, segments)
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
