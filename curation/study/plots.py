"""Plots of a study as PNG, drawn without a display."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .reports import agreement_matrix
from .screening import BALANCE, OUTLIER_SHARE
from .study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, BLUE, RED, GREY = "#1f2933", "#2f6f9f", "#c0392b", "#9aa5b1"
MOST_ROWS = 40
"""Largest number of generators or subjects that a plot names."""


def draw_all(study: StudyResult) -> dict[str, tuple[str, bytes]]:
    """Every plot that the study's data allow.

    Returns:
        Title and PNG of each plot, by file name without suffix.
    """
    plots: dict[str, tuple[str, Callable[[StudyResult], Figure | None]]] = {
        "mos_distribution": ("Distribution of the opinion scores", mos_distribution),
        "generators": ("Opinion scores by generator", generator_boxes),
        "agreement": ("Agreement between subjects", subject_agreement),
        "screening": ("Rejected subjects", screening_plot),
        "distortion_rates": ("Distortions by generator", distortion_rates),
        "distortion_dimensions": ("Distortions by quality dimension", distortion_dimensions),
        "mos_by_distortions": ("Opinion score and number of distortions", mos_by_distortions),
    }
    drawn = {}
    for name, (title, draw) in plots.items():
        figure = draw(study)
        if figure is not None:
            drawn[name] = (title, _png(figure))
    return drawn


def mos_distribution(study: StudyResult) -> Figure:
    """A histogram for each dimension."""
    figure, axes = _figure(len(study.opinions), height=3.2)
    for axis, (dimension, scores) in zip(axes, study.opinions.items(), strict=True):
        values = scores.mos[np.isfinite(scores.mos)]
        bins = min(40, max(8, int(np.sqrt(len(values)))))
        axis.hist(values, bins=bins, color=BLUE, edgecolor="white", linewidth=0.5)
        if len(values):
            axis.axvline(float(values.mean()), color=RED, linewidth=1.2)
            axis.text(
                float(values.mean()),
                axis.get_ylim()[1],
                f" mean {values.mean():.2f}",
                color=RED,
                va="top",
                fontsize=8,
            )
        _say(axis, f"{dimension}: {len(values)} clips", "opinion score", "clips")
    return figure


def generator_boxes(study: StudyResult) -> Figure | None:
    """Boxes by generator, the best median on top; None without generators."""
    if study.ratings.generator is None:
        return None
    place = dict(zip(study.ratings.clips, study.ratings.generator, strict=True))
    groups: list[dict[str, list[float]]] = []
    for scores in study.opinions.values():
        by: dict[str, list[float]] = {}
        for clip, value in zip(scores.clips, scores.mos.tolist(), strict=True):
            if np.isfinite(value):
                by.setdefault(place[clip], []).append(value)
        groups.append(by)
    most = max((len(by) for by in groups), default=0)
    figure, axes = _figure(len(groups), height=max(2.4, 0.34 * min(most, MOST_ROWS) + 1.2))
    for axis, dimension, by in zip(axes, study.opinions, groups, strict=True):
        names = sorted(by, key=lambda name: (float(np.median(by[name])), name))[-MOST_ROWS:]
        boxes = axis.boxplot(
            [by[name] for name in names],
            orientation="horizontal",
            patch_artist=True,
            widths=0.6,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
            medianprops={"color": RED},
        )
        for box in boxes["boxes"]:
            box.set(facecolor="#d9e8f3", edgecolor=BLUE)
        axis.set_yticks(range(1, len(names) + 1), [_plain(f"{n} ({len(by[n])})") for n in names])
        _say(axis, dimension, "opinion score", "")
    return figure


def subject_agreement(study: StudyResult) -> Figure:
    """Correlations of all pairs of subjects; rejected subjects are marked."""
    figure, axes = _figure(len(study.opinions), height=4.6, width=5.6)
    for axis, (dimension, scores) in zip(axes, study.opinions.items(), strict=True):
        panel = study.ratings.panel(dimension)
        image = axis.imshow(agreement_matrix(panel), vmin=-1, vmax=1, cmap="RdBu")
        axis.set_facecolor("#eeeeee")
        if len(panel.subjects) <= MOST_ROWS:
            ticks = range(len(panel.subjects))
            axis.set_xticks(ticks, [_plain(name) for name in panel.subjects], rotation=90)
            axis.set_yticks(ticks, [_plain(name) for name in panel.subjects])
            for labels in (axis.get_xticklabels(), axis.get_yticklabels()):
                for text, rejected in zip(labels, scores.screening.rejected, strict=True):
                    text.set(fontsize=6, color=RED if rejected else INK)
        _colour_bar(figure, image, axis, "Pearson's correlation")
        named = " (red: rejected)" if len(panel.subjects) <= MOST_ROWS else ""
        _say(axis, f"{dimension}{named}", "", "")
    return figure


def screening_plot(study: StudyResult) -> Figure:
    """Screening statistics of each subject: BT.500's two shares, or the correlation."""
    figure, axes = _figure(len(study.opinions), height=3.6)
    for axis, (dimension, scores) in zip(axes, study.opinions.items(), strict=True):
        reports = [report for report in study.subjects if report.dimension == dimension]
        n_rejected = sum(report.rejected for report in reports)
        if scores.screening.above is not None:
            for report in reports:
                colour = RED if report.rejected else BLUE
                y = 1.0 if report.balance is None else report.balance
                axis.scatter(report.share or 0.0, y, color=colour, s=22, alpha=0.8, linewidth=0)
                if report.rejected:
                    axis.annotate(_plain(report.subject), (report.share or 0.0, y), fontsize=7)
            axis.axvline(OUTLIER_SHARE, color=GREY, linestyle="--", linewidth=1)
            axis.axhline(BALANCE, color=GREY, linestyle="--", linewidth=1)
            axis.set_ylim(-0.05, 1.05)
            _say(
                axis,
                f"{dimension}: {n_rejected} of {len(reports)} rejected (lower right)",
                "share of outliers (P + Q)",
                "one-sidedness |P - Q| / (P + Q)",
            )
            continue
        shown = [report.correlation if report.share is None else report.share for report in reports]
        order = np.argsort([-1.0 if value is None else value for value in shown], kind="stable")
        axis.bar(
            range(len(order)),
            [shown[i] or 0.0 for i in order],
            color=[RED if reports[i].rejected else BLUE for i in order],
        )
        if scores.screening.threshold is not None:
            axis.axhline(scores.screening.threshold, color=GREY, linestyle="--", linewidth=1)
        _say(
            axis,
            f"{dimension}: {n_rejected} of {len(reports)} rejected",
            "subjects",
            "correlation with the panel",
        )
    return figure


