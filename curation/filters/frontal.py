"""Head rotation away from the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.person_landmarks import PersonLandmarks
from theval_datasets.features.person_pose import PersonPose

from .base import Clip, Features, Filter, Verdict, keep, reject


@dataclass(frozen=True)
class Frontal(Filter):
    """Keeps clips in which every head is within limits of rotation most of the time.

    Attributes:
        max_yaw: Maximum yaw to either side, in degrees.
        max_pitch: Maximum pitch up or down, in degrees; 0 is a face parallel to the picture.
        max_roll: Maximum roll to either side, in degrees.
        min_frontal: Minimum share of frames within all three limits, for every person.
    """

    max_yaw: float = 30.0
    max_pitch: float = 30.0
    max_roll: float = 25.0
    min_frontal: float = 0.8

    shown: ClassVar[Mapping[str, str]] = {
        "frontal": "min_frontal",
        "yaw": "max_yaw",
        "pitch": "max_pitch",
        "roll": "max_roll",
    }
    decides: ClassVar[Mapping[str, str]] = {"not-frontal": "frontal"}
    renamed: ClassVar[Mapping[str, str]] = {"share": "min_frontal"}

    def needs(self) -> Sequence[Extractor]:
        """Poses and tracks."""
        return (PersonPose(), PersonLandmarks())

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the pose of each person in every frame."""
        if features.empty("person_pose"):
            return reject("no-face")
        pose = features.values("person_pose")
        person = features.values("person_landmarks")["person"]
        within = (
            (np.abs(pose["yaw"]) <= self.max_yaw)
            & (np.abs(pose["pitch"]) <= self.max_pitch)
            & (np.abs(pose["roll"]) <= self.max_roll)
        )
        frontal = min(float(within[person == p].mean()) for p in np.unique(person))
        measured = {
            "frontal": frontal,
            "yaw": float(np.median(np.abs(pose["yaw"]))),
            "pitch": float(np.median(np.abs(pose["pitch"]))),
            "roll": float(np.median(np.abs(pose["roll"]))),
        }
        return (
            keep(**measured) if frontal >= self.min_frontal else reject("not-frontal", **measured)
        )
