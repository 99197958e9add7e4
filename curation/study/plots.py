"""Plots of a study: one figure a plot and dimension, drawn without a display."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from theval_datasets.utils.figures import COLOURS, WIDTH, label_axes, new_figure
from theval_datasets.utils.files import safe_name

from .mos import OpinionScores
from .reports import SubjectReport, agreement_matrix
from .screening import BALANCE, OUTLIER_SHARE
from .study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS: Final = 40
"""Largest number of generators that a plot names."""
_MOST_NAMES: Final = 24  # subjects that the matrix of agreement can still name
_MOST_BARS: Final = 120  # clips whose intervals are still drawn one by one
_STRONGEST: Final = 0.6  # opacity of a cell that ink is still readable on
_LIMIT: Final[dict[str, Any]] = {"color": COLOURS["quiet"], "linestyle": "--", "linewidth": 1}
_BOX: Final[dict[str, Any]] = {
    "patch_artist": True,
    "widths": 0.6,
    "showfliers": False,
    "boxprops": {"facecolor": COLOURS["kept-pale"], "edgecolor": COLOURS["kept"]},
    "medianprops": {"color": COLOURS["kept"], "linewidth": 1.8},
    "whiskerprops": {"color": COLOURS["kept"]},
    "capprops": {"color": COLOURS["kept"]},
}

Limits = tuple[float, float]


@dataclass(frozen=True)
class StudyPlot:
    """One plot of a study.

    Attributes:
        title: Title.
        figure: Figure.
        wide: Whether it needs more than the width of a column.
    """

    title: str
    figure: Figure
    wide: bool = False


def draw_all(study: StudyResult) -> dict[str, StudyPlot]:
    """Every plot that the study's data allow, by name; with several dimensions, those of each."""
    plots: dict[str, StudyPlot] = {}
    each: dict[str, tuple[str, Callable[[StudyResult, str], Figure | None]]] = {
        "mos_per_clip": ("Opinion score of each clip, with 95 % intervals", mos_per_clip),
        "generators": (
            "Opinion scores by generator: boxes, and means with 95 % intervals",
            generator_boxes,
        ),
        "mos_distribution": ("Distribution of the opinion scores", mos_distribution),
        "screening": ("Screening of subjects", screening_plot),
        "agreement": ("Agreement between subjects", subject_agreement),
        "mos_by_distortions": ("Opinion score and number of distortions", mos_by_distortions),
    }
    for name, (title, draw) in each.items():
        for dimension in study.opinions:
            figure = draw(study, dimension)
            if figure is not None:
                single = len(study.opinions) == 1
                key = name if single else f"{name}-{safe_name(dimension).replace('/', '_')}"
                plots[key] = StudyPlot(title if single else f"{title}: {dimension}", figure)
    for name, title, rates in (
        ("distortion_rates", "Distortions by generator, % of the clips", distortion_rates),
        ("distortion_dimensions", "Distortions by quality dimension, % of the clips",
         distortion_dimensions),
    ):  # fmt: skip
        figure = rates(study)
        if figure is not None:
            plots[name] = StudyPlot(title, figure, wide=True)
    return plots


def score_limits(study: StudyResult, scores: OpinionScores) -> Limits:
    """Ends of an axis of opinion scores: the whole scale, and every interval.

    The scale is that of the map where there is one, else that of the ratings; scores that are on
    neither, such as z-scores, span what there is.
    """
    known = np.isfinite(scores.mos)
    half = np.where(np.isfinite(scores.ci95), scores.ci95, 0.0)
    ends = [*(scores.mos - half)[known].tolist(), *(scores.mos + half)[known].tolist()]
    parameters, source = study.parameters, study.ratings.source
    if parameters.rescale != "none":
        ends += parameters.range
    elif parameters.scores == "raw" and source is not None:
        ends += (source.scale.low, source.scale.high)
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    pad = 0.02 * (high - low) or 0.5
    return low - pad, high + pad