def distortion_rates(study: StudyResult) -> Figure | None:
    """Share of each generator's clips with each distortion; None without votes."""
    if study.labels is None:
        return None
    names = [kind.name for kind in study.labels.taxonomy.types]
    title = f"{study.labels.instances} distortions: share of the clips in %"
    return _heat(study.labels.rates(), names, title)


def distortion_dimensions(study: StudyResult) -> Figure | None:
    """Share of each generator's clips with a distortion of each dimension; None without votes."""
    if study.labels is None:
        return None
    rates = study.labels.dimension_rates()
    names = list(next(iter(rates.values()), {}))
    return _heat(rates, names, "clips with at least one distortion in %")


def _heat(rates: dict[str, dict[str, float]], columns: list[str], title: str) -> Figure | None:
    """Rates by generator (rows), written into coloured cells."""
    if not rates:
        return None
    names = sorted(rates)[:MOST_ROWS]
    table = np.array([list(rates[name].values()) for name in names])
    width = min(9.0, max(4.8, 3.2 + 0.45 * len(columns)))
    figure, (axis,) = _figure(1, height=max(2.6, 0.34 * len(names) + 2.0), width=width)
    image = axis.imshow(table, vmin=0, vmax=max(0.01, float(table.max())), cmap="YlOrRd")
    axis.set_aspect("auto")
    axis.set_yticks(range(len(names)), [_plain(name) for name in names])
    axis.set_xticks(
        range(len(columns)), [_plain(name) for name in columns], rotation=35, ha="right"
    )
    if table.size <= 600:
        dark = 0.6 * float(table.max())
        for (row, column), value in np.ndenumerate(table):
            axis.text(
                column,
                row,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if value > dark else INK,
            )
    _colour_bar(figure, image, axis, "share of the clips")
    _say(axis, title, "", "")
    return figure


def _colour_bar(figure: Figure, image: Any, axis: Axes, label: str) -> None:
    bar = figure.colorbar(image, ax=axis, shrink=0.8)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def mos_by_distortions(study: StudyResult) -> Figure | None:
    """Boxes of the opinion score by the number of distortions; None without votes."""
    if study.labels is None:
        return None
    number = dict(zip(study.labels.clips, study.labels.present.sum(axis=1).tolist(), strict=True))
    figure, axes = _figure(len(study.opinions), height=3.4)
    for axis, (dimension, scores) in zip(axes, study.opinions.items(), strict=True):
        by: dict[int, list[float]] = {}
        for clip, value in zip(scores.clips, scores.mos.tolist(), strict=True):
            if np.isfinite(value):
                by.setdefault(number[clip], []).append(value)
        counts = sorted(by)
        axis.boxplot(
            [by[count] for count in counts],
            positions=counts,
            widths=0.6,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
            medianprops={"color": RED},
        )
        axis.set_xticks(counts, [f"{count}\n({len(by[count])})" for count in counts])
        _say(axis, dimension, "distortions (clips)", "opinion score")
    return figure


def _figure(columns: int, *, height: float, width: float = 4.8) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, columns, index + 1) for index in range(columns)]
    return figure, axes


def _say(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(_plain(title, 60), fontsize=10, color=INK, loc="left")
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.tick_params(labelsize=7)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _plain(text: str, most: int = 36) -> str:
    """Text that matplotlib shows literally, without formulas and line breaks, truncated."""
    text = " ".join(text.split())
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.replace("$", r"\$")


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
