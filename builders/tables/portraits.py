"""Portraits that clips were generated from: the faces in them, and the rows of `portraits`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import datasets
import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError, MissingExtraError, WeightsMissingError

from ..base.fields import HEIGHT, INT, MISSING, STRING, WIDTH, Field, list_of
from .portrait_files import Portrait
from .portrait_people import ANGLES, PortraitPeople

if TYPE_CHECKING:
    from theval_datasets.features.people.identity import IdentityScore

    from ..base.columns import ClipFeatures

_IDENTITY: Final = ("identity_consistency", "identity_coverage", "identity_reference")

PORTRAIT_FIELDS: Final[tuple[Field, ...]] = (
    Field("portrait_id", STRING, "Name of the portrait.", origin="portraits", required=True),
    Field("image", datasets.Image(decode=False), "File of the picture.", origin="portraits",
          required=True),
    WIDTH,
    HEIGHT,
    Field("difficulty", STRING, "Easy, Medium or Hard: as stated, else measured.",
          origin="difficulty"),
    Field("n_subjects", INT, "Number of people; pictures of people do not count.", "", 0,
          origin="portrait_people"),
    *(
        Field(name, list_of("float64"), f"{name.capitalize()} of each person's head, the largest "
              "share of the picture first; null for a head that no mesh fits.", "degree", -180, 180,
              origin="portrait_people")
        for name in ANGLES
    ),
    Field("n_faces", INT, "Number of faces detected by the detector of `faces`.", "", 0, origin="faces"),
    Field("n_clips", INT, "Number of its clips in `features`.", "", 0, origin="portraits", required=True),
    MISSING,
)  # fmt: skip
PORTRAITS_READER: Final = """\
row = rows[0]  # bytes, nothing is decoded
with open(row["image"]["path"], "wb") as file:
    file.write(row["image"]["bytes"])
"""

Embeddings = npt.NDArray[np.float32]


class PortraitFaces:
    """Detects and embeds the faces of portraits, each portrait once.

    Args:
        portraits: By id.
    """

    def __init__(self, portraits: Mapping[str, Portrait]) -> None:
        self._portraits = portraits
        self._known: dict[str, tuple[int, Embeddings | None]] = {}

    @cached_property
    def unavailable(self) -> str | None:
        """Reason why faces cannot be detected here; None if they can."""
        from theval_datasets.features.faces import Faces

        try:
            if Faces().uses_insightface() and self._models[1] is not None:
                return None
        except MissingExtraError:
            return "extra-missing"
        except WeightsMissingError:
            pass
        return "weights-missing"

    def n_faces(self, portrait_id: str) -> int:
        """Number of detected faces of a portrait."""
        return self._look(portrait_id)[0]

    def embeddings(self, portrait_id: str) -> Embeddings | None:
        """Embeddings of its faces, (n, dim); None without faces."""
        return self._look(portrait_id)[1]

    def identity(self, portrait_id: str | None, clip: ClipFeatures) -> dict[str, Any]:
        """Identity consistency of a clip with its portrait, or with its own frame if it has none.

        Args:
            portrait_id: Id of its portrait; None if unknown.
            clip: Features of the clip, in which undefined values are noted.
        """
        if portrait_id is None or portrait_id not in self._portraits:
            own = [clip.value("identity", name) for name in _IDENTITY[:2]]
            kind = None if own[0] is None else "own-frame"
            return dict(zip(_IDENTITY, (*own, kind), strict=True))
        try:
            identity = self._against(portrait_id, clip)
        except AbsentError as error:
            clip.note("identity", error.reason)
            return dict.fromkeys(_IDENTITY)
        return dict(
            zip(_IDENTITY, (identity.consistency, identity.coverage, "portrait"), strict=True)
        )

    def _against(self, portrait_id: str, clip: ClipFeatures) -> IdentityScore:
        from theval_datasets.features.people.identity import against_portrait, sightings_of

        if self.unavailable is not None:
            raise AbsentError(self.unavailable)
        people, faces = self.embeddings(portrait_id), clip.values("faces")
        if people is None:
            raise AbsentError("no-face-in-portrait")
        if faces is None:
            raise AbsentError(clip.outcome("faces").reason or "not-written")
        return against_portrait(people, sightings_of(faces))

    @cached_property
    def _models(self) -> Any:
        from theval_datasets.features.faces import Faces

        return Faces().setup()

    def _look(self, portrait_id: str) -> tuple[int, Embeddings | None]:
        if portrait_id not in self._known:
            detector, recogniser = self._models
            picture = np.ascontiguousarray(self._portraits[portrait_id].pixels()[:, :, ::-1])
            faces = detector.find(picture)
            each = [recogniser.embed(picture, points) for points in faces.points]
            self._known[portrait_id] = (len(faces), np.stack(each) if each else None)
        return self._known[portrait_id]


def portrait_rows(
    portraits: Mapping[str, Portrait],
    reference: PortraitFaces,
    people: Mapping[str, PortraitPeople],
    clips: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Rows of the config `portraits`, by id.

    Args:
        portraits: Portraits by id.
        reference: Detector of their faces.
        people: Measurements of their people, by id.
        clips: `portrait_id` and `difficulty` of every clip.
    """
    n_clips = Counter(clip["portrait_id"] for clip in clips)
    stated = {c["portrait_id"]: c["difficulty"] for c in clips if c["difficulty"] is not None}
    for name in sorted(portraits):
        portrait, measured = portraits[name], people[name]
        difficulty = stated.get(name) or measured.difficulty
        missing = {
            f"portrait_people:{reason}"
            for column, reason in measured.reasons.items()
            if column != "difficulty"
        }
        if difficulty is None:
            missing.add(f"difficulty:{measured.reasons['difficulty']}")
        if reference.unavailable is not None:
            missing.add(f"faces:{reference.unavailable}")
        yield {
            "portrait_id": name,
            "image": {"bytes": portrait.file.read_bytes(), "path": portrait.file.name},
            "width": portrait.width,
            "height": portrait.height,
            "difficulty": difficulty,
            "n_subjects": measured.n_subjects,
            **{angle: measured.angles[angle] for angle in ANGLES},
            "n_faces": None if reference.unavailable is not None else reference.n_faces(name),
            "n_clips": n_clips[name],
            "missing": sorted(missing),
        }
