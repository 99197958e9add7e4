"""Opinion scores: their distribution, overall and by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from .drawing import draw_boxes, draw_histogram
from .figure import AnalysisFigure
from .statistics import grouped, histogram
from .tables import BuiltTables, NoValuesError

if TYPE_CHECKING:
    import polars as pl

SCORES: Final = {
    "mos": "opinion score",
    "quality_mos": "quality score",
    "authenticity_mos": "authenticity score",
}
"""Columns of scores, and their names in headings."""
DIFFICULTIES: Final = ("Easy", "Medium", "Hard")
_BOXES: Final = (
    "Boxes are quartiles, whiskers end within 1.5 interquartile ranges, dots are means with their "
    "95 % interval (Student's t), which may end outside the plot; in brackets the number of clips."
)
_GROUPS: Final = (
    ("generator", "generator", ()),
    ("generator_kind", "kind of generator", ()),
    ("checkpoint", "checkpoint", ()),
    ("difficulty", "difficulty of the portrait", DIFFICULTIES),
    ("n_subjects", "number of subjects", ()),
    ("portrait_generator", "generator of the portrait", ()),
    ("distortion_level", "level of distortion", ()),
    ("language", "language", ()),
)
"""Columns by which clips are grouped: name, label, and groups that come first."""


def score_figures() -> Iterator[AnalysisFigure]:
    """Distribution of each opinion score, and its boxes by each group.

    Examples:
        >>> [figure.name for figure in score_figures()][:2]
        ['mos_distribution', 'mos_by_generator']
    """
    for score, called in SCORES.items():
        heading = called.capitalize()
        yield AnalysisFigure(
            f"{score}_distribution",
            f"Distribution of the {called}",
            "Clips by mean opinion score; the dashed line is the mean over the clips.",
            {"features": (score,)},
            partial(_distribution, score=score),
            draw_histogram,
            on_card=True,
        )
        for column, what, order in _GROUPS:
            yield AnalysisFigure(
                f"{score}_by_{column}",
                f"{heading} by {what}",
                _BOXES,
                {"features": (score, column)},
                partial(_by_group, score=score, column=column, order=order),
                partial(draw_boxes, value=f"{score} (score)", group=what),
                on_card=column == "generator",
            )
        for column in ("distortions", "distortion_categories", "dimensions"):
            name = column.replace("_", " ")
            yield AnalysisFigure(
                f"{score}_by_{column}",
                f"{heading} by {name}",
                f"A clip counts in the row of each of its {name}, or in the row “none”. {_BOXES}",
                {"features": (score, column)},
                partial(_by_label, score=score, column=column),
                partial(draw_boxes, value=f"{score} (score)"),
            )
        yield AnalysisFigure(
            f"{score}_by_number_of_distortions",
            f"{heading} by number of distortions",
            _BOXES,
            {"features": (score, "distortions")},
            partial(_by_number, score=score),
            partial(draw_boxes, value=f"{score} (score)", group="distortions"),
        )


def _distribution(tables: BuiltTables, score: str) -> pl.DataFrame:
    return histogram(tables.frame("features", [score]), tables.units("features"))


def _by_group(tables: BuiltTables, score: str, column: str, order: Sequence[str]) -> pl.DataFrame:
    made = grouped(tables.frame("features", [score, column]), column, score, order)
    return _compared(made, score, f"the {column}")


def _by_label(tables: BuiltTables, score: str, column: str) -> pl.DataFrame:
    import polars as pl

    frame = tables.frame("features", [score, column]).drop_nulls()
    labels = pl.when(pl.col(column).list.len() > 0).then(pl.col(column)).otherwise(pl.lit(["none"]))
    labelled = frame.with_columns(labels.alias(column)).explode(column)
    return _compared(grouped(labelled, column, score), score, f"as {column}")


def _by_number(tables: BuiltTables, score: str) -> pl.DataFrame:
    import polars as pl

    frame = tables.frame("features", [score, "distortions"])
    number = pl.col("distortions").list.len().cast(pl.Int64)
    made = grouped(frame.with_columns(number), "distortions", score)
    return _compared(made, score, "as number of distortions")


def _compared(groups: pl.DataFrame, score: str, what: str) -> pl.DataFrame:
    """The groups, if there are several: a single one is no comparison."""
    if len(groups) < 2:
        raise NoValuesError(f"every clip with a {score} has {what} {groups['group'][0]}")
    return groups
