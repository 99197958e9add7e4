"""Texts of the study's page, in one JSON file per language."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Final

from theval_datasets.errors import UnknownNameError

PAGES: Final = "theval_datasets.curation.collect.pages"


@cache
def language_names() -> tuple[str, ...]:
    """Codes of the available languages, sorted.

    Example:
        >>> language_names()
        ('de', 'en')
    """
    files = (item.name for item in resources.files(PAGES).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in files if name.endswith(".json")))


@cache
def texts(language: str) -> dict[str, str]:
    """The texts of a language, by key.

    Raises:
        UnknownNameError: The language is not available.

    Examples:
        >>> texts("en")["continue"]
        'Continue'
    """
    check_language(language)
    file = resources.files(PAGES) / f"{language}.json"
    plain: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return plain


def check_language(language: str) -> None:
    """Check that a language is available.

    Raises:
        UnknownNameError: The language is not available.

    Examples:
        >>> check_language("de")
        >>> check_language("fr")
        Traceback (most recent call last):
            ...
        theval_datasets.errors.UnknownNameError: ...
    """
    if language not in language_names():
        raise UnknownNameError("language of the interface", language, language_names())
