"""Faces, tracks and people of a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError, MissingExtraError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, fetch_if_missing, known, warn_once
from theval_datasets.media import SlotPicker
from theval_datasets.media.frames import FrameRequest, Frames
from theval_datasets.utils.optional import available, install_command

from .formulas.seams import HEIGHT, SeamDetector
from .people.detector import Detector, MediaPipeDetector, Scrfd
from .people.grouping import KINDS, Tracklet, group_tracks
from .people.pack import DEFAULT, Recogniser, find_pack, need_pack, weights_of
from .people.tracks import ShotDetector, TrackLinker

FPS: Final = 5.0
EMBEDDED_FPS: Final = 1.0


@dataclass(frozen=True)
class Faces(Extractor):
    """All faces in five frames a second, linked into tracks and people.

    SCRFD detects the faces (a picture without detections is scanned again with a border, for faces that
    fill it). Faces are linked by overlap and, across gaps, by identity; a change of shot ends a track.
    Embeddings are computed once a second and at the start of every tracklet. Positions between sightings
    are interpolated linearly. Beside a moving face, these are flagged and not counted as people: a face
    that hardly moves, a second face of the same person, and a face with the same motion beyond a seam of
    the picture (inset portraits, panels, a driving video).

    Attributes:
        backend: `insightface`; `mediapipe`, the fallback, which has no identities; or `auto`:
            `insightface` if a pack is installed, else `mediapipe`. The cache key contains the choice.
        pack: Folder name of the InsightFace pack; None for buffalo_l, or else any installed pack.
        same: Minimum cosine similarity of the embeddings of one person.
    """

    backend: Literal["auto", "insightface", "mediapipe"] = "auto"
    pack: str | None = None
    same: float = 0.4

    name: ClassVar[str] = "faces"
    version: ClassVar[int] = 2
    source: ClassVar[str] = (
        "Guo et al., Sample and Computation Redistribution for Efficient Face Detection (2021) "
        "for faces; tracks and people are defined by this package"
    )
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)
    writes: ClassVar[tuple[Column, ...]] = (
        Column("n_subjects", "int32", (), "Number of people in the clip.", low=0),
        Column("time", "float64", ("sample",), "Times of the sampled frames.", unit="s", low=0),
        Column("frame", "int64", ("sample",), "Their indices among the clip's frames.", low=0),
        Column("shot", "int32", ("sample",), "Number of the shot of each sampled frame.", low=0),
        Column(
            "sample",
            "int32",
            ("detection",),
            "Index of the detection's sampled frame.",
            low=0,
        ),
        Column("track", "int32", ("detection",), "Number of the detection's track.", low=0),
        Column(
            "box",
            "float32",
            ("detection", 4),
            "Left, top, right, bottom; may reach beyond the frame.",
            unit="px",
        ),
        Column(
            "points",
            "float32",
            ("detection", 5, 2),
            "Eyes, nose, mouth corners; may be outside the frame.",
            unit="px",
        ),
        Column("score", "float32", ("detection",), "The detector's confidence.", low=0, high=1),
        Column("embedded", "int32", ("embedding",), "Index of each embedding's detection.", low=0),
        Column(
            "embedding",
            "float32",
            ("embedding", "dim"),
            "Embeddings, of length 1.",
            low=-1,
            high=1,
        ),
        Column(
            "track_person", "int32", ("track",), "Number of the person; 0 is the main one.", low=0
        ),
        Column(
            "track_kind",
            "int8",
            ("track",),
            "0 person, 1 still, 2 duplicate, 3 brief.",
            low=0,
            high=3,
        ),
        Column(
            "track_start", "float64", ("track",), "Time of the first sighting.", unit="s", low=0
        ),
        Column("track_end", "float64", ("track",), "Time of the last sighting.", unit="s", low=0),
        Column("width", "int32", (), "Width of the frames, upright.", unit="px", low=1),
        Column("height", "int32", (), "Height of the frames, upright.", unit="px", low=1),
    )

    @property
    def frames(self) -> FrameRequest:
        """Five frames a second, at full size."""
        return FrameRequest(fps=FPS, colour="bgr")

    def weights(self) -> Sequence[Weights]:
        """The InsightFace pack, and MediaPipe's detector, which is part of its package."""
        any_pack = (known("insightface-pack"),) if self.pack is None else ()
        return (weights_of(self.pack), *any_pack, known("mediapipe"))

    def has_weights(self) -> bool:
        """Whether a pack is installed; a default run does not use the fallback."""
        return self.backend == "mediapipe" or find_pack(self.pack) is not None

    def fetch_weights(self) -> None:
        """Download the default pack if there is none; warn if MediaPipe's detector is used instead."""
        if self.backend != "mediapipe" and available("insightface") and not self.has_weights():
            fetch_if_missing(weights_of(self.pack))
        if self.backend == "auto" and not self.uses_insightface():
            warn_once(self.fallback())

    def fallback(self) -> str:
        """Explanation of the fallback, and how to get a pack."""
        lacking = "" if available("insightface") else f"{install_command('faces')}, then "
        return (
            "No InsightFace pack is installed: faces are detected with MediaPipe instead, which misses "
            "small faces, and people cannot be told apart. "
            f"{lacking}`theval-data models fetch {self.pack or DEFAULT}` downloads one."
        )

    def weights_id(self) -> str:
        """Hashes of the pack's files, or MediaPipe's version."""
        if self.uses_insightface():
            return need_pack(self.pack).identity()
        return MediaPipeDetector.identity()

    def uses_insightface(self) -> bool:
        """Whether insightface is the backend on this machine.

        Raises:
            MissingExtraError, WeightsMissingError: The backend is `insightface`, and it is not installed
                or has no pack.
        """
        if self.backend == "mediapipe":
            return False
        if self.backend == "insightface":
            if not available("insightface"):
                raise MissingExtraError(
                    "insightface is not installed; the extra [faces] installs it: "
                    f"{install_command('faces')}"
                )
            need_pack(self.pack)
            return True
        return available("insightface") and find_pack(self.pack) is not None

    def setup(self) -> Any:
        """Load the detector and, if the backend has one, the recogniser."""
        if not self.uses_insightface():
            return MediaPipeDetector(), None
        pack = need_pack(self.pack)
        return Scrfd(pack.detector), Recogniser(pack.recogniser) if pack.recogniser else None

    def open(self, clip: ClipInputs, model: Any) -> _FaceTracker:
        """Start without tracks."""
        detector, recogniser = model
        return _FaceTracker(clip, detector, recogniser, self.same)


