"""THEval's five signal metrics of a clip, `paper` definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import PixelMesh, face_width
from theval_datasets.extraction.outcomes import Array, Values, compute_each

from .formulas import signals as _signals
from .head_pose import HeadPose
from .landmarks import Landmarks
from .loudness import Loudness
from .vad import Vad


@dataclass(frozen=True)
class ThevalSignals(Extractor):
    """Lip dynamics, head motion, eyebrow dynamics, silent lip stability and lip sync.

    Head motion has two columns: the literal definition, with the drift of the centre in pixels, and one
    with the drift in face widths. Metrics are pure functions of cached features (`formulas.signals`), so
    that a change of a metric needs no decoding. A metric that is undefined for a clip is left out, with its
    reason. Where the paper is ambiguous, docs/concepts/metrics.md states what `paper` means here.
    """

    name: ClassVar[str] = "theval_signals"
    version: ClassVar[int] = 2
    source: ClassVar[str] = "THEval, appendix B, equations 12 to 34"
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "lip_dynamics",
            "float64",
            (),
            "Variation of the distances between lip points, in a 256 px frame.",
            nullable=True,
            unit="px",
            low=0,
        ),
        Column(
            "head_motion",
            "float64",
            (),
            "Variation of the head's angles (degrees) and of its centre (pixels); grows with the frame size.",
            nullable=True,
            unit="mixed",
            low=0,
        ),
        Column(
            "head_motion_scale_invariant",
            "float64",
            (),
            "As `head_motion`, with the centre in face widths: comparable between frame sizes.",
            nullable=True,
            unit="mixed",
            low=0,
        ),
        Column(
            "eyebrow_dynamics",
            "float64",
            (),
            "Variation of the brow-eye distance, relative to the inter-ocular distance.",
            nullable=True,
            low=0,
        ),
        Column(
            "silent_lip_stability",
            "float64",
            (),
            "Spread of the lip opening over silences of at least 300 ms.",
            nullable=True,
            low=0,
        ),
        Column(
            "lip_sync",
            "float64",
            (),
            "Mean difference of normalised lip opening and loudness over speech.",
            nullable=True,
            low=0,
        ),
        Column(
            "openness",
            "float64",
            ("face",),
            "Lip opening in each frame with a face, relative to the inter-ocular distance.",
            low=0,
        ),
        Column(
            "speech",
            "int8",
            ("frame",),
            "1 in speech, 0 outside speech, -1 outside the audio.",
            low=-1,
            high=1,
        ),
        Column(
            "silence",
            "int8",
            ("frame",),
            "1 in a silence of at least 300 ms, 0 outside such a silence, -1 outside the audio.",
            low=-1,
            high=1,
        ),
    )

    def needs(self) -> Sequence[Extractor]:
        """Features from which the metrics are computed."""
        return (Landmarks(), HeadPose(), Vad(), Loudness())

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Compute each metric, or the reason why it is undefined."""
        landmarks = clip.feature(Landmarks())
        mesh = landmarks["mesh"]
        face = landmarks["face"]
        points = PixelMesh(mesh, int(landmarks["width"]), int(landmarks["height"]))
        openness = _signals.mouth_openness(points)
        speech, silence, unheard = _speech_of(clip, landmarks["time"])

        def head_motion(unit: float) -> float:
            pose = clip.feature(HeadPose())
            angles = np.stack([pose[name] for name in ("pitch", "yaw", "roll")], axis=1)
            frames = np.flatnonzero(face)
            return _signals.head_motion(points, angles.astype(np.float64), frames, unit)

        def silent_lip_stability() -> float:
            if unheard:
                raise AbsentError(unheard)
            return _signals.silent_lip_stability(points, silence[face] == 1)

        def lip_sync() -> float:
            if unheard:
                raise AbsentError(unheard)
            if not (speech == 1).any():
                raise AbsentError("no-speech")
            sound = clip.feature(Loudness())
            rms = np.zeros(len(face))
            rms[sound["heard"]] = sound["rms"]
            used = face & (speech == 1) & sound["heard"]
            return _signals.lip_sync(openness[used[face]], rms[used])

        metrics: dict[str, Callable[[], float]] = {
            "lip_dynamics": lambda: _signals.lip_dynamics(mesh),
            "head_motion": lambda: head_motion(1.0),
            "head_motion_scale_invariant": lambda: head_motion(face_width(points)),
            "eyebrow_dynamics": lambda: _signals.eyebrow_dynamics(points),
            "silent_lip_stability": silent_lip_stability,
            "lip_sync": lip_sync,
        }
        values, missing = compute_each(metrics)
        return {"openness": openness, "speech": speech, "silence": silence, **values}, missing


def _speech_of(clip: ClipInputs, times: Array) -> tuple[Array, Array, str]:
    """Speech and silence flags of each frame, and the reason if they are undefined."""
    try:
        vad = clip.feature(Vad())
    except AbsentError as absent:
        nothing = np.full(len(times), -1, dtype=np.int8)
        return nothing, nothing, absent.reason
    speech, silence = _signals.speech_flags(
        times, vad["segments"], float(vad["start"]), float(vad["end"])
    )
    return speech, silence, ""
