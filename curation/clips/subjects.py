"""Facts about the people of a clip for the manifest: sizes, poses, and the clip's difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values
from theval_datasets.features.people.summary import people

from .difficulty import DifficultyRule, busyness, grade


def people_facts(features: Mapping[str, Values]) -> tuple[dict[str, Any], ...]:
    """One mapping per person: presence, size, and mean and spread of the pose in degrees.

    Args:
        features: Values of `faces`, `person_landmarks`, `person_pose` and `formants`, where defined.
    """
    faces = features.get("faces")
    if faces is None:
        return ()
    pose = features.get("person_pose")
    owner = features.get("person_landmarks", {}).get("person")
    described: list[dict[str, Any]] = []
    for person in people(faces):
        facts: dict[str, Any] = {
            "person": person.number,
            "presence": round(len(person.samples) / len(faces["time"]), 4),
            "face_height": round(person.height, 4),
            "box": [round(x, 4) for x in np.median(person.boxes, axis=0).tolist()],
        }
        if pose is not None and owner is not None and (owner == person.number).any():
            for name in ("yaw", "pitch", "roll"):
                angles = pose[name][owner == person.number].astype(np.float64)
                facts[f"{name}_mean"] = round(float(angles.mean()), 3)
                facts[f"{name}_std"] = round(float(angles.std()), 3)
        described.append(facts)
    voice = features.get("formants")
    if voice is not None and len(described) == 1:
        described[0] |= {name: round(float(voice[name]), 1) for name in ("f1_hz", "f2_hz")}
    return tuple(described)


def difficulty_of(
    facts: tuple[dict[str, Any], ...],
    picture: npt.NDArray[np.uint8],
    rule: DifficultyRule | None = None,
) -> str | None:
    """Difficulty of a clip: Easy, Medium or Hard; None without people.

    Args:
        facts: Result of `people_facts`.
        picture: Reference frame, uint8 (height, width, 3), RGB.
        rule: Thresholds; None for the defaults.
    """
    if not facts:
        return None
    turned = max(
        (
            max(abs(subject.get("yaw_mean", 0.0)), abs(subject.get("pitch_mean", 0.0)))
            for subject in facts
        ),
        default=0.0,
    )
    return grade(
        len(facts),
        min(subject["face_height"] for subject in facts),
        turned,
        busyness(picture, [subject["box"] for subject in facts]),
        rule,
    )
