"""Texts of the study's page, one small JSON file a language."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Final

from theval_datasets.errors import UnknownNameError

PAGES: Final = "theval_datasets.curation.collect.pages"


@cache
def language_names() -> tuple[str, ...]:
    """Codes of the languages there are, sorted.

    Example:
        >>> language_names()
        ('de', 'en')
    """
    files = (item.name for item in resources.files(PAGES).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in files if name.endswith(".json")))


@cache
def texts(language: str) -> dict[str, str]:
    """The texts of a language, by their keys.

    Raises:
        UnknownNameError: There is no such language.
    """
    check_language(language)
    file = resources.files(PAGES) / f"{language}.json"
    plain: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return plain


def check_language(language: str) -> None:
    """Do nothing for a language there is.

    Raises:
        UnknownNameError: There is no such language.
    """
    if language not in language_names():
        raise UnknownNameError("language of the interface", language, language_names())
