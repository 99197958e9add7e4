"""Face landmarks of one face by MediaPipe Face Mesh, tracked through the clip."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.mesh import N_POINTS, quantise
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known
from theval_datasets.media.frames import FrameRequest, Frames
from theval_datasets.utils.spool import Spool

from .networks.face_mesh import FaceMesh


@dataclass(frozen=True)
class Landmarks(Extractor):
    """478 refined points of the first face in every frame.

    The tracker is reset for every clip, so values do not depend on earlier clips. Frames without a face
    have no row in `mesh`; `face` states which frames have one.
    """

    name: ClassVar[str] = "landmarks"
    source: ClassVar[str] = (
        "MediaPipe Face Mesh (Lugaresi et al., MediaPipe: A Framework for Building Perception "
        "Pipelines, 2019)"
    )
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "time",
            "float64",
            ("frame",),
            "Time of each frame since the first frame.",
            unit="s",
            low=0,
        ),
        Column("face", "bool", ("frame",), "Whether a face was detected in each frame."),
        Column(
            "mesh",
            "int16",
            ("face", N_POINTS, 3),
            "Face Mesh points of the frames with a face: x, z in widths and y in heights of the frame.",
            unit="1/16384 of the frame",
            low=-32767,
            high=32767,
        ),
        Column("width", "int32", (), "Width of the frames, upright.", unit="px", low=1),
        Column("height", "int32", (), "Height of the frames, upright.", unit="px", low=1),
        Column("duration", "float64", (), "Last frame's time plus its length.", unit="s", low=0),
    )

    @property
    def frames(self) -> FrameRequest:
        """Every frame at full size."""
        return FrameRequest()

    def weights(self) -> Sequence[Weights]:
        """Face Mesh."""
        return (known("mediapipe"),)

    def weights_id(self) -> str:
        """MediaPipe's version, whose package contains the models."""
        return f"mediapipe-{importlib.metadata.version('mediapipe')}"

    def setup(self) -> FaceMesh:
        """Load the mesh models."""
        return FaceMesh(max_faces=1, refine=True, static=False)

    def open(self, clip: ClipInputs, model: FaceMesh) -> _MeshTracker:
        """Reset the tracker."""
        model.reset()
        return _MeshTracker(clip, model)


class _MeshTracker:
    def __init__(self, clip: ClipInputs, model: FaceMesh) -> None:
        self._clip = clip
        self._model = model
        self._times: list[float] = []
        self._faces: list[bool] = []
        self._meshes = Spool((N_POINTS, 3), np.int16)

    def update(self, batch: Frames) -> None:
        self._times.extend(batch.times.tolist())
        found = [self._model.faces(frame) for frame in batch.pixels]
        self._faces.extend(bool(faces) for faces in found)
        meshes = [faces[0] for faces in found if faces]
        if meshes:
            self._meshes.extend(quantise(np.stack(meshes)))

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if not len(self._meshes):
            raise AbsentError("no-face", f"no face in any of {len(self._faces)} frames")
        width, height = self._clip.size
        values = {
            "time": np.array(self._times),
            "face": np.array(self._faces),
            "mesh": self._meshes.array(),
            "width": np.array(width, dtype=np.int32),
            "height": np.array(height, dtype=np.int32),
            "duration": np.array(self._clip.duration),
        }
        return values, {}
