"""Lip sync by SyncNet: LSE-C, LSE-D and the offset of the sound."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError, InputError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FrameRequest, Frames

from .faces import Faces
from .formulas.lip_sync import SHIFT, lip_sync, mean_distances
from .formulas.mfcc import STEP, mfcc
from .networks import syncnet as _syncnet
from .people.face_crops import FPS, FacePath, face_path
from .people.grouping import KINDS
from .people.tracks import sightings, stretches

_BATCH: Final = 16  # windows that are embedded at once

Pixels = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AvSync(Extractor):
    """Lip sync of every face with the sound, as the authors of SyncNet measure it.

    A stretch is a span in which a face is visible without a gap of more than a second; it is cropped to
    224 × 224 at 25 crops a second. SyncNet embeds windows of 5 crops and the sound of the same time, and the
    distance of the two embeddings is averaged over the stretch for offsets of up to 15 crops. LSE-D is the
    smallest mean distance, LSE-C the median of the mean distances minus the smallest. The clip's values are
    those of the stretch with the highest LSE-C, which among several people is the speaker's. Faces are
    detected by `faces`, five times a second, instead of S3FD, so values differ slightly from those of the
    authors' programs.

    Attributes:
        min_seconds: Minimum length of a stretch in seconds; the authors' program requires 100 crops.
        max_seconds: Maximum length of a stretch in seconds; longer ones are divided into equal parts.
    """

    min_seconds: float = 4.0
    max_seconds: float = 60.0

    name: ClassVar[str] = "av_sync"
    source: ClassVar[str] = (
        "Chung and Zisserman, Out of Time: Automated Lip Sync in the Wild (2016); LSE-C and LSE-D as in "
        "Prajwal et al., A Lip Sync Expert Is All You Need (2020)"
    )
    extra: ClassVar[str | None] = _syncnet.EXTRA
    imports: ClassVar[tuple[str, ...]] = ("torch",)
    default_enabled: ClassVar[bool] = False
    second_pass: ClassVar[bool] = True
    gpus: ClassVar[float] = 0.1
    writes: ClassVar[tuple[Column, ...]] = (
        Column("lse_c", "float64", (), "LSE-C, the confidence of lip sync.", low=0),
        Column("lse_d", "float64", (), "LSE-D, the distance of face and sound.", low=0),
        Column(
            "av_offset",
            "int32",
            (),
            "Time by which the sound is ahead of the picture; below 0 it is late.",
            unit="1/25 s",
            low=-SHIFT,
            high=SHIFT,
        ),
        Column(
            "track", "int32", ("stretch",), "Number of the stretch's track, as in `faces`.", low=0
        ),
        Column("person", "int32", ("stretch",), "Number of its person.", low=0),
        Column("start", "float64", ("stretch",), "Start of the stretch.", unit="s", low=0),
        Column("end", "float64", ("stretch",), "End of the stretch.", unit="s", low=0),
        Column("confidence", "float64", ("stretch",), "LSE-C of the stretch.", low=0),
        Column("distance", "float64", ("stretch",), "LSE-D of the stretch.", low=0),
        Column(
            "offset",
            "int32",
            ("stretch",),
            "Time by which the sound is ahead of the picture.",
            unit="1/25 s",
            low=-SHIFT,
            high=SHIFT,
        ),
        Column(
            "curve",
            "float32",
            ("stretch", 2 * SHIFT + 1),
            "Mean distance at each offset, from 15 ahead to 15 late.",
            low=0,
        ),
    )

    def __post_init__(self) -> None:
        shortest = (_syncnet.WINDOW + 1) / FPS
        if not shortest <= self.min_seconds <= self.max_seconds:
            raise InputError(
                f"expected {shortest:g} <= min_seconds <= max_seconds, got {self.min_seconds} and "
                f"{self.max_seconds}"
            )

    @property
    def frames(self) -> FrameRequest:
        """Every frame at full size."""
        return FrameRequest(colour="bgr")

    @property
    def needs_audio(self) -> bool:
        """Always."""
        return True

    def needs(self) -> Sequence[Extractor]:
        """Tracks of faces."""
        return (Faces(),)

    def weights(self) -> Sequence[Weights]:
        """SyncNet's."""
        return (known(_syncnet.WEIGHTS),)

    def weights_id(self) -> str:
        """Hash of the weights."""
        return _syncnet.identity()

    def setup(self) -> _syncnet.SyncNet:
        """Load the network."""
        return _syncnet.SyncNet()

    def open(self, clip: ClipInputs, model: _syncnet.SyncNet) -> _Synchroniser:
        """Find the stretches of faces during which there is sound."""
        faces = clip.feature(Faces())
        audio = clip.audio()
        parts = self._parts(faces, audio)
        if not parts:
            raise AbsentError(
                "short-track", f"no face is seen for {self.min_seconds:g} s at a time with sound"
            )
        return _Synchroniser(parts, audio, model)

    def _parts(self, faces: Values, audio: Audio) -> list[_Part]:
        """The stretches in order of their start, divided where they are too long."""
        audible = (int(np.ceil(audio.start * FPS - 1e-6)), int(audio.end * FPS + 1e-6))
        parts: list[_Part] = []
        for track in np.flatnonzero(faces["track_kind"] == KINDS.index("person")).tolist():
            own = sightings(faces, track)
            times, boxes = faces["time"][faces["sample"][own]], faces["box"][own]
            person = int(faces["track_person"][track])
            for a, b in stretches(times):
                first = max(audible[0], int(np.ceil(times[a] * FPS - 1e-6)))
                last = min(audible[1], int(times[b - 1] * FPS + 1e-6) + 1)
                if last - first < self.min_seconds * FPS:
                    continue
                count = -(-(last - first) // int(self.max_seconds * FPS))
                edges = np.linspace(first, last, count + 1).astype(int).tolist()
                parts += [
                    _Part(track, person, face_path(times[a:b], boxes[a:b], *edge))
                    for edge in itertools.pairwise(edges)
                ]
        return sorted(parts, key=lambda part: (part.path.first, part.track))


class _Part:
    """A stretch of a face; its crops are embedded as they arrive."""

    def __init__(self, track: int, person: int, path: FacePath) -> None:
        self.track = track
        self.person = person
        self.path = path
        self._waiting: list[Pixels] = []
        self._embedded: list[Embeddings] = []

    def add(self, crop: Pixels, model: _syncnet.SyncNet) -> None:
        """Take the next crop."""
        self._waiting.append(crop)
        if len(self._waiting) == _BATCH + _syncnet.WINDOW - 1:
            self._embed(model)

    def _embed(self, model: _syncnet.SyncNet) -> None:
        self._embedded.append(model.embed_faces(self._waiting))
        self._waiting = self._waiting[1 - _syncnet.WINDOW :]

    def distances(self, audio: Audio, model: _syncnet.SyncNet) -> npt.NDArray[np.float64]:
        """Mean distance between face and sound for each offset."""
        if len(self._waiting) >= _syncnet.WINDOW:
            self._embed(model)
        steps = SAMPLE_RATE // STEP // FPS
        begin = self.path.first * steps * STEP - round(audio.start * SAMPLE_RATE)
        # one crop fewer than available, as in the authors' program
        rows = (self.path.last - self.path.first - 1) * steps
        sounds = model.embed_sounds(mfcc(audio.samples, begin, rows))
        faces = np.concatenate(self._embedded)
        count = min(len(faces), len(sounds))
        return mean_distances(faces[:count], sounds[:count])


class _Synchroniser:
    """Crops the faces of all stretches from the frames nearest in time."""

    def __init__(self, parts: Sequence[_Part], audio: Audio, model: _syncnet.SyncNet) -> None:
        self._parts = parts
        self._audio = audio
        self._model = model
        self._next = min(part.path.first for part in parts)
        self._last = max(part.path.last for part in parts)
        self._shown: tuple[Pixels, float] | None = None

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            if self._shown is not None:
                between = (self._shown[1] + time) / 2
                self._cut(self._shown[0], int(between * FPS + 1e-6) + 1)
            self._shown = (frame, time)

    def _cut(self, frame: Pixels, end: int) -> None:
        """Cut the crops before number `end`."""
        for number in range(self._next, min(end, self._last)):
            for part in self._parts:
                if part.path.first <= number < part.path.last:
                    part.add(part.path.cut(frame, number), self._model)
            self._next = number + 1

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if self._shown is not None:
            self._cut(self._shown[0], self._last)
        curves = np.stack([part.distances(self._audio, self._model) for part in self._parts])
        results = [lip_sync(curve) for curve in curves]
        best = max(results, key=lambda result: result.confidence)
        return {
            "lse_c": np.array(best.confidence),
            "lse_d": np.array(best.distance),
            "av_offset": np.array(best.offset, np.int32),
            "track": np.array([part.track for part in self._parts], np.int32),
            "person": np.array([part.person for part in self._parts], np.int32),
            "start": np.array([part.path.first / FPS for part in self._parts]),
            "end": np.array([part.path.last / FPS for part in self._parts]),
            "confidence": np.array([result.confidence for result in results]),
            "distance": np.array([result.distance for result in results]),
            "offset": np.array([result.offset for result in results], np.int32),
            "curve": curves.astype(np.float32),
        }, {}
