"""Distortion votes in a ratings table: a bit vector, names, or one column per distortion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theval_datasets.errors import RatingsError

from .panel import Flags
from .taxonomy import Taxonomy

if TYPE_CHECKING:
    import polars as pl

PREFIX = "distortion_"


def parse_votes(
    frame: pl.DataFrame, taxonomy: Taxonomy | None, where: str
) -> tuple[Flags | None, tuple[str, ...]]:
    """Distortion votes of each row.

    Three forms are recognised: a column `distortions` with a vector of 0 and 1 (text such as
    ``000000000101``, or a list), the same column with ids or names separated by ``;``, and columns
    ``distortion_ID`` with 0 or 1. An empty cell means that the subject saw no distortion.

    Args:
        frame: Table with canonical column names.
        taxonomy: Types of distortions; None if the table must not hold votes.
        where: Name of the table for messages.

    Returns:
        bool (n, types) and the ids of the types; None and () for a table without votes.

    Raises:
        RatingsError: If a vote cannot be read, or there is no taxonomy.

    Examples:
        >>> import polars as pl
        >>> from theval_datasets.curation.study.taxonomy import load_taxonomy
        >>> table = pl.DataFrame({"distortions": ["100000000000", ""]})
        >>> votes, ids = parse_votes(table, load_taxonomy(), "ratings.csv")
        >>> votes.sum(axis=1).tolist(), len(ids)
        ([1, 0], 12)
    """
    single = [column for column in frame.columns if column.startswith(PREFIX)]
    if "distortions" not in frame.columns and not single:
        return None, ()
    if taxonomy is None:
        raise RatingsError(f"{where} holds distortion votes: name the taxonomy to read them by")
    if "distortions" in frame.columns and single:
        raise RatingsError(
            f"{where}: votes are both in 'distortions' and in {single[0]!r}; ignore one"
        )
    if single:
        return _from_columns(frame, single, taxonomy, where), taxonomy.ids
    return _from_cells(frame["distortions"], taxonomy, where), taxonomy.ids


def _from_columns(frame: pl.DataFrame, single: list[str], taxonomy: Taxonomy, where: str) -> Flags:
    import polars as pl

    votes = np.zeros((frame.height, len(taxonomy.types)), bool)
    for column in single:
        name = column.removeprefix(PREFIX)
        if name not in taxonomy.ids:
            raise RatingsError(
                f"{where}: {column!r} is not a distortion of the taxonomy {taxonomy.name!r}; known: "
                f"{', '.join(taxonomy.ids)}"
            )
        text = frame[column].cast(pl.String).fill_null("0").str.to_lowercase()
        wrong = ~text.is_in(["0", "1", "", "true", "false"])
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise RatingsError(f"{where}: expected 0 or 1 in {column!r}, got {text[row]!r}")
        votes[:, taxonomy.ids.index(name)] = text.is_in(["1", "true"]).to_numpy()
    return votes


def _from_cells(column: pl.Series, taxonomy: Taxonomy, where: str) -> Flags:
    import polars as pl

    n_types = len(taxonomy.types)
    if isinstance(column.dtype, pl.List | pl.Array):
        column = column.cast(pl.List(pl.String)).list.join("")
    distinct = column.cast(pl.String).fill_null("").str.strip_chars()
    names = distinct.unique().sort()
    codes = distinct.cast(pl.Enum(names)).to_physical().to_numpy()
    by_name = {kind.name.lower(): i for i, kind in enumerate(taxonomy.types)}
    by_name |= {kind.id.lower(): i for i, kind in enumerate(taxonomy.types)}
    rows = np.zeros((len(names), n_types), bool)
    for index, text in enumerate(names.to_list()):
        if text and set(text) <= {"0", "1"}:
            if len(text) != n_types:
                raise RatingsError(
                    f"{where}: expected a vector of {n_types} bits in 'distortions', got {text!r} "
                    f"({len(text)}); the taxonomy {taxonomy.name!r} has {n_types} types"
                )
            rows[index] = [bit == "1" for bit in text]
            continue
        for part in filter(None, (piece.strip() for piece in text.split(";"))):
            if part.lower() not in by_name:
                raise RatingsError(
                    f"{where}: {part!r} in 'distortions' is not a type of the taxonomy "
                    f"{taxonomy.name!r}; expected {n_types} bits, or ids or names between ';'"
                )
            rows[index, by_name[part.lower()]] = True
    votes: Flags = rows[codes]
    return votes
