"""Ratings tables from CSV, Parquet and JSON lines, long or wide, with errors that say where.

A long table has one row a presentation. Wide tables are reshaped: one row a clip and one column a
subject, one row a subject and one column a clip, or one column for each known dimension. Empty
scores are presentations that were not rated, and are left out and counted.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from theval_datasets.errors import RatingsError

from .panel import Codes, Flags, Floats
from .ratings import Ratings, make
from .taxonomy import Taxonomy
from .vote_columns import parse_votes

if TYPE_CHECKING:
    import polars as pl

SHOWN = 3
"""How many offending values a message shows."""


@dataclass(frozen=True)
class TableOptions:
    """What a table has to keep to.

    Attributes:
        score_range: Smallest and largest score; None leaves them unchecked.
        clips: The clips there are, from a manifest; None leaves them unchecked.
        taxonomy: Needed to read distortion votes.
        dimension: What a table without the column rates.
        ignore: Columns to leave out.
    """

    score_range: tuple[float, float] | None = None
    clips: Collection[str] | None = None
    taxonomy: Taxonomy | None = None
    dimension: str = "quality"
    ignore: Sequence[str] = ()


@lru_cache(maxsize=1)
def column_names() -> dict[str, Any]:
    """`columns.yaml`: the names under which columns are understood."""
    text = resources.files(__package__ or "").joinpath("columns.yaml").read_text("utf-8")
    plain: dict[str, Any] = yaml.safe_load(text)
    return plain


def read_ratings(path: Path, options: TableOptions | None = None) -> Ratings:
    """Read and check a ratings table.

    Args:
        path: ``.csv``, ``.tsv``, ``.parquet``, ``.jsonl`` or ``.ndjson``.
        options: What it has to keep to.

    Raises:
        RatingsError: At the first thing that does not fit, with the row where there is one.
    """
    return from_frame(read_frame(path), options, where=path.name)


def read_frame(path: Path) -> pl.DataFrame:
    """Read a table as it is; the cells of CSV stay text."""
    import polars as pl

    if not path.is_file():
        raise RatingsError(f"there is no file {path}")
    kind = path.suffix.lower()
    try:
        if kind in (".csv", ".tsv"):
            return pl.read_csv(path, separator="\t" if kind == ".tsv" else ",", infer_schema=False)
        if kind == ".parquet":
            return pl.read_parquet(path)
        if kind in (".jsonl", ".ndjson"):
            return pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RatingsError(f"{path.name} cannot be read as {kind[1:]}: {error}") from None
    raise RatingsError(
        f"expected a table ending in .csv, .tsv, .parquet, .jsonl or .ndjson, got {path.name}"
    )


def from_frame(
    frame: pl.DataFrame, options: TableOptions | None = None, *, where: str = "the table"
) -> Ratings:
    """Check a polars table and make `Ratings` of it.

    Args:
        frame: The table; see `columns.yaml` for the names of columns.
        options: What it has to keep to.
        where: What to call it in messages.

    Raises:
        RatingsError: At the first thing that does not fit.
    """
    options = options or TableOptions()
    frame = _renamed(frame, options, where)
    frame = _long(frame, where)
    score, rated = _scores(frame, options, where)
    n_missing = int((~rated).sum())
    if n_missing:
        import polars as pl

        frame = frame.filter(pl.Series(rated))
        score = score[rated]
    if not len(score):
        raise RatingsError(f"{where} holds no ratings")
    subjects, subject = _codes(frame, "subject", where)
    clips, clip = _codes(frame, "clip_id", where)
    if options.clips is not None:
        strangers = [name for name in clips if name not in set(options.clips)]
        if strangers:
            raise RatingsError(
                f"{where}: {len(strangers)} clips are not in the manifest, the first: "
                f"{', '.join(map(repr, strangers[:SHOWN]))}; rate what the manifest holds, or name "
                "the manifest that holds them"
            )
    zeros = np.zeros(len(score), np.int64)
    dimensions, dimension = (
        _codes(frame, "dimension", where)
        if "dimension" in frame.columns
        else ((options.dimension,), zeros)
    )
    sessions, session = (
        _codes(frame, "session", where, empty="") if "session" in frame.columns else (("",), zeros)
    )
    votes, vote_names = parse_votes(frame, options.taxonomy, where)
    return make(
        names=(subjects, clips, dimensions, sessions),
        codes=(subject, clip, dimension, session),
        repetition=_repetitions(frame, where),
        score=score,
        votes=votes,
        vote_names=vote_names,
        content=_per_clip(frame, "content_id", clip, clips, where),
        reference=_references(frame, clip, clips, where),
        generator=_per_clip(frame, "generator", clip, clips, where),
        n_missing=n_missing,
    )


def _renamed(frame: pl.DataFrame, options: TableOptions, where: str) -> pl.DataFrame:
    known = {alias: name for name, many in column_names()["aliases"].items() for alias in many}
    frame = frame.drop([name for name in options.ignore if name in frame.columns])
    names: dict[str, str] = {}
    for column in frame.columns:
        plain = column.strip().lower().replace(" ", "_").replace("-", "_")
        target = known.get(plain)
        if target is None:
            continue
        if target in names.values():
            other = next(old for old, new in names.items() if new == target)
            raise RatingsError(
                f"{where}: the columns {other!r} and {column!r} both mean {target}; ignore one"
            )
        names[column] = target
    return frame.rename(names)


def _long(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Reshape what is wide, and refuse columns that nobody knows."""
    names = column_names()
    known = set(names["aliases"])
    prefix = names["distortion_prefix"]
    others = [c for c in frame.columns if c not in known and not c.startswith(prefix)]
    has = {name: name in frame.columns for name in ("subject", "clip_id", "score")}
    if all(has.values()):
        if others:
            raise _unknown(others, known, where)
        return frame
    ids = [c for c in frame.columns if c not in others]
    if has["subject"] and has["clip_id"]:
        dimensions = [c for c in others if c.strip().lower() in names["dimensions"]]
        strangers = [c for c in others if c not in dimensions]
        if dimensions and not strangers and "dimension" not in frame.columns:
            return _melt(frame, ids, dimensions, "dimension")
        if strangers:
            raise _unknown(strangers, known, where)
    elif has["subject"] != has["clip_id"] and not has["score"] and len(others) > 1:
        near = [c for c in others if _close(c, known)]
        if near:
            raise _unknown(near, known, where)
        return _melt(frame, ids, others, "clip_id" if has["subject"] else "subject")
    lacking = [name for name, there in has.items() if not there]
    raise RatingsError(
        f"{where}: expected columns subject, clip_id and score, missing {', '.join(lacking)}; got "
        f"{', '.join(map(repr, frame.columns[:12]))}"
    )


