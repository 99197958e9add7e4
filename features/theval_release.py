"""THEval's signal metrics as computed by the authors' public code: the definition `release`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.errors import AbsentError, DigitalSilenceError, NoAudioError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import Points
from theval_datasets.extraction.outcomes import Values, compute_each
from theval_datasets.extraction.weights import Weights
from theval_datasets.media.frames import SAMPLE_RATE, FrameRequest, Frames

from .formulas import release_signals as _release
from .formulas.release_signals import Floats, Segments
from .landmarks import Landmarks
from .networks.face_mesh import FaceMesh
from .theval_signals import ThevalSignals
from .vad import Vad, speech_probability, speech_segments

METRICS: Final = ("lip_dynamics", "eyebrow_dynamics", "silent_lip_stability", "lip_sync")


@dataclass(frozen=True)
class ThevalRelease(Extractor):
    """Four signal metrics of the published code, from four mesh passes over one decode.

    The passes, each with its own tracker, are: refined on frames scaled to 256×256 (lip dynamics), refined
    at full size (eyebrow dynamics), refined at 256×256 on the silent frames only, in order (silent lip
    stability), and unrefined with red and blue swapped (lip sync). The first three use frames as read by
    OpenCV, the last as read by decord. Unlike in the published code, trackers are reset for every clip, and
    a clip without a face has no value instead of 0.

    Attributes:
        silent_speech: Start and end of speech in seconds for silent lip stability; None for our own VAD
            on the track from its own start, rounded to 0.1 s.
        sync_speech: Start and end of speech in seconds for lip sync, whose published code detects speech
            in another way; None for our own VAD.
    """

    silent_speech: Segments | None = None
    sync_speech: Segments | None = None

    name: ClassVar[str] = "theval_release"
    source: ClassVar[str] = "THEval, published code"
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = tuple(
        column for column in ThevalSignals.writes if column.name in METRICS
    )

    @property
    def frames(self) -> FrameRequest:
        """Frames as read by decord, and as read by OpenCV."""
        return FrameRequest(stored=True)

    @property
    def needs_audio(self) -> bool:
        """The audio track from its own start."""
        return True

    def weights(self) -> Sequence[Weights]:
        """Face Mesh and Silero VAD."""
        return (*Landmarks().weights(), *Vad().weights())

    def weights_id(self) -> str:
        """Versions of the packages that contain the models."""
        return f"{Landmarks().weights_id()}+{Vad().weights_id()}"

    def setup(self) -> _Models:
        """Load four meshes and the VAD."""

        def mesh(refine: bool) -> FaceMesh:
            return FaceMesh(max_faces=1, refine=refine, static=False)

        return _Models(mesh(True), mesh(True), mesh(True), mesh(False), Vad().setup())

    def open(self, clip: ClipInputs, model: _Models) -> _MeshPasses:
        """Reset the trackers, and determine the silent frames."""
        return _MeshPasses(self, clip, model)


@dataclass(frozen=True, slots=True)
class _Models:
    small: FaceMesh
    full: FaceMesh
    silent: FaceMesh
    swapped: FaceMesh
    vad: Any


class _MeshPasses:
    def __init__(self, extractor: ThevalRelease, clip: ClipInputs, models: _Models) -> None:
        self._clip = clip
        self._models = models
        for tracker in (models.small, models.full, models.silent, models.swapped):
            tracker.reset()
        self._no_audio = ""
        detected = self._listen()
        self._sync_speech = detected if extractor.sync_speech is None else extractor.sync_speech
        silent_speech = detected if extractor.silent_speech is None else extractor.silent_speech
        self._silent = _release.silent_frames(silent_speech, clip.header)
        self._lips: list[Floats] = []
        self._brows: list[Floats] = []
        self._openings: list[float] = []
        self._openness: list[float] = []

    def _listen(self) -> Segments:
        try:
            samples = self._clip.audio(aligned=False).samples
        except NoAudioError as error:
            self._no_audio = error.reason
            return ()
        except DigitalSilenceError:
            return ()  # the VAD of the published code detects no speech in it
        probability = speech_probability(self._models.vad, samples)
        rounded = np.round(speech_segments(probability, len(samples)) / SAMPLE_RATE, 1)
        return tuple((float(start), float(end)) for start, end in rounded)

    def update(self, batch: Frames) -> None:
        import cv2

        for index, stored, shown in zip(
            batch.indices.tolist(), batch.stored, batch.pixels, strict=True
        ):
            grid = cv2.resize(stored, (_release.GRID, _release.GRID))
            face = _first_face(self._models.small, grid)
            if face is not None:
                self._lips.append(_release.lip_distances(face))
            face = _first_face(self._models.full, stored)
            if face is not None:
                height, width = stored.shape[:2]
                brows = _release.brow_distances(face, width, height)
                if brows is not None:
                    self._brows.append(brows)
            if index < len(self._silent) and self._silent[index]:
                face = _first_face(self._models.silent, grid)
                if face is not None:
                    self._openings.append(_release.lip_opening(face))
            face = _first_face(self._models.swapped, shown[:, :, ::-1])
            self._openness.append(np.nan if face is None else _release.mouth_openness(face))

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        metrics: dict[str, Callable[[], float]] = {
            "lip_dynamics": lambda: _release.lip_dynamics(self._lips),
            "eyebrow_dynamics": lambda: _release.eyebrow_dynamics(self._brows),
            "silent_lip_stability": self._silent_lip_stability,
            "lip_sync": self._lip_sync,
        }
        if not self._lips and not self._brows and not np.isfinite(self._openness).any():
            raise AbsentError("no-face", f"no face in any of {len(self._openness)} frames")
        return compute_each(metrics)

    def _silent_lip_stability(self) -> float:
        if self._no_audio:
            raise AbsentError(self._no_audio)
        if not self._silent.any():
            raise AbsentError("no-silence")
        return _release.silent_lip_stability(self._openings)

    def _lip_sync(self) -> float:
        if self._no_audio:
            raise AbsentError(self._no_audio)
        rate, promised = self._clip.header.rate, self._clip.header.n_frames
        n = max(promised, len(self._openness))
        openness = np.full(n, np.nan)
        openness[: len(self._openness)] = self._openness
        speech = _release.speech_frames(self._sync_speech, rate, n)
        if not speech.any():
            raise AbsentError("no-speech")
        audio = self._clip.audio(_release.AUDIO_RATE, aligned=False)
        return _release.lip_sync(openness, _release.frame_loudness(audio, rate, n), speech)


def _first_face(tracker: FaceMesh, frame: Any) -> Points | None:
    return next(iter(tracker.faces(frame)), None)
