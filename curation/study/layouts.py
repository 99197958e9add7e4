"""Conversion of ratings tables to the long layout, from wide tables and exports of rating programs.

A long table has one row per presentation. Wide tables have one row per clip and one column per subject,
one row per subject and one column per clip, or one column for each known dimension. Also recognised:
`ratings.csv` of AVrateNG, the results of webMUSHRA, and the answers of a Google form.
"""

from __future__ import annotations

import ast
import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import RatingsError
from theval_datasets.manifest.joins import plain_name
from theval_datasets.utils.text import one_line
from theval_datasets.utils.yaml_files import read_yaml

from .ids import StatisticNames, clean_name
from .notation import answer

if TYPE_CHECKING:
    import polars as pl

SHOWN: Final = 3
"""Largest number of offending values in a message."""
MANY: Final = 40
"""Largest number of columns that a message says how to leave out."""
ROW: Final = "\0row"
"""Column with the row of the file, from 1 for the first below the header."""
_SERIES: Final = re.compile(r"(.*?)[\s_\-.#]*(?:\d+|(?<=[\s_\-.#])[A-Za-z])$", re.DOTALL)
_ORDINAL: Final = re.compile(
    r"([^\W\d_]+)(?:[\s_\-.#]+(?:[ivxlc]+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r"|[\s_\-.#]*\d+[\s_\-.#]*[^\W\d]+(?:[\s_]\w+)*)",
    re.IGNORECASE,
)  # a word and a Roman number, a number in words, or a number and more, as in ``Rater 1 score``
_FACT: Final = re.compile(
    r"Unnamed: \d+(?:_level_\d+)?|.+_complete|.+_timestamp|TIME\d{3}", re.IGNORECASE
)
"""Headings by which pandas, REDCap and SoSci Survey name columns that hold no answers."""
_WORD: Final = re.compile(r"[^\W_]+")
_IN_BRACKETS: Final = re.compile(r"(.*?)\s*\[([^\[\]]+)\]", re.DOTALL)
_REGISTERED: Final = (
    "user_registered"  # marks rows by which a fork of AVrateNG reserves a user number
)


@dataclass(frozen=True, eq=False)
class LongTable:
    """A table with one row per presentation.

    Attributes:
        frame: With the columns `subject`, `clip_id`, `score` and others of `columns.yaml`.
        layout: Description of the original layout.
        left_out: Columns of the original that hold no ratings.
    """

    frame: pl.DataFrame
    layout: str
    left_out: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def column_names() -> dict[str, Any]:
    """`columns.yaml`: recognised names of columns.

    Examples:
        >>> sorted(column_names())
        ['aliases', 'bookkeeping', 'dimensions', 'distortion_prefix', 'form_people', 'form_times', 'glued', 'glued_alone', 'headings', 'statistic_words', 'statistics']
    """
    plain: dict[str, Any] = read_yaml(resources.files(__package__ or "") / "columns.yaml")
    return plain


@lru_cache(maxsize=1)
def statistics() -> StatisticNames:
    """Names of statistics and of facts, which are neither subjects nor clips.

    Examples:
        >>> "Mean score" in statistics(), "Your age?" in statistics(), "Rater 1" in statistics()
        (True, True, False)
    """
    names = column_names()
    words, glued, alone = (names[key] for key in ("statistic_words", "glued", "glued_alone"))
    return StatisticNames.of(names["statistics"], words, glued, alone)


@lru_cache(maxsize=1)
def no_headings() -> StatisticNames:
    """Names that are neither subjects nor clips as headings of a wide table; more than `statistics`.

    Examples:
        >>> "fps" in no_headings(), "fps" in statistics(), "Rater 1" in no_headings()
        (True, False, False)
    """
    names = column_names()
    words, glued, alone = (names[key] for key in ("statistic_words", "glued", "glued_alone"))
    facts = [*names["statistics"], *names["headings"], *names["bookkeeping"]]
    return StatisticNames.of(facts, words, glued, alone)


@lru_cache(maxsize=1)
def bookkeeping() -> StatisticNames:
    """Names of facts that programs add to every rating, which a table with a column of scores may hold.

    Examples:
        >>> "reaction time" in bookkeeping(), "trial_index" in bookkeeping(), "MOS" in bookkeeping()
        (True, True, False)
    """
    names = column_names()
    return StatisticNames.of([*names["headings"], *names["bookkeeping"]], ())


def to_long(frame: pl.DataFrame, where: str) -> LongTable:
    """Convert a table of any recognised layout to the long layout.

    Args:
        frame: Table with the column `ROW`.
        where: Name of the table for messages.

    Raises:
        RatingsError: For columns that are unknown, duplicated, or statistics.

    Examples:
        >>> import polars as pl
        >>> table = {ROW: [2, 3], "subject": ["s1", "s2"], "clip_id": ["a", "a"], "score": [3, 4]}
        >>> to_long(pl.DataFrame(table), "ratings.csv").frame.columns[1:]
        ['subject', 'clip_id', 'score']
    """
    frame = frame.rename({column: clean_name(column) for column in frame.columns if column != ROW})
    plain = {_plain(column): column for column in frame.columns}
    for export in (_avrate, _webmushra, _google_form):
        table = export(frame, plain)
        if table is not None:
            return table
    return _wide_or_long(_renamed(frame, where), where)


def _plain(column: str) -> str:
    return re.sub(r"[\s\-]+", "_", column.strip().lower())


def _avrate(frame: pl.DataFrame, plain: dict[str, str]) -> LongTable | None:
    """AVrateNG's `ratings.csv`; `video_ID` is a position in a shuffled list, and left out."""
    import polars as pl

    clip = plain.get("video_name") or plain.get("stimuli_file")
    if clip is None or not {"user_id", "rating_type", "rating"} <= set(plain):
        return None
    kept = frame.filter(pl.col(plain["rating_type"]) != _REGISTERED)
    names = {text: _file_of(text) for text in kept[clip].drop_nulls().unique().to_list()}
    long = kept.select(
        pl.col(plain["user_id"]).alias("subject"),
        pl.col(clip).replace_strict(names, default=None, return_dtype=pl.String).alias("clip_id"),
        pl.col(plain["rating"]).alias("score"),
        pl.col(plain["rating_type"]).alias("dimension"),
        pl.col(ROW),
    )
    return LongTable(long, "ratings of AVrateNG")


def _file_of(text: str) -> str:
    """The file in AVrateNG's `video_name`, which may be a Python list of one file."""
    try:
        plain = ast.literal_eval(text) if text.startswith("[") else text
    except (ValueError, SyntaxError):
        plain = text
    if isinstance(plain, list):
        return " | ".join(map(str, plain))
    return str(plain)


def _webmushra(frame: pl.DataFrame, plain: dict[str, str]) -> LongTable | None:
    """webMUSHRA's results of MUSHRA and Likert pages; a clip is a trial's stimulus."""
    import polars as pl

    if {"trial_id", "rating_stimulus", "rating_score"} <= set(plain):
        stimulus, score = plain["rating_stimulus"], plain["rating_score"]
    elif {"trial_id", "stimuli", "stimuli_rating"} <= set(plain):
        stimulus, score = plain["stimuli"], plain["stimuli_rating"]
    else:
        return None
    people = [plain[name] for name in ("session_uuid", "uuid", "email", "name") if name in plain]
    people += [column for name, column in plain.items() if _target(name) == "subject"]
    if not people:
        raise RatingsError(
            "the results of webMUSHRA hold no column that tells participants apart "
            "(session_uuid, or a field of the questionnaire such as email or participant)"
        )
    trial = plain["trial_id"]
    long = frame.select(
        pl.col(people[0]).alias("subject"),
        pl.concat_str(pl.col(trial).cast(pl.String), pl.col(stimulus).cast(pl.String),
                      separator="/").alias("clip_id"),
        pl.col(score).alias("score"),
        pl.col(trial).alias("content_id"),
        (pl.col(stimulus) == "reference").alias("is_reference"),
        pl.col(ROW),
    )  # fmt: skip
    used = {people[0], stimulus, score, trial, ROW}
    return LongTable(
        long,
        f"results of webMUSHRA, clips are trial/stimulus, subjects by {people[0]!r}",
        tuple(column for column in frame.columns if column not in used),
    )


def _google_form(frame: pl.DataFrame, plain: dict[str, str]) -> LongTable | None:
    """Answers of a Google form: one row per person, one column per question or line of a grid."""
    import polars as pl

    columns = [column for column in frame.columns if column != ROW]
    if not columns or columns[0].casefold() not in column_names()["form_times"]:
        return None
    if any(_target(name) in ("clip_id", "score") for name in plain):
        return None
    people = [c for c in columns[1:] if _target(_plain(c)) == "subject" or _is_person(c)]
    grid = {c: match for c in columns[1:] if (match := _IN_BRACKETS.fullmatch(c))}
    rated = list(grid) or [c for c in columns[1:] if c not in people and c not in no_headings()]
    texts = frame.with_columns(pl.col(column).cast(pl.String) for column in rated)
    if people:
        texts = texts.with_columns(pl.col(people[0]).alias("\0subject"))
    else:
        texts = texts.with_columns(pl.format("response {}", pl.col(ROW)).alias("\0subject"))
    long = texts.unpivot(
        on=rated, index=["\0subject", ROW], variable_name="\0question", value_name="score"
    )
    answers = {text: answer(text) for text in long["score"].drop_nulls().unique().to_list()}
    questions = {c: (grid[c][1], clean_name(grid[c][2])) if grid else ("", c) for c in rated}
    long = long.select(
        pl.col("\0subject").alias("subject"),
        pl.col("\0question").replace_strict({c: q[1] for c, q in questions.items()},
                                            return_dtype=pl.String).alias("clip_id"),
        pl.col("score").replace_strict(answers, default=None, return_dtype=pl.String),
        pl.col("\0question").replace_strict({c: q[0] for c, q in questions.items()},
                                            return_dtype=pl.String).alias("dimension"),
        pl.col(ROW),
    )  # fmt: skip
    if len({title for title, _ in questions.values()}) == 1:
        long = long.drop("dimension")
    who = f"subjects by {people[0]!r}" if people else "a subject is a response"
    used = {*rated, *people[:1]}
    left_out = tuple(column for column in columns[1:] if column not in used)
    return LongTable(long, f"answers of a Google form, {who}", left_out)


def _is_person(column: str) -> bool:
    return column.casefold() in column_names()["form_people"]


def _target(plain: str) -> str | None:
    return meant_by(column_names()["aliases"], plain)


def meant_by(names: Mapping[str, Sequence[str]], text: str) -> str | None:
    """The name of which a text is an alias; case, accents, spaces and punctuation do not matter.

    Examples:
        >>> meant_by({"subject": ["subject", "subject_id"]}, "SubjectID")
        'subject'
    """
    letters = _letters(text)
    for name, aliases in names.items():
        if letters in map(_letters, aliases):
            return name
    return None


@lru_cache(maxsize=4096)
def _letters(text: str) -> str:
    """A name without case, accents, spaces, hyphens, underscores and dots."""
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in plain if not unicodedata.combining(c) and c not in " \u00a0_-.")