def _melt(frame: pl.DataFrame, ids: list[str], columns: list[str], name: str) -> pl.DataFrame:
    import polars as pl

    texts = frame.with_columns(pl.col(column).cast(pl.String) for column in columns)
    return texts.unpivot(on=columns, index=ids, variable_name=name, value_name="score")


def _close(column: str, known: Collection[str]) -> list[str]:
    aliases = {alias for many in column_names()["aliases"].values() for alias in many}
    return difflib.get_close_matches(column.lower(), sorted(aliases | set(known)), n=1, cutoff=0.75)


def _unknown(columns: list[str], known: Collection[str], where: str) -> RatingsError:
    close = _close(columns[0], known)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}."
    return RatingsError(
        f"{where}: unknown column{'s' if len(columns) > 1 else ''} "
        f"{', '.join(map(repr, columns[:SHOWN]))}; {hint} Columns can also be ignored by name."
    )


def _scores(frame: pl.DataFrame, options: TableOptions, where: str) -> tuple[Floats, Flags]:
    """Scores, and which rows have one."""
    import polars as pl

    column = frame["score"]
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        given = (text.is_not_null() & (text != "")).fill_null(value=False)
    elif column.dtype.is_numeric():
        numbers, given = column.cast(pl.Float64), column.is_not_null()
    else:
        raise RatingsError(f"{where}: expected numbers in the column score, got {column.dtype}")
    values = numbers.fill_null(float("nan")).to_numpy()
    rated = given.to_numpy()
    bad = np.flatnonzero(rated & ~np.isfinite(values))
    if len(bad):
        raise RatingsError(
            f"{where}: {len(bad)} scores are not finite numbers, the first: "
            f"{_shown(column, bad)}; leave a cell empty where nothing was rated"
        )
    if options.score_range is not None:
        low, high = options.score_range
        bad = np.flatnonzero(rated & ((values < low) | (values > high)))
        if len(bad):
            raise RatingsError(
                f"{where}: {len(bad)} scores are outside of {low:g} … {high:g}, the first: "
                f"{_shown(column, bad)}"
            )
    return values.astype(np.float64), rated


