"""Names in ratings tables: cleaning, and detection of misspellings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from theval_datasets.errors import RatingsError
from theval_datasets.manifest.joins import plain_name

from .panel import Codes

if TYPE_CHECKING:
    import polars as pl

_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"
_WORD: Final = re.compile(r"[^\W_]+")
_BRACKETS: Final = re.compile(r"[(\[{].*?[)\]}]")
_HUMP: Final = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
_LONGEST: Final = 40  # letters of a name of a statistic that is written without a space
_SPACE: Final = re.compile(r"[\s_]+")
_WHOLE: Final = re.compile(r"\d+\.0+")
_ERROR: Final = re.compile(
    r"#(?:REF!|DIV/0!|N/?A|NAME\?|VALUE!|NUM!|NULL!|NV|BEZUG!|WERT!|ZAHL!|VALEUR!|NOM\?|NOMBRE!|SPILL!|CALC!)",
    re.IGNORECASE,
)
"""Cells that spreadsheets write in place of a result."""


def clean_name(text: str) -> str:
    """A name without surrounding spaces (including no-break and invisible ones), composed (NFC).

    Examples:
        >>> clean_name(" Clip 1.mp4 ")
        'Clip 1.mp4'
    """
    return unicodedata.normalize("NFC", text.strip().strip(_INVISIBLE).strip())


@dataclass(frozen=True)
class StatisticNames:
    """Names of statistics, and of facts about people and clips: ``name in names`` tells them.

    Case, accents, punctuation and what is in brackets do not count.

    Attributes:
        names: The names, letters and digits alone, or a symbol.
        words: Words that may stand beside one, such as ``lower`` in ``lower CI``.
        parts: Words that may follow each other without a space, as in ``meanscore``; at least one of them
            has to be a name.
        alone: Parts of up to three letters that are enough to tell; without one of these a longer part
            is needed.

    Examples:
        >>> names = StatisticNames.of(["mean", "ci"], ["score", "lower"], ["mean", "score"])
        >>> [name in names for name in ("Mean (raw)", "mean_score", "Lower CI", "score", "meanie")]
        [True, True, True, False, False]
        >>> "MeanScore" in names, "meanscore" in names, "scorescore" in names
        (True, True, False)
    """

    names: frozenset[str]
    words: frozenset[str]
    parts: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        words: Iterable[str],
        parts: Iterable[str] = (),
        alone: Iterable[str] = (),
    ) -> StatisticNames:
        """The names from lists in usual spelling."""
        return cls(*(frozenset(map(_folded, texts)) for texts in (names, words, parts, alone)))

    def __contains__(self, text: str) -> bool:
        plain = _BRACKETS.sub("", text)
        if _folded(plain) in self.names:
            return True
        for spelling in (plain, _HUMP.sub(" ", plain)):
            words = _WORD.findall(_folded(spelling))
            if words and "".join(words) in self.names:
                return True
            if not self.names.isdisjoint(words) and self.names | self.words >= set(words):
                return True
        return self._is_glued("".join(_WORD.findall(_folded(plain))))

    def _is_glued(self, letters: str) -> bool:
        """Whether a text consists of parts without spaces, one of them a name, one long enough."""
        if not 0 < len(letters) <= _LONGEST:
            return False
        ends: dict[int, set[tuple[bool, bool]]] = {0: {(False, False)}}
        for start in range(len(letters)):
            for part in self.parts if start in ends else ():
                if letters.startswith(part, start):
                    named, long = part in self.names, len(part) > 3 or part in self.alone
                    found = {(a or named, b or long) for a, b in ends[start]}
                    ends.setdefault(start + len(part), set()).update(found)
        return (True, True) in ends.get(len(letters), ())


def _folded(text: str) -> str:
    """A text without case, accents and surrounding spaces."""
    plain = unicodedata.normalize("NFKD", text.strip()).casefold()
    return "".join(c for c in plain if not unicodedata.combining(c))


def encode_names(
    column: pl.Series,
    name: str,
    where: str,
    rows: Sequence[int],
    *,
    statistics: StatisticNames | None = None,
    empty: str | None = None,
) -> tuple[tuple[str, ...], Codes]:
    """The distinct names of a column, and the index of each row among them.

    Args:
        column: Names (n,).
        name: Canonical name of the column.
        where: Name of the table for messages.
        rows: Row of the file of each of the n rows.
        statistics: Names that are neither subjects nor clips.
        empty: Stands for an empty cell; None to refuse it.

    Returns:
        Names, sorted, and int64 (n,).

    Raises:
        RatingsError: For an empty cell, a statistic, or two likely spellings of one name.

    Examples:
        >>> import polars as pl
        >>> encode_names(pl.Series(["b", "a", "b"]), "subject", "ratings.csv", rows=[1, 2, 3])
        (('a', 'b'), array([1, 0, 1]))
    """
    import polars as pl

    if column.dtype.is_float() and (column.drop_nulls() % 1 == 0).all():
        column = column.cast(pl.Int64)
    column = column.cast(pl.String)
    raw = column.unique().drop_nulls().to_list()
    cleaned = {text: clean_name(text) for text in raw}
    blank = column.is_null() | column.is_in([text for text in raw if not cleaned[text]])
    if blank.any() and empty is None:
        row = rows[int(blank.arg_max() or 0)]
        raise RatingsError(
            f"{where}: the column {name} is empty in row {row}; write its name in every row "
            "(merged cells and headings of groups leave it empty)"
        )
    column = column.set(blank, empty or "") if blank.any() else column
    cleaned |= {text: empty or "" for text in (*raw, "") if not cleaned.get(text)}
    for text in raw:
        if _ERROR.fullmatch(cleaned[text]):
            row = rows[int((column == text).arg_max() or 0)]
            raise RatingsError(
                f"{where}: {text!r} in the column {name} (row {row}) is an error of a spreadsheet, not a "
                "name; repair the formula, and save the values"
            )
        if statistics is not None and text in statistics:
            row = rows[int((column == text).arg_max() or 0)]
            raise RatingsError(
                f"{where}: {text!r} in the column {name} (row {row}) is the name of a statistic, "
                f"not of a {'subject' if name == 'subject' else 'clip'}; remove such rows"
            )
    _refuse_similar(raw, name, where)
    spellings = column.unique().sort()
    names = sorted({cleaned[text] for text in spellings.to_list()})
    place = {text: index for index, text in enumerate(names)}
    of_spelling = np.array([place[cleaned[text]] for text in spellings.to_list()], np.int64)
    codes = column.cast(pl.Enum(spellings)).to_physical().to_numpy().astype(np.int64)
    return tuple(names), of_spelling[codes]


def _refuse_similar(names: Iterable[str], column: str, where: str) -> None:
    known: dict[str, str] = {}
    for name in sorted(names):
        key = _similar(name, column)
        if key in known:
            first, second = ascii(known[key]), ascii(name)
            if unicodedata.normalize("NFC", known[key]) != unicodedata.normalize("NFC", name):
                first, second = repr(known[key]), repr(name)
            raise RatingsError(
                f"{where}: {first} and {second} in the column {column} may be two spellings "
                "of one name; write them alike, or rename one if they are different"
            )
        known[key] = name


def _similar(name: str, column: str) -> str:
    """Key that ignores spaces, case, leading zeros, Unicode form, media suffix and ``./``.

    A space and ``_`` are equal, as in the safe names of clips, and so are ``1`` and ``1.0``.
    """
    text = unicodedata.normalize("NFKC", clean_name(name)).casefold()
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    if column == "clip_id":
        text = "/".join(part for part in plain_name(text).split("/") if part != ".")
    if _WHOLE.fullmatch(text):
        text = text.partition(".")[0]
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", _SPACE.sub(" ", text))
