"""Head pose of everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets import schema
from theval_datasets.features._base import Extractor
from theval_datasets.features.head_pose import euler_angles
from theval_datasets.features.person_landmarks import PersonLandmarks
from theval_datasets.mesh import pixels
from theval_datasets.schema import ClipInputs, Column, Values


@dataclass(frozen=True)
class PersonPose(Extractor):
    """Pitch, yaw and roll for every row of `person_landmarks`, as `head_pose` measures them."""

    name: ClassVar[str] = "person_pose"
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)
    writes: ClassVar[tuple[Column, ...]] = (
        Column("pitch", "float32", ("row",), "Degrees; > 0 when the nose points up."),
        Column("yaw", "float32", ("row",), "Degrees; > 0 when the nose points to the right."),
        Column("roll", "float32", ("row",), "Degrees; > 0 when the head tilts clockwise."),
    )

    def needs(self) -> Sequence[schema.Extractor]:
        """The meshes."""
        return (PersonLandmarks(),)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Fit the head's axes to every mesh."""
        found = clip.feature(PersonLandmarks())
        points = pixels(found["mesh"], int(found["width"]), int(found["height"]))
        angles = zip(("pitch", "yaw", "roll"), euler_angles(points), strict=True)
        return {name: values.astype(np.float32) for name, values in angles}, {}