def _shown(column: pl.Series, rows: Codes) -> str:
    return ", ".join(f"{column[int(row)]!r} in row {int(row) + 1}" for row in rows[:SHOWN])


def _codes(
    frame: pl.DataFrame, name: str, where: str, *, empty: str | None = None
) -> tuple[tuple[str, ...], Codes]:
    """Sorted names of a column and the index of each row among them."""
    import polars as pl

    column = frame[name].cast(pl.String)
    blank = column.is_null() | (column == "")
    if blank.any():
        if empty is None:
            row = int(blank.arg_max() or 0)
            raise RatingsError(f"{where}: the column {name} is empty in row {row + 1}")
        column = column.fill_null(empty)
    names = column.unique().sort()
    codes = column.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    return tuple(names.to_list()), codes


def _repetitions(frame: pl.DataFrame, where: str) -> Codes:
    import polars as pl

    if "repetition" not in frame.columns:
        return np.zeros(frame.height, np.int64)
    column = frame["repetition"].cast(pl.Int64, strict=False)
    bad = (column.is_null() | (column < 0) | (column > 1_000_000)).to_numpy()
    if bad.any():
        rows = np.flatnonzero(bad)
        raise RatingsError(
            f"{where}: expected a whole number of at least 0 in the column repetition, got "
            f"{_shown(frame['repetition'], rows)}"
        )
    return column.to_numpy().astype(np.int64)


def _per_clip(
    frame: pl.DataFrame, name: str, clip: Codes, clips: tuple[str, ...], where: str
) -> tuple[str, ...] | None:
    """A column that depends on the clip alone, one value a clip."""
    if name not in frame.columns:
        return None
    names, codes = _codes(frame, name, where)
    first = np.full(len(clips), -1, np.int64)
    first[clip] = codes
    other = np.flatnonzero(first[clip] != codes)
    if len(other):
        row = int(other[0])
        raise RatingsError(
            f"{where}: the clip {clips[clip[row]]!r} has two values of {name}: "
            f"{names[codes[row]]!r} and {names[first[clip[row]]]!r}"
        )
    return tuple(names[code] for code in first)


def _references(
    frame: pl.DataFrame, clip: Codes, clips: tuple[str, ...], where: str
) -> Flags | None:
    import polars as pl

    if "is_reference" not in frame.columns:
        return None
    plain = frame.with_columns(pl.col("is_reference").cast(pl.String).str.to_lowercase())
    texts = _per_clip(plain, "is_reference", clip, clips, where) or ()
    wrong = sorted(set(texts) - {"0", "1", "true", "false"})
    if wrong:
        raise RatingsError(
            f"{where}: expected 0, 1, true or false in the column is_reference, got {wrong[0]!r}"
        )
    return np.array([text in ("1", "true") for text in texts], bool)