def _is_index(column: pl.Series) -> bool:
    """Whether a column holds the running numbers of the rows, from 0 or 1."""
    import polars as pl

    numbers = column.cast(pl.Int64, strict=False)
    first = numbers[0] if len(numbers) else None
    if first not in (0, 1) or numbers.null_count():
        return False
    return bool((numbers.diff().drop_nulls() == 1).all())


def _renamed(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    names: dict[str, str] = {}
    for column in frame.columns:
        target = _target(_plain(column))
        if target is None:
            continue
        if target in names.values():
            other = next(old for old, new in names.items() if new == target)
            raise RatingsError(
                f"{where}: the columns {other!r} and {column!r} are both {target}; ignore one of them"
            )
        names[column] = target
    return frame.rename(names)


def _wide_or_long(frame: pl.DataFrame, where: str) -> LongTable:
    names = column_names()
    known = set(names["aliases"])
    prefix = names["distortion_prefix"]
    others = [c for c in frame.columns if c not in known and not c.startswith(prefix) and c != ROW]
    has = {name: name in frame.columns for name in ("subject", "clip_id", "score")}
    if all(has.values()):
        facts = [c for c in others if c in bookkeeping() or (not c and _is_index(frame[c]))]
        unknown = [c for c in others if c not in facts]
        if unknown:
            raise _unknown(unknown, known, where)
        left_out = tuple(column for column in facts if column)
        return LongTable(frame.drop(facts), "one row per rating", left_out)
    if "" in others:
        frame, others = _named_corner(frame, others, where)
        has = {name: name in frame.columns for name in ("subject", "clip_id", "score")}
    ids = [c for c in frame.columns if c not in others]
    if has["subject"] and has["clip_id"]:
        dimensions = [c for c in others if c.lower() in names["dimensions"]]
        unknown = [c for c in others if c not in dimensions]
        if dimensions and not unknown and "dimension" not in frame.columns:
            frame = _melt(frame, ids, dimensions, "dimension")
            return LongTable(frame, "one row per subject and clip, one column per dimension")
        if unknown:
            raise _unknown(unknown, known, where)
    elif has["subject"] != has["clip_id"] and not has["score"] and len(others) > 1:
        target = "clip_id" if has["subject"] else "subject"
        _check_headings(others, known, target, where)
        layout = ("subject", "clip") if has["subject"] else ("clip", "subject")
        frame = _melt(frame, ids, others, target)
        return LongTable(frame, "one row per {}, one column per {}".format(*layout))
    lacking = [name for name, there in has.items() if not there]
    shown = [column for column in frame.columns if column != ROW]
    raise RatingsError(
        f"{where}: expected columns subject, clip_id and score, missing {', '.join(lacking)}; got "
        f"{one_line(', '.join(map(repr, shown[:12])))}. --column {lacking[0]}=NAME tells which column it "
        "is, --ignore NAME leaves out one that holds no ratings"
    )


def _named_corner(
    frame: pl.DataFrame, others: list[str], where: str
) -> tuple[pl.DataFrame, list[str]]:
    """Name the unnamed first column of a matrix according to the other headings."""
    headings = [column for column in others if column]
    meant = {_target(_plain(series)) for c in headings if (series := _series(c)) is not None}
    ids = {"subject", "clip_id"} & set(frame.columns)
    if meant not in ({"subject"}, {"clip_id"}) or ids or frame.columns[0] != "":
        raise RatingsError(
            f"{where}: a column has no name; name it subject or clip_id, whichever it holds"
        )
    other = "clip_id" if meant == {"subject"} else "subject"
    return frame.rename({"": other}), headings


def _check_headings(
    columns: Sequence[str], known: Collection[str], target: str, where: str
) -> None:
    """Refuse headings of a wide table that are not names of subjects or clips.

    A heading that resembles a known column is a misspelling, unless it is one of a series such as
    ``clip01, clip02``.
    """
    noun = "subject" if target == "subject" else "clip"
    facts = [column for column in columns if column in no_headings() or _FACT.fullmatch(column)]
    if len(facts) == 1:
        raise RatingsError(
            f"{where}: the column {facts[0]!r} holds a statistic or a fact, not ratings of a "
            f"{noun}; remove it (study --ignore {facts[0]!r}), or rename it if it is a {noun}"
        )
    if facts:
        raise RatingsError(
            f"{where}: {len(facts)} columns hold statistics or facts, not ratings of a {noun}; remove "
            f"them (study {' '.join(f'--ignore {one_line(column, 60)!r}' for column in facts[:MANY])}), or "
            f"rename those that are a {noun}"
        )
    if target == "clip_id" and {c.lower() for c in columns} <= set(column_names()["dimensions"]):
        raise RatingsError(
            f"{where}: the columns {', '.join(map(repr, columns[:SHOWN]))} are dimensions, and no "
            "column names the clips; expected a column clip_id"
        )
    _refuse_dimensions(columns, noun, where)
    series = Counter(map(_series, columns))
    near = []
    for column in columns:
        name = _series(column)
        if (name is None or series[name] < 2) and _close(column, known):
            near.append(column)
    if near:
        raise _unknown(near, known, where)


def _refuse_dimensions(columns: Sequence[str], noun: str, where: str) -> None:
    """Refuse headings that combine a name with one of several dimensions, as in ``Ann quality``."""
    first: dict[tuple[str, ...], tuple[str, str]] = {}
    for column in columns:
        words = _WORD.findall(column.casefold())
        dimensions = [word for word in words if word in column_names()["dimensions"]]
        rest = tuple(word for word in words if word not in dimensions)
        if len(dimensions) != 1 or not rest:
            continue
        dimension, other = first.setdefault(rest, (dimensions[0], column))
        if dimension != dimensions[0]:
            raise RatingsError(
                f"{where}: the columns {other!r} and {column!r} are two dimensions of one {noun}; give one "
                "row per rating, with the columns subject, clip_id, dimension and score"
            )


def _series(column: str) -> str | None:
    """The common part of headings such as ``clip01.mp4``, ``Rater B`` and ``Rater II``; None for others."""
    plain = plain_name(column).rpartition("/")[2]
    match = _SERIES.fullmatch(plain) or _ORDINAL.fullmatch(plain)
    return None if match is None else match[1].casefold()


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
        f"{', '.join(map(repr, columns[:SHOWN]))}; {hint} --column NAME={columns[0]} reads it "
        f"as the column NAME, --ignore {columns[0]} leaves it out (columns={{...}} and ignore=[...] in Python)."
    )
