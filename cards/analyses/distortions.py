"""Distortions: the frequency of each, overall and by generator."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from .drawing import draw_bars, draw_cells
from .figure import AnalysisFigure
from .statistics import shares
from .tables import BuiltTables

if TYPE_CHECKING:
    import polars as pl

_KINDS: Final = {
    "distortions": "distortions",
    "dimensions": "quality dimensions",
    "distortion_categories": "distortion categories",
}


def distortion_figures() -> Iterator[AnalysisFigure]:
    """Rates over all clips, and by generator and checkpoint.

    Examples:
        >>> [figure.name for figure in distortion_figures()][:2]
        ['distortions_distribution', 'distortions_by_generator']
    """
    for column, what in _KINDS.items():
        yield AnalysisFigure(
            f"{column}_distribution",
            f"Distribution of {what}",
            f"Share of the clips that show each; a clip may show several. n is the number of clips "
            f"whose {what} are known.",
            {"features": (column,)},
            partial(_overall, column=column),
            partial(draw_bars, group="label", value="share", unit="share of the clips"),
        )
        for group in ("generator", "checkpoint"):
            yield AnalysisFigure(
                f"{column}_by_{group}",
                f"{what.capitalize()} by {group}",
                f"Percentage of the clips of each {group} that show each; in brackets the number "
                f"of clips whose {what} are known.",
                {"features": (group, column)},
                partial(_by_group, column=column, group=group),
                draw_cells,
                on_card=group == "generator" and column == "distortions",
            )


def _overall(tables: BuiltTables, column: str) -> pl.DataFrame:
    import polars as pl

    frame = tables.frame("features", [column]).with_columns(group=pl.lit("all"))
    return shares(frame, "group", column)


def _by_group(tables: BuiltTables, column: str, group: str) -> pl.DataFrame:
    return shares(tables.frame("features", [group, column]), group, column)