def mos_distribution(study: StudyResult, dimension: str) -> Figure:
    """A histogram over the whole scale, with the mean."""
    scores = study.opinions[dimension]
    values = scores.mos[np.isfinite(scores.mos)]
    figure, axes = new_figure(2.3)
    bins = np.linspace(
        *score_limits(study, scores), min(40, max(10, int(np.sqrt(len(values))))) + 1
    )
    axes.hist(
        values,
        bins.tolist(),
        color=COLOURS["kept"],
        edgecolor=COLOURS["paper"],
        linewidth=0.5,
    )
    axes.set_xlim(*score_limits(study, scores))
    title = f"{len(values):,} clips"
    if len(values):
        axes.axvline(float(values.mean()), color=COLOURS["rejected"], linewidth=1.3, linestyle="--")
        title += f", mean {values.mean():.3f} (dashed)"
    label_axes(axes, "opinion score", "clips", title)
    return figure


def mos_per_clip(study: StudyResult, dimension: str) -> Figure | None:
    """Scores in ascending order with their 95 % intervals; None if none is defined."""
    scores = study.opinions[dimension]
    order = np.argsort(scores.mos, kind="stable")
    order = order[np.isfinite(scores.mos[order])]
    if not len(order):
        return None
    mos, ci95 = scores.mos[order], scores.ci95[order]
    place = np.arange(1, len(order) + 1)
    figure, axes = new_figure(2.3)
    if len(order) <= _MOST_BARS:
        axes.vlines(place, mos - ci95, mos + ci95, color=COLOURS["kept"], linewidth=1.2, alpha=0.6)
        axes.plot(place, mos, "o", color=COLOURS["kept"], markersize=2.6)
    else:
        axes.fill_between(
            place, mos - ci95, mos + ci95, color=COLOURS["kept"], alpha=0.3, linewidth=0
        )
        axes.plot(place, mos, color=COLOURS["kept"], linewidth=1.3)
    axes.set_ylim(*score_limits(study, scores))
    known = ci95[np.isfinite(ci95)]
    half = f"; median half-width {np.median(known):.3f}" if len(known) else ""
    label_axes(
        axes, "clips, the lowest score first", "opinion score", f"{len(order):,} clips{half}"
    )
    return figure


def generator_boxes(study: StudyResult, dimension: str) -> Figure | None:
    """Boxes by generator, the best mean on top, with the mean's interval; None without generators."""
    rows = study.generator_rows(dimension)[:MOST_ROWS]
    if not rows:
        return None
    scores = study.opinions[dimension]
    values = study.generator_scores(dimension)
    figure, axes = new_figure(0.27 * len(rows) + 1.1)
    places = range(len(rows), 0, -1)
    names = [row["generator"] for row in rows]
    axes.boxplot([values[n] for n in names], positions=places, orientation="horizontal", **_BOX)
    for place, row in zip(places, rows, strict=True):
        half = row["ci95"] or 0.0
        axes.plot([row["mos"] - half, row["mos"] + half], [place] * 2, color=COLOURS["rejected"], linewidth=2.2)  # fmt: skip
        axes.plot(row["mos"], place, "D", color=COLOURS["rejected"], markersize=3.4)
    axes.set_yticks(places, [_short(f"{row['generator']} ({row['n']})") for row in rows])
    _literal(axes)
    axes.set_xlim(*score_limits(study, scores))
    label_axes(axes, "opinion score")
    return figure


def subject_agreement(study: StudyResult, dimension: str) -> Figure:
    """Correlations of all pairs of subjects; rejected subjects have a star."""
    panel = study.ratings.panel(dimension)
    rejected = study.opinions[dimension].screening.rejected
    figure, axes = new_figure(3.4)
    image = axes.imshow(agreement_matrix(panel), vmin=-1, vmax=1, cmap="RdBu")
    axes.set_facecolor(COLOURS["line"])
    names = [
        _short(f"{name} *" if out else name, 16)
        for name, out in zip(panel.subjects, rejected, strict=True)
    ]
    if len(names) <= _MOST_NAMES:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        _literal(axes)
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.ax.tick_params(labelsize=8, colors=COLOURS["ink"])
    bar.set_label("Pearson's correlation", fontsize=8.5, color=COLOURS["ink"])
    label_axes(axes, "* rejected" if len(names) <= _MOST_NAMES and rejected.any() else "")
    return figure


