"""Clips of photographed people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import UNAVAILABLE
from theval_datasets.features.depiction import KINDS, Depiction

from .base import Clip, Features, Filter, Measured, UndecidedError, Verdict, keep, reject


@dataclass(frozen=True)
class Photographed(Filter):
    """Keeps clips in which everybody is photographed or filmed, not drawn, painted or rendered.

    SigLIP compares the face with descriptions of these four kinds. The default rejects only what it takes for
    something else with a probability above 0.8: how often it errs on talking heads has not been measured. Generated
    faces that look like photographs pass. `not_drawn` tells drawings only, without torch and its large weights.

    Attributes:
        min_photo: Minimum probability of a photograph, of the person for whom it is least.
        required: Whether clips are undecided where the extra ``[depiction]`` or its weights are not installed; else
            they pass.
    """

    min_photo: float = 0.2
    required: bool = True

    shown: ClassVar[Mapping[str, str]] = {"photo": "min_photo"}
    decides: ClassVar[Mapping[str, str]] = {"drawn-face": "photo"}

    def needs(self) -> Sequence[Extractor]:
        """Kinds of depiction."""
        return (Depiction(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the person who is least like a photograph; clips without a face are rejected."""
        absent = features.empty("depiction")
        if absent:
            return reject(absent, photo=None, kind=None, person=None)
        try:
            values = features.values("depiction")
        except UndecidedError as missing:
            if not self.required and missing.reason in UNAVAILABLE:
                return keep(photo=None, kind=None, person=None)
            raise
        i = int(values["photo"].argmin())
        photo = float(values["photo"][i])
        kind = max(KINDS, key=lambda name: float(values[name][i]))
        measured: Measured = {"photo": photo, "kind": kind, "person": int(values["person"][i])}
        if photo < self.min_photo:
            return reject("drawn-face", **measured)
        return keep(**measured)