class _FaceTracker:
    def __init__(
        self, clip: ClipInputs, detector: Detector, recogniser: Recogniser | None, same: float
    ) -> None:
        self._clip = clip
        self._detector = detector
        self._recogniser = recogniser
        self._same = same
        self._shots = ShotDetector()
        self._seams = SeamDetector()
        self._linker = TrackLinker()
        self._slots = SlotPicker(EMBEDDED_FPS)
        self._shot = 0
        self._times: list[float] = []
        self._frames: list[int] = []
        self._shot_of: list[int] = []
        self._scores: list[float] = []
        self._embedded: list[int] = []
        self._embeddings: list[npt.NDArray[np.float32]] = []
        self._tracklets: dict[int, Tracklet] = {}

    def update(self, batch: Frames) -> None:
        due = self._slots.take(batch.times)
        for i, frame in enumerate(batch.pixels):
            self._add_frame(frame, float(batch.times[i]), int(batch.indices[i]), bool(due[i]))

    def _add_frame(self, frame: npt.NDArray[np.uint8], time: float, index: int, due: bool) -> None:
        import cv2

        small = _small(frame)
        cut = self._shots.is_cut(small)
        self._shot += cut
        self._seams.update(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
        result = self._detector.find(frame)
        sample = len(self._times)
        self._times.append(time)
        self._frames.append(index)
        self._shot_of.append(self._shot)
        for i, link in enumerate(self._linker.link(time, frame, result, cut=cut)):
            tracklet = self._tracklets.setdefault(link.tracklet, Tracklet(self._shot))
            number = len(self._scores)
            self._scores.append(float(result.scores[i]))
            tracklet.samples.append(sample)
            tracklet.boxes.append(result.boxes[i])
            tracklet.points.append(result.points[i])
            tracklet.scores.append(float(result.scores[i]))
            tracklet.detections.append(number)
            if not link.new:
                tracklet.changes.append(link.change)
            if self._recogniser is not None and (due or link.new):
                embedding = self._recogniser.embed(frame, result.points[i])
                tracklet.embeddings.append(embedding)
                self._embedded.append(number)
                self._embeddings.append(embedding)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if not self._tracklets:
            raise AbsentError("no-face", f"no face in any of {len(self._times)} sampled frames")
        tracklets, n_samples = list(self._tracklets.values()), len(self._times)
        people = group_tracks(tracklets, n_samples, self._same, self._seams.seams(self._clip.size))
        if not people.n_subjects:
            raise AbsentError("no-face", "faces were detected for a moment only")
        count = len(self._scores)
        sample = np.zeros(count, np.int32)
        track = np.zeros(count, np.int32)
        box = np.zeros((count, 4), np.float32)
        points = np.zeros((count, 5, 2), np.float32)
        for number, result in enumerate(people.tracks):
            sample[result.detections] = result.samples
            track[result.detections] = number
            box[result.detections] = np.stack(result.boxes)
            points[result.detections] = np.stack(result.points)
        times = np.array(self._times)
        width, height = self._clip.size
        dim = len(self._embeddings[0]) if self._embeddings else 0
        return {
            "n_subjects": np.array(people.n_subjects, np.int32),
            "time": times,
            "frame": np.array(self._frames, np.int64),
            "shot": np.array(self._shot_of, np.int32),
            "sample": sample,
            "track": track,
            "box": box,
            "points": points,
            "score": np.array(self._scores, np.float32),
            "embedded": np.array(self._embedded, np.int32),
            "embedding": np.array(self._embeddings, np.float32).reshape(len(self._embedded), dim),
            "track_person": np.array(people.person, np.int32),
            "track_kind": np.array([KINDS.index(kind) for kind in people.kind], np.int8),
            "track_start": times[[t.samples[0] for t in people.tracks]],
            "track_end": times[[t.samples[-1] for t in people.tracks]],
            "width": np.array(width, np.int32),
            "height": np.array(height, np.int32),
        }, {}


def _small(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A frame scaled down to the height at which seams are detected."""
    import cv2

    scale = HEIGHT / len(frame)
    if scale >= 1:
        return frame
    small: npt.NDArray[np.uint8] = cv2.resize(
        frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    return small
