"""Which language is spoken, as declared."""

from __future__ import annotations

from dataclasses import dataclass

from theval_datasets.curation.filters._base import (
    Clip,
    Features,
    Filter,
    Verdict,
    keep,
    reject,
    undecided,
)


@dataclass(frozen=True)
class Language(Filter):
    """Keeps clips in certain languages.

    The language is what the site or the curator declares; nothing listens to it.

    Attributes:
        languages: ISO 639-1 codes; ``zh`` also stands for ``zh-Hans`` and the like.
    """

    languages: tuple[str, ...] = ("en",)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the source's declared language."""
        language = clip.source.language
        if language is None:
            return undecided("language-unknown")
        plain = language.lower().replace("_", "-").partition("-")[0]
        if plain in self.languages:
            return keep(language=language)
        return reject("other-language", language=language)
