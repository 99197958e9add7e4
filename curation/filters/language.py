"""Spoken language, as declared, or else as detected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import Clip, Features, Filter, UndecidedError, Verdict, keep, reject, undecided


@dataclass(frozen=True)
class Language(Filter):
    """Keeps clips in certain languages.

    The language declared by the site or the curator counts. Only if neither declares one, and the extra
    ``[language]`` is installed, the language is detected (`spoken_language`).

    Attributes:
        languages: ISO 639-1 codes; ``zh`` includes variants such as ``zh-Hans``.
        min_probability: Minimum probability of a detected language; below it the filter is undecided.
    """

    languages: tuple[str, ...] = ("en",)
    min_probability: float = 0.5

    shown: ClassVar[Mapping[str, str]] = {"probability": "min_probability"}
    decides: ClassVar[Mapping[str, str]] = {"language-unsure": "probability"}

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the source's declared language, or else the detected one."""
        language, probability = clip.source.language, None
        if language is None:
            try:
                detected = features.values("spoken_language")
            except UndecidedError:
                return undecided("language-unknown")
            language, probability = str(detected["language"]), float(detected["probability"])
            if probability < self.min_probability:
                return undecided("language-unsure", language=language, probability=probability)
        measured = {"language": language, "probability": probability}
        plain = language.lower().replace("_", "-").partition("-")[0]
        if plain in self.languages:
            return keep(**measured)
        return reject("other-language", **measured)
