"""Head pose of all people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import PixelMesh, by_frame
from theval_datasets.extraction.outcomes import Values

from .head_pose import HeadPose, euler_angles
from .person_landmarks import PersonLandmarks


@dataclass(frozen=True)
class PersonPose(Extractor):
    """Pitch, yaw and roll for every row of `person_landmarks`, as defined by `head_pose`."""

    name: ClassVar[str] = "person_pose"
    source: ClassVar[str] = HeadPose.source
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)
    writes: ClassVar[tuple[Column, ...]] = tuple(
        replace(column, dims=("row",)) for column in HeadPose.writes
    )

    def needs(self) -> Sequence[Extractor]:
        """The meshes."""
        return (PersonLandmarks(),)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Fit the head's axes to every mesh."""
        meshes = clip.feature(PersonLandmarks())
        points = PixelMesh(meshes["mesh"], int(meshes["width"]), int(meshes["height"]))
        columns = by_frame(points, lambda some: np.stack(euler_angles(some), axis=1)).T
        angles = zip(("pitch", "yaw", "roll"), columns, strict=True)
        return {name: values.astype(np.float32) for name, values in angles}, {}
