"""Names in ratings tables: cleaning, and detection of misspellings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from theval_datasets.errors import RatingsError
from theval_datasets.manifest.joins import plain_name

from .panel import Codes

if TYPE_CHECKING:
    import polars as pl

_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"
_BRACKETS: Final = re.compile(r"[(\[{].*?[)\]}]")


def clean_name(text: str) -> str:
    """A name without surrounding spaces (including no-break and invisible ones), composed (NFC).

    Examples:
        >>> clean_name(" Clip 1.mp4 ")
        'Clip 1.mp4'
    """
    return unicodedata.normalize("NFC", text.strip().strip(_INVISIBLE).strip())


def statistic_key(text: str) -> str:
    """The letters and digits of a name, by which names of statistics are recognised.

    Examples:
        >>> statistic_key("Std. Dev. (SD)")
        'stddev'
    """
    return re.sub(r"[^a-z0-9]", "", _BRACKETS.sub("", text.casefold()))


def encode_names(
    column: pl.Series,
    name: str,
    where: str,
    rows: Sequence[int],
    *,
    statistics: frozenset[str] = frozenset(),
    empty: str | None = None,
) -> tuple[tuple[str, ...], Codes]:
    """The distinct names of a column, and the index of each row among them.

    Args:
        column: Names (n,).
        name: Canonical name of the column.
        where: Name of the table for messages.
        rows: Row of the file of each of the n rows.
        statistics: `statistic_key` of names that are neither subjects nor clips.
        empty: Stands for an empty cell; None to refuse it.

    Returns:
        Names, sorted, and int64 (n,).

    Raises:
        RatingsError: For an empty cell, a statistic, or two likely spellings of one name.
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
        raise RatingsError(f"{where}: the column {name} is empty in row {row}")
    column = column.set(blank, empty or "") if blank.any() else column
    cleaned |= {text: empty or "" for text in (*raw, "") if not cleaned.get(text)}
    for text in raw:
        if statistic_key(text) in statistics:
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
            raise RatingsError(
                f"{where}: {known[key]!r} and {name!r} in the column {column} may be two spellings "
                "of one name; write them alike, or rename one if they are different"
            )
        known[key] = name


def _similar(name: str, column: str) -> str:
    """Key that ignores spaces, case, leading zeros, Unicode form and media suffix."""
    text = unicodedata.normalize("NFKC", clean_name(name)).casefold()
    if column == "clip_id":
        text = plain_name(text)
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", re.sub(r"\s+", " ", text))
