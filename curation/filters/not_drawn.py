"""Clips of people who are not drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import UNAVAILABLE
from theval_datasets.features.drawn import Drawn

from .base import Clip, Features, Filter, Measured, UndecidedError, Verdict, keep, reject


@dataclass(frozen=True)
class NotDrawn(Filter):
    """Keeps clips in which nobody is drawn, as in cartoons and anime.

    A small network, which needs no extra, tells drawings from photographs. It took an animated painting and generated
    faces for photographs, and has not been tried on 3-D renderings: `photographed` is for these, where its extra is
    installed. Drawn faces that the face detector does not find are not judged.

    The default lies between the people of 31 filmed or generated clips and 14 photographs, at most 0.03, also if they
    are grey, blurred, compressed or made up; 0.07 if they are very dark or noisy; and a cartoon's, 0.41.

    Attributes:
        max_drawn: Maximum probability of a drawing, of the person for whom it is greatest.
        required: Whether clips are undecided where the weights are not installed; else they pass.
    """

    max_drawn: float = 0.15
    required: bool = True

    shown: ClassVar[Mapping[str, str]] = {"drawn": "max_drawn"}
    decides: ClassVar[Mapping[str, str]] = {"drawn-face": "drawn"}

    def needs(self) -> Sequence[Extractor]:
        """Probabilities of a drawing."""
        return (Drawn(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the person who is most like a drawing; clips without a face are rejected."""
        absent = features.empty("drawn")
        if absent:
            return reject(absent, drawn=None, person=None)
        try:
            values = features.values("drawn")
        except UndecidedError as missing:
            if not self.required and missing.reason in UNAVAILABLE:
                return keep(drawn=None, person=None)
            raise
        i = int(values["drawn"].argmax())
        drawn = float(values["drawn"][i])
        measured: Measured = {"drawn": drawn, "person": int(values["person"][i])}
        if drawn > self.max_drawn:
            return reject("drawn-face", **measured)
        return keep(**measured)
