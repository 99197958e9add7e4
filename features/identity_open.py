"""Identity of a clip's people, measured without downloaded weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media import SlotPicker
from theval_datasets.media.frames import FrameRequest, Frames

from .faces import FPS, Faces
from .people import open_identity as _open
from .people.grouping import KINDS
from .people.identity import SAMPLED_FPS, Sightings, against_itself

_PERSON = KINDS.index("person")


@dataclass(frozen=True)
class IdentityOpen(Extractor):
    """Distance of a clip's people to a reference frame of the same clip, by dlib's face network.

    Like `identity`, but with weights that come with a package, and a distance instead of a similarity: values
    of the two cannot be compared. Faces and people are those of `faces`, which without an InsightFace pack
    distinguishes people by their positions only. Pictures of people do not count.
    """

    name: ClassVar[str] = "identity_open"
    source: ClassVar[str] = (
        "THQA-MT, equation 4, with the network of King, Dlib-ml: A Machine Learning Toolkit (2009)"
    )
    extra: ClassVar[str | None] = _open.EXTRA
    imports: ClassVar[tuple[str, ...]] = _open.MODULES
    default_enabled: ClassVar[bool] = False
    second_pass: ClassVar[bool] = True
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "identity_distance",
            "float64",
            (),
            "Mean Euclidean distance of the subjects' faces, once a second, to the reference; one person "
            "has at most 0.6.",
            low=0,
        ),
        Column(
            "identity_distance_coverage",
            "float64",
            (),
            "Share of pairs of subject and frame with a face.",
            low=0,
            high=1,
        ),
        Column("subjects", "int32", (), "Number of people in the reference frame.", low=1),
        Column("reference_time", "float64", (), "Time of the reference frame.", unit="s", low=0),
    )

    @property
    def frames(self) -> FrameRequest:
        """Those of `faces`."""
        return FrameRequest(fps=FPS, colour="rgb")

    def needs(self) -> Sequence[Extractor]:
        """Faces and people."""
        return (Faces(),)

    def weights_id(self) -> str:
        """Versions of the packages."""
        return _open.DlibRecogniser.identity()

    def setup(self) -> _open.DlibRecogniser:
        """Load the network."""
        return _open.DlibRecogniser()

    def open(self, clip: ClipInputs, model: Any) -> _DistanceMeter:
        """Begin with nothing."""
        return _DistanceMeter(clip.feature(Faces()), model)


class _DistanceMeter:
    def __init__(self, faces: Values, recogniser: Any) -> None:
        self._recogniser = recogniser
        due = np.flatnonzero(SlotPicker(SAMPLED_FPS).take(faces["time"]))
        self._times = faces["time"][due]
        self._due: dict[int, list[tuple[int, npt.NDArray[np.float32]]]] = {}
        for sample in due:
            own = np.flatnonzero(faces["sample"] == sample)
            people = [i for i in own if faces["track_kind"][faces["track"][i]] == _PERSON]
            self._due[int(faces["frame"][sample])] = [
                (int(faces["track_person"][faces["track"][i]]), faces["points"][i]) for i in people
            ]
        self._number = {index: number for number, index in enumerate(self._due)}
        self._sightings: list[tuple[int, int, _open.Descriptors]] = []
        self._seen = 0

    def update(self, batch: Frames) -> None:
        for pixels, index in zip(batch.pixels, batch.indices.tolist(), strict=True):
            if index not in self._due:
                continue
            self._seen += 1
            for person, points in self._due[index]:
                descriptor = self._recogniser.embed(np.ascontiguousarray(pixels), points)
                self._sightings.append((self._number[index], person, descriptor))

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if self._seen != len(self._due):
            raise RuntimeError(f"{self._seen} of the {len(self._due)} frames of `faces` came back")
        if not self._sightings:
            raise AbsentError("no-face", "no person's face is in the sampled frames")
        frames, people, descriptors = zip(*self._sightings, strict=True)
        score, time = against_itself(
            Sightings(self._times, np.array(frames), np.array(people), np.stack(descriptors)),
            _open.by_distance,
        )
        return {
            "identity_distance": np.array(score.consistency),
            "identity_distance_coverage": np.array(score.coverage),
            "subjects": np.array(score.subjects, np.int32),
            "reference_time": np.array(time),
        }, {}
