"""Reading and checking of ratings tables, from files and data frames to `Ratings`.

Empty scores, cells such as ``NA``, and scores that are a declared missing code are missing ratings: they
are left out and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from theval_datasets.errors import RatingsError
from theval_datasets.utils.table_files import read_table
from theval_datasets.utils.text import some_names

from .ids import encode_names
from .layouts import ROW, SHOWN, statistics, to_long
from .notation import plain_numbers
from .panel import Codes, Flags, Floats
from .ratings import Ratings, TableSummary, make
from .scales import check_names, check_scale
from .taxonomy import Taxonomy
from .vote_columns import parse_votes

if TYPE_CHECKING:
    import polars as pl

_DECIMAL_COMMA: Final = r"^\s*[-+]?\d+,\d+\s*$"
_NOT_RATED: Final = ("", "na", "n/a", "#n/a", "#na", "#nv", "n.a.", "null", "none", ".", "-", "–")
"""Cells that stand for a missing rating, in any case."""
_DECIMAL_POINT: Final = r"^\s*[-+]?\d+\.\d+\s*$"


@dataclass(frozen=True)
class TableOptions:
    """Options of reading a table.

    Attributes:
        score_range: Ends of the rating scale; None to infer them from the scores.
        missing_codes: Scores that mean "not rated".
        taxonomy: Types of distortion votes; None if the table must not hold votes.
        dimension: Dimension of a table that does not name one.
        ignore: Columns to leave out.
    """

    score_range: tuple[float, float] | None = None
    missing_codes: Sequence[float] = ()
    taxonomy: Taxonomy | None = None
    dimension: str = "quality"
    ignore: Sequence[str] = ()


def read_ratings(path: Path, options: TableOptions | None = None) -> Ratings:
    r"""Read and check a ratings table.

    Args:
        path: File with one of `theval_datasets.utils.table_files.SUFFIXES`.
        options: Options of reading.

    Raises:
        RatingsError: For the first fault, with its row if it has one.

    Examples:
        >>> _ = Path("ratings.csv").write_text("subject;clip_id;score\nanna;x;3\nbea;x;5\n")
        >>> ratings = read_ratings(Path("ratings.csv"), TableOptions(score_range=(1, 5)))
        >>> ratings.subjects, ratings.score.tolist()
        (('anna', 'bea'), [3.0, 5.0])
    """
    table = read_table(path, error=RatingsError)
    return from_frame(table.frame, options, where=path.name, rows=table.rows, form=table.form)


def read_votes(path: Path, options: TableOptions) -> Ratings:
    r"""Read and check a table of distortion votes, which needs no scores.

    Args:
        path: See `read_ratings`.
        options: Options of reading, with the taxonomy of the votes.

    Raises:
        RatingsError: If it is malformed, or holds no votes.

    Examples:
        >>> from .taxonomy import DistortionType
        >>> taxonomy = Taxonomy("ours", (DistortionType("blur", "Blur"), DistortionType("jitter", "Jitter")))
        >>> _ = Path("votes.csv").write_text("subject,clip_id,distortions\nanna,x,01\n")
        >>> read_votes(Path("votes.csv"), TableOptions(taxonomy=taxonomy)).votes
        array([[False,  True]])
    """
    import polars as pl

    table = read_table(path, error=RatingsError)
    frame = table.frame
    if "score" not in frame.columns:
        frame = frame.with_columns(pl.lit("0").alias("score"))
    votes = from_frame(frame, options, where=path.name, rows=table.rows, form=table.form)
    if votes.votes is None:
        raise RatingsError(
            f"{path.name} holds no votes: expected a column 'distortions', or columns "
            "'distortion_ID' with 0 and 1"
        )
    return votes


def from_frame(
    frame: pl.DataFrame,
    options: TableOptions | None = None,
    *,
    where: str = "the table",
    rows: Sequence[int] | None = None,
    form: str = "table",
) -> Ratings:
    """Check a polars table, and convert it to `Ratings`.

    Args:
        frame: Table; see `columns.yaml` for the names of columns.
        options: Options of reading.
        where: Name of the table for messages.
        rows: Row in the file of each row; numbered from 1 if None.
        form: Description of the file's format.

    Raises:
        RatingsError: For the first fault.

    Examples:
        >>> import polars as pl
        >>> table = pl.DataFrame({"subject": ["a", "b"], "clip_id": ["x", "x"], "score": [1, 3]})
        >>> from_frame(table).panel().clip_mean(np.array([1, 3])).tolist()
        [2.0]
    """
    import polars as pl

    options = options or TableOptions()
    frame = frame.drop([name for name in options.ignore if name in frame.columns])
    numbers = range(1, frame.height + 1) if rows is None else rows
    frame = frame.with_columns(pl.Series(ROW, numbers, dtype=pl.Int64))
    table = to_long(frame, where)
    frame = table.frame
    score, rated, read = _scores(frame, options, where)
    n_missing = int((~rated).sum())
    if n_missing:
        frame = frame.filter(pl.Series(rated))
        score = score[rated]
    if not len(score):
        raise RatingsError(f"{where} holds no ratings")
    places = frame[ROW].to_list()
    scale = check_scale(score, places, options.score_range, where)
    layout = table.layout + read
    if _are_addresses(frame["subject"]):
        frame = frame.with_columns(_numbered(frame["subject"]))
        layout += ", e-mail addresses replaced by numbers"
    names = statistics()
    subjects, subject = encode_names(frame["subject"], "subject", where, places, statistics=names)
    clips, clip = encode_names(frame["clip_id"], "clip_id", where, places, statistics=names)
    if not scale.declared:
        check_names(score, subject, subjects, "subject", where)
        check_names(score, clip, clips, "clip", where)
    zeros = np.zeros(len(score), np.int64)
    dimensions, dimension = (
        encode_names(frame["dimension"], "dimension", where, places)
        if "dimension" in frame.columns
        else ((options.dimension,), zeros)
    )
    sessions, session = (
        encode_names(frame["session"], "session", where, places, empty="")
        if "session" in frame.columns
        else (("",), zeros)
    )
    votes, vote_names = parse_votes(frame, options.taxonomy, where)
    ratings = make(
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
    return replace(ratings, source=TableSummary(form, layout, scale, table.left_out))


def _are_addresses(column: pl.Series) -> bool:
    import polars as pl

    return bool(
        column.cast(pl.String).unique().str.contains(r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$").any()
    )


def _numbered(column: pl.Series) -> pl.Series:
    """Numbers of the subjects, in the order of their names: e-mail addresses are never published."""
    import polars as pl

    texts = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    names = sorted(name for name in texts.unique().to_list() if name)
    width = len(str(len(names)))
    numbers = {name: f"subject {i:0{width}d}" for i, name in enumerate(names, start=1)}
    return texts.replace_strict(numbers, default=None, return_dtype=pl.String).alias(column.name)


def _scores(frame: pl.DataFrame, options: TableOptions, where: str) -> tuple[Floats, Flags, str]:
    """Scores, which rows have one, and what was read as other numbers than it says."""
    import polars as pl

    column, read = frame["score"], ""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        given = ~text.str.to_lowercase().is_in(_NOT_RATED).fill_null(value=True)
        text, read = _in_plain_notation(text, given, where)
        numbers = _with_decimal_points(text, frame[ROW], where).cast(pl.Float64, strict=False)
    elif column.dtype.is_numeric():
        numbers, given = column.cast(pl.Float64), column.is_not_null()
    else:
        raise RatingsError(f"{where}: expected numbers in the column score, got {column.dtype}")
    values = numbers.fill_null(float("nan")).to_numpy().astype(np.float64)
    rated = given.to_numpy() & ~np.isin(values, np.asarray(options.missing_codes, np.float64))
    invalid = np.flatnonzero(rated & ~np.isfinite(values))
    if len(invalid):
        raise RatingsError(
            f"{where}: {len(invalid)} scores are not finite numbers, the first: "
            f"{_shown(column, invalid, frame)}; expected numbers alone, or the words of the five-grade scale "
            "in one language. Save results instead of formulas and dates, replace other words by their "
            "numbers, and leave the cells of missing ratings empty"
        )
    return values, rated, read


def _in_plain_notation(text: pl.Series, given: pl.Series, where: str) -> tuple[pl.Series, str]:
    """Scores as numbers, and a remark on those that were not written as numbers."""
    import polars as pl

    distinct = sorted(text.filter(given).unique().to_list())
    try:
        plain = plain_numbers(distinct)
    except ValueError as reason:
        raise RatingsError(f"{where}: {reason}") from None
    changed = {old: new for old, new in plain.items() if old != new}
    if not changed:
        return text, ""
    told = [f"{old!r} is {changed[old]}" for old in sorted(changed, key=lambda old: changed[old])]
    numbers = text.replace_strict(changed, default=text, return_dtype=pl.String)
    return numbers, f", scores in words or signs ({some_names(told, 10)})"


def _with_decimal_points(text: pl.Series, rows: pl.Series, where: str) -> pl.Series:
    if not text.unique().str.contains(_DECIMAL_COMMA).any():
        return text
    comma, point = text.str.contains(_DECIMAL_COMMA), text.str.contains(_DECIMAL_POINT)
    if point.any():
        first, second = int(comma.arg_max() or 0), int(point.arg_max() or 0)
        raise RatingsError(
            f"{where}: {text[first]!r} in row {rows[first]} has a decimal comma, {text[second]!r} "
            f"in row {rows[second]} a decimal point; use one of them for all scores"
        )
    return text.str.replace(",", ".", literal=True)


def _shown(column: pl.Series, places: Codes, frame: pl.DataFrame) -> str:
    rows = frame[ROW]
    return ", ".join(f"{column[int(i)]!r} in row {rows[int(i)]}" for i in places[:SHOWN])


def _repetitions(frame: pl.DataFrame, where: str) -> Codes:
    import polars as pl

    if "repetition" not in frame.columns:
        return np.zeros(frame.height, np.int64)
    column = frame["repetition"].cast(pl.Int64, strict=False)
    invalid = (column.is_null() | (column < 0) | (column > 1_000_000)).to_numpy()
    if invalid.any():
        raise RatingsError(
            f"{where}: expected a whole number of at least 0 in the column repetition, got "
            f"{_shown(frame['repetition'], np.flatnonzero(invalid), frame)}"
        )
    return column.to_numpy().astype(np.int64)


def _per_clip(
    frame: pl.DataFrame, name: str, clip: Codes, clips: tuple[str, ...], where: str
) -> tuple[str, ...] | None:
    """Values of a column that depends on the clip only, one per clip."""
    if name not in frame.columns:
        return None
    names, codes = encode_names(frame[name], name, where, frame[ROW].to_list())
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
