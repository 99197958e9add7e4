"""Scores as people write them: numbers, per cent, grades with their words, and words alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final

WORDS: Final[tuple[tuple[str, ...], ...]] = (
    ("bad", "poor", "fair", "good", "excellent"),
    ("schlecht", "dürftig", "ordentlich", "gut", "ausgezeichnet"),
    ("mauvais", "médiocre", "assez bon", "bon", "excellent"),
    ("mala", "mediocre", "aceptable", "buena", "excelente"),
    ("劣", "差", "中", "良", "优"),
    ("非常に悪い", "悪い", "普通", "良い", "非常に良い"),
)
"""The five grades of absolute category ratings in ITU-R BT.500 and ITU-T P.910, from 1 to 5, and their usual
translations."""
_LABELLED: Final = re.compile(
    r"\s*(-?\d+(?:[.,]\d+)?)\s*(?:[-–—:=.)]\s*(\D.*)|\((.*)\))?\s*", re.DOTALL
)
_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_PER_CENT: Final = re.compile(r"(.*?)\s*%")
_GROUPS: Final = re.compile(r"[-+]?\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+")
_MONTH: Final = re.compile(
    r"(?:jan|feb|m[aäe]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*\.?"
)
"""Words beside the numbers of which a spreadsheet made dates."""
_DECIMAL: Final = re.compile(r"[-+]?(?:\d*([.,])(?:\d{1,2}|\d{4,})|0?([.,])\d{3})")
"""Numbers whose separator cannot be one of thousands."""
_LARGE: Final = (
    100.0  # numbers without a separator that show that others may have one for thousands
)


def answer(text: str) -> str:
    """The number of an answer such as ``5``, ``5 - Excellent`` or ``Excellent``; else the text.

    Examples:
        >>> answer("5 - Excellent"), answer("Good"), answer("none")
        ('5', '4', 'none')
    """
    word = text.strip().casefold()
    if word in WORDS[0]:
        return str(WORDS[0].index(word) + 1)
    match = _LABELLED.fullmatch(text)
    return match[1] if match else text


def plain_numbers(texts: Collection[str]) -> dict[str, str]:
    """The numbers of the distinct scores of a table.

    Understood are one notation for all: numbers, per cent, words of one of `WORDS`, or numbers with their
    words. Numbers and numbers with words of `WORDS` may be mixed, as where only the ends of a scale have words.

    Args:
        texts: The distinct scores, without those that stand for a missing rating.

    Returns:
        Number as text by text; a text that is not understood is its own.

    Raises:
        ValueError: Numbers with thousands separators, or per cent beside numbers without.

    Examples:
        >>> plain_numbers(["gut", "schlecht"]), plain_numbers(["40 %"])
        ({'gut': '4', 'schlecht': '1'}, {'40 %': '40'})
        >>> plain_numbers(["1 - Bad", "2"]), plain_numbers(["05. Jan", "2"])
        ({'1 - Bad': '1', '2': '2'}, {'05. Jan': '05. Jan', '2': '2'})
    """
    plain = {text: unicodedata.normalize("NFKC", text).strip() for text in texts}
    shares = [text for text in plain if plain[text].endswith("%")]
    if shares and len(shares) < len(plain):
        other = next(text for text in plain if text not in shares)
        raise ValueError(f"{shares[0]!r} is in per cent, {other!r} is not; write all scores alike")
    if shares:
        plain = {text: (_PER_CENT.fullmatch(p) or [p, p])[1] for text, p in plain.items()}
    _refuse_groups(plain.values())
    if all(map(_NUMBER.fullmatch, plain.values())):
        return plain
    words = {text: p.casefold() for text, p in plain.items()}
    for scale in WORDS:
        if set(words.values()) <= set(scale):
            return {text: str(scale.index(word) + 1) for text, word in words.items()}
    return _without_labels(plain)


def _without_labels(plain: dict[str, str]) -> dict[str, str]:
    """Numbers without the words beside them, if each number has one word and each word one number."""
    known = {word for scale in WORDS for word in scale}
    numbers: dict[str, str] = {}
    labels: dict[str, str] = {}
    for text, p in plain.items():
        match = _LABELLED.fullmatch(p)
        if match is None:
            return plain
        number, label = match[1], (match[2] or match[3] or "").strip().casefold()
        if labels.setdefault(number, label) != label and "" not in (labels[number], label):
            return plain
        labels[number] = label or labels[number]
        numbers[text] = number
    words = [label for label in labels.values() if label]
    if any(map(_MONTH.fullmatch, words)):
        return plain
    complete = len(words) == len(labels) == len(set(words)) > 1
    return numbers if complete or set(words) <= known else plain


def _refuse_groups(texts: Collection[str]) -> None:
    """Refuse numbers such as 1,200 beside 950: whether the comma groups thousands is not certain.

    Raises:
        ValueError: There are such numbers.
    """
    decimal = {match[1] or match[2] for text in texts if (match := _DECIMAL.fullmatch(text))}
    several = [text for text in texts if _GROUPS.fullmatch(text) and _separators(text) > 1]
    grouped = [text for text in texts if _GROUPS.fullmatch(text) and not decimal & {*text}]
    largest = max((float(text) for text in texts if text.isdecimal()), default=0.0)
    # the shortest form of a decimal has no zero at its end, so 12.345 beside 100 is one
    rounded = any(text.endswith("0") for text in grouped)
    if several or (grouped and (decimal or largest > _LARGE or (largest == _LARGE and rounded))):
        first = (several or grouped)[0]
        raise ValueError(
            f"{first!r} seems to have a separator of thousands; write numbers without one"
        )


def _separators(text: str) -> int:
    return text.count(".") + text.count(",")
