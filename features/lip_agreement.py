"""Agreement of LR-ASD's speaker with the person whose lips move most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import PixelMesh, by_frame
from theval_datasets.extraction.outcomes import Values

from .active_speaker import ActiveSpeaker
from .formulas.signals import mouth_openness
from .networks.lr_asd import FPS
from .person_landmarks import PersonLandmarks

_GAP: Final = 0.1  # maximum distance of a mesh from a picture, seconds

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LipAgreement(Extractor):
    """Share of the speech, with several people in sight, in which scores and lips name the same person.

    In each picture, the person with the highest score of `active_speaker` is compared with the person whose
    mouth opening varies most around that time. The measurement is related to the distortion *speaker
    mismatch*, but does not replace votes on it: neither lips nor network show whose voice is heard.

    Attributes:
        span: Length in seconds over which the variation is measured.
    """

    span: float = 0.4

    name: ClassVar[str] = "lip_agreement"
    source: ClassVar[str] = "defined by this package, from LR-ASD and MediaPipe Face Mesh"
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface", "onnx")
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "lip_agreement",
            "float64",
            (),
            "Share of the speech with several people in sight in which the person whom LR-ASD scores highest is "
            "the one whose lips move most.",
            low=0,
            high=1,
        ),
        Column("compared", "float64", (), "Length of that speech.", unit="s", low=0),
    )

    def needs(self) -> Sequence[Extractor]:
        """Scores, and meshes."""
        return (ActiveSpeaker(), PersonLandmarks())

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Compare the scores with the lips."""
        speakers, meshes = clip.feature(ActiveSpeaker()), clip.feature(PersonLandmarks())
        points = PixelMesh(meshes["mesh"], int(meshes["width"]), int(meshes["height"]))
        opening = by_frame(points, mouth_openness).astype(np.float64)
        lips = lip_motion(speakers, meshes["track"], meshes["time"], opening, self.span)
        agrees = agreement(speakers, lips)
        if not len(agrees):
            several = len(np.unique(speakers["person"])) > 1
            why = "no-speech" if not speakers["speech"].any() else "one-person"
            raise AbsentError(
                "no-overlap" if several and why == "one-person" else why,
                "there is no speech with the meshes of several people",
            )
        return {
            "lip_agreement": np.array(float(agrees.mean())),
            "compared": np.array(len(agrees) / FPS),
        }, {}


def lip_motion(
    speakers: Values,
    track: npt.NDArray[np.int32],
    time: Floats,
    opening: Floats,
    span: float,
) -> Floats:
    """Variation of the mouth opening around every row of `active_speaker`.

    Args:
        speakers: Values of the extractor `active_speaker`.
        track: (m,): track of each mesh.
        time: (m,): time of each mesh in seconds, ascending within a track.
        opening: (m,): mouth opening of each mesh.
        span: Length in seconds over which the standard deviation is taken.

    Returns:
        Variation, (rows,): at least 0; NaN where the track has fewer than two meshes within the span, or
        none near the picture.

    Examples:
        >>> speakers = {"track": np.array([0]), "time": np.array([0.5])}
        >>> times = np.array([0.4, 0.5, 0.6])
        >>> lip_motion(speakers, np.zeros(3, np.int32), times, np.array([0.0, 0.3, 0.0]), span=0.4).round(2)
        array([0.14])
    """
    motion = np.full(len(speakers["time"]), np.nan)
    for number in np.unique(speakers["track"]):
        rows = np.flatnonzero(speakers["track"] == number)
        own = np.flatnonzero(track == number)
        at, values = time[own], opening[own]
        for row in rows:
            now = speakers["time"][row] + 0.5 / FPS
            low, high = np.searchsorted(at, (now - span / 2, now + span / 2))
            if high - low >= 2 and np.abs(at[low:high] - now).min() <= _GAP:
                motion[row] = values[low:high].std()
    return motion


def agreement(speakers: Values, lips: Floats) -> npt.NDArray[np.bool_]:
    """Whether scores and lips name the same person, for pictures with speech and several people.

    Args:
        speakers: Values of the extractor `active_speaker`.
        lips: (rows,): `lip_motion`.

    Returns:
        Agreement, (pictures,), in order of time, for the pictures that can be compared.

    Examples:
        >>> speakers = {"time": np.zeros(2), "speech": np.ones(2, bool), "person": np.array([0, 1])}
        >>> speakers |= {"score": np.array([2.0, -1.0])}
        >>> agreement(speakers, lips=np.array([0.3, 0.1]))
        array([ True])
    """
    usable = np.flatnonzero(speakers["speech"] & np.isfinite(lips))
    picture = np.rint(speakers["time"][usable] * FPS).astype(np.int64)
    agrees = []
    for number in np.unique(picture):
        rows = usable[picture == number]
        if len(np.unique(speakers["person"][rows])) > 1:
            agrees.append(rows[speakers["score"][rows].argmax()] == rows[lips[rows].argmax()])
    return np.array(agrees, bool)
