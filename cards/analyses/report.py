"""A report on a built dataset: a page, and for each figure a PNG and a CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.manifest.info import ConfigInfo, read_info
from theval_datasets.utils.figures import WIDTH, png, svg
from theval_datasets.utils.files import atomic_write, write_text

from ..pages import render_page
from .clips import clip_figures, portrait_figures, relationship_figures
from .comparison import comparison_figures
from .distortions import distortion_figures
from .figure import AnalysisFigure
from .marks import mark_figures
from .scores import score_figures
from .tables import BuiltTables, NoValuesError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

PAGE: Final = "report.html"
FAMILIES: Final[Mapping[str, tuple[AnalysisFigure, ...]]] = {
    "Opinion scores": tuple(score_figures()),
    "Distortions": tuple(distortion_figures()),
    "Marks": tuple(mark_figures()),
    "Generators": tuple(comparison_figures()),
    "Portraits and generation": tuple(portrait_figures()),
    "Relationships": tuple(relationship_figures()),
    "Clips": tuple(clip_figures()),
}
"""Figures in their order, by heading of the page."""
_TABLE_ROWS: Final = 60


@dataclass(frozen=True)
class ReportedFigure:
    """A figure of a report, drawn or not.

    Attributes:
        name: Name of the files.
        title: Heading.
        family: Heading of the group of figures.
        png: File of the drawing, relative to the report's folder; None if it could not be drawn.
        csv: File of the plotted table; None if it could not be drawn.
        rows: Rows of the plotted table.
        reason: Reason why the figure could not be drawn; None if it was drawn.
    """

    name: str
    title: str
    family: str
    png: str | None = None
    csv: str | None = None
    rows: int = 0
    reason: str | None = None


def card_figures(
    folder: Path, name: str, configs: Mapping[str, ConfigInfo]
) -> Iterator[tuple[AnalysisFigure, bytes]]:
    """The figures of a dataset's card, each with its PNG.

    Args:
        folder: Folder of the release, with its Parquet files.
        name: Name of the dataset, such as ``thqa-mt``.
        configs: Tables of the release.
    """
    tables = BuiltTables(folder, name, configs)
    for figures in FAMILIES.values():
        for figure in figures:
            if figure.on_card and figure.belongs_to(tables):
                try:
                    yield figure, png(figure.draw(figure.data(tables)))
                except NoValuesError:
                    continue


def write_report(folder: Path, output: Path) -> list[ReportedFigure]:
    """Write ``report.html``, and a PNG and a CSV for each figure.

    Args:
        folder: Folder of a built dataset.
        output: Folder to write to.

    Raises:
        InputError: The folder is no built dataset.
    """
    info = read_info(folder)
    tables = BuiltTables(folder, info.name, info.configs)
    reported: list[ReportedFigure] = []
    shown: list[dict[str, Any]] = []
    for family, figures in FAMILIES.items():
        drawn = []
        for figure in figures:
            if not figure.belongs_to(tables):
                continue
            try:
                data = figure.data(tables)
            except NoValuesError as error:
                reason = str(error)
                reported.append(ReportedFigure(figure.name, figure.title, family, reason=reason))
                continue
            drawing = figure.draw(data)
            reported.append(_write_figure(figure, family, data, drawing, output))
            drawn.append(
                {
                    "title": figure.title,
                    "about": figure.about,
                    "svg": svg(drawing, figure.title),
                    "wide": drawing.get_figwidth() > WIDTH,
                    "png": f"{figure.name}.png",
                    "csv": f"{figure.name}.csv",
                    "columns": data.columns,
                    "rows": [[_cell(v) for v in row] for row in data.head(_TABLE_ROWS).iter_rows()],
                    "n_rows": len(data),
                }
            )
        if drawn:
            shown.append({"title": family, "figures": drawn})
    features = info.configs.get("features") or next(iter(info.configs.values()))
    page = render_page(
        "report.html.jinja",
        {
            "title": f"Analyses of {info.dataset} {info.version}",
            "facts": [
                ("rows", f"{features.rows:,}"),
                *((k.replace("_", " "), f"{v:,.5g}") for k, v in info.counts.items()),
            ],
            "families": shown,
            "not_shown": [analysis for analysis in reported if analysis.reason is not None],
        },
    )
    write_text(output / PAGE, page)
    return reported


def _write_figure(
    figure: AnalysisFigure, family: str, data: pl.DataFrame, drawing: Figure, output: Path
) -> ReportedFigure:
    names = f"{figure.name}.png", f"{figure.name}.csv"
    table = io.BytesIO()
    data.write_csv(table)
    for name, content in zip(names, (png(drawing), table.getvalue()), strict=True):
        with atomic_write(output / name) as stream:
            stream.write(content)
    return ReportedFigure(figure.name, figure.title, family, *names, rows=len(data))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
