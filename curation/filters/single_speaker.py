"""Clips of a single person who is visible throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.features.faces import Faces
from theval_datasets.features.people.summary import people

from .base import Clip, Features, Filter, UndecidedError, Verdict, keep, reject


@dataclass(frozen=True)
class SingleSpeaker(Filter):
    """Keeps clips with one person in one shot.

    People are counted by tracks and identities; a second person is allowed for a small part of the clip.
    Voices are counted too where the recipe measures `speakers`.

    Attributes:
        max_other: Maximum share of the sampled frames that show another person.
        max_voices: Maximum share of the speech by voices other than the main speaker's.
    """

    max_other: float = 0.05
    max_voices: float = 0.1

    shown: ClassVar[Mapping[str, str]] = {"other": "max_other", "voices": "max_voices"}
    decides: ClassVar[Mapping[str, str]] = {"several-people": "other", "several-voices": "voices"}

    def needs(self) -> Sequence[Extractor]:
        """Tracks and people."""
        return (Faces(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the people and shots of `faces`."""
        if features.empty("faces"):
            return reject("no-face", subjects=0)
        faces = features.values("faces")
        others = people(faces)[1:]
        seen = np.unique(np.concatenate([np.zeros(0, np.int64), *(p.samples for p in others)]))
        other = len(seen) / len(faces["time"])
        subjects = int(faces["n_subjects"])
        shots = int(faces["shot"].max()) + 1
        voices = _other_voices(features)
        measured = {"subjects": subjects, "other": other, "shots": shots, "voices": voices}
        if other > self.max_other:
            return reject("several-people", **measured)
        if voices is not None and voices > self.max_voices:
            return reject("several-voices", **measured)
        return reject("several-shots", **measured) if shots > 1 else keep(**measured)


def _other_voices(features: Features) -> float | None:
    """Share of the turns' time that is not the main speaker's; None if it was not measured."""
    try:
        speakers = features.values("speakers")
    except UndecidedError:
        return None
    lengths = speakers["turns"][:, 1] - speakers["turns"][:, 0]
    own = np.bincount(speakers["speaker"], weights=lengths)
    return float(1 - own.max() / own.sum())