def screening_plot(study: StudyResult, dimension: str) -> Figure:
    """Screening statistics of each subject: BT.500's two shares, or the correlation."""
    scores = study.opinions[dimension]
    reports = [report for report in study.subjects if report.dimension == dimension]
    title = f"{sum(r.rejected for r in reports)} of {len(reports)} rejected"
    figure, axes = new_figure(2.6)
    if scores.screening.above is not None:
        for report in reports:
            where = report.share or 0.0, 1.0 if report.balance is None else report.balance
            _mark(axes, where, report)
        axes.axvline(OUTLIER_SHARE, **_LIMIT)
        axes.axhline(BALANCE, **_LIMIT)
        axes.set_ylim(-0.05, 1.05)
        axes.margins(x=0.15)
        axes.set_xlim(left=-0.005)
        label_axes(axes, "share of outliers (P + Q)", "|P - Q| / (P + Q)", f"{title} (lower right)")
        return figure
    shown = [report.correlation if report.share is None else report.share for report in reports]
    order = np.argsort([-1.0 if value is None else value for value in shown], kind="stable")
    for place, index in enumerate(order.tolist(), 1):
        _mark(axes, (place, shown[index] or 0.0), reports[index])
    if scores.screening.threshold is not None:
        axes.axhline(scores.screening.threshold, **_LIMIT)
    label_axes(axes, "subjects", "correlation with the panel", title)
    return figure


def _mark(axes: Axes, where: tuple[float, float], report: SubjectReport) -> None:
    """A subject as a dot, or as a cross with the name if rejected."""
    if not report.rejected:
        axes.plot(*where, "o", color=COLOURS["kept"], markersize=4, alpha=0.75, markeredgewidth=0)
        return
    axes.plot(*where, "X", color=COLOURS["rejected"], markersize=6, markeredgewidth=0)
    axes.annotate(
        _short(report.subject, 16),
        where,
        textcoords="offset points",
        xytext=(4, 3),
        fontsize=8,
        color=COLOURS["rejected"],
        parse_math=False,
    )


def distortion_rates(study: StudyResult) -> Figure | None:
    """Share of each generator's clips with each distortion; None without votes."""
    if study.labels is None:
        return None
    return _heat(study.labels.rates(), [kind.name for kind in study.labels.taxonomy.types])


def distortion_dimensions(study: StudyResult) -> Figure | None:
    """Share of each generator's clips with a distortion of each dimension; None without votes."""
    if study.labels is None:
        return None
    rates = study.labels.dimension_rates()
    return _heat(rates, list(next(iter(rates.values()), {})))


def _heat(rates: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> Figure | None:
    """Rates by generator (rows), written into cells; the stronger the colour the higher."""
    from matplotlib.patches import Rectangle

    if not rates or not columns:
        return None
    names = sorted(rates)[:MOST_ROWS]
    table = np.array([list(rates[name].values()) for name in names])
    most = max(0.01, float(table.max()))
    figure, axes = new_figure(0.3 * len(names) + 1.6, width=2 * WIDTH)
    for (row, column), value in np.ndenumerate(table):
        cell = Rectangle((column, row), 1, 1, color=COLOURS["kept"], linewidth=0)
        cell.set_alpha(_STRONGEST * float(value) / most)
        axes.add_patch(cell)
        axes.text(column + 0.5, row + 0.5, f"{100 * value:.0f}", ha="center", va="center",
                  fontsize=8, color=COLOURS["ink"])  # fmt: skip
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(names), 0)
    axes.set_yticks(np.arange(len(names)) + 0.5, [_short(name) for name in names])
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, [_short(n, 20) for n in columns], rotation=35, ha="right"
    )
    _literal(axes)
    return figure


def mos_by_distortions(study: StudyResult, dimension: str) -> Figure | None:
    """Boxes of the opinion score by the number of distortions; None without votes."""
    if study.labels is None:
        return None
    scores = study.opinions[dimension]
    number = dict(zip(study.labels.clips, study.labels.present.sum(axis=1).tolist(), strict=True))
    by: dict[int, list[float]] = {}
    for clip, value in zip(scores.clips, scores.mos.tolist(), strict=True):
        if np.isfinite(value):
            by.setdefault(number[clip], []).append(value)
    counts = sorted(by)
    figure, axes = new_figure(2.3)
    axes.boxplot([by[count] for count in counts], positions=counts, **_BOX)
    axes.set_xticks(counts, [f"{count}\n({len(by[count])})" for count in counts])
    axes.set_ylim(*score_limits(study, scores))
    label_axes(axes, "distortions (clips)", "opinion score")
    return figure


def _literal(axes: Axes) -> None:
    """Show names at the ticks literally: no formulas."""
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)


def _short(text: str, most: int = 28) -> str:
    """A name in one line that is not too long."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
