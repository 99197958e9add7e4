"""Drawing functions shared by several figures; each draws a table without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.utils.figures import COLOURS, WIDTH, label_axes, label_bar, new_figure

from ..escape import plain_line

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 40
"""Maximum number of groups or bars in a figure; the CSV holds all."""
_LABEL: Final = 30
_STRONGEST: Final = 0.6  # maximum opacity of a cell on which text is readable


def draw_histogram(frame: pl.DataFrame, rows: str = "clips") -> Figure:
    """Bars of `statistics.histogram`, one plot per column, with the mean.

    Args:
        frame: Result of `histogram`.
        rows: Name of the counted rows, such as clips.
    """
    from matplotlib.ticker import MaxNLocator

    names = frame["column"].unique(maintain_order=True).to_list()
    figure, plots = grid(len(names), 2.3 if len(names) == 1 else 1.8)
    for axes, name in zip(plots, names, strict=True):
        part = frame.filter(frame["column"] == name)
        n, mean, unit = part["n"][0], part["mean"][0], part["unit"][0]
        low, high = part["low"].to_numpy(), part["high"].to_numpy()
        axes.bar(
            low,
            part["count"].to_numpy(),
            width=high - low,
            align="edge",
            color=COLOURS["kept"],
            edgecolor=COLOURS["paper"],
            linewidth=0.5,
        )
        axes.axvline(mean, color=COLOURS["rejected"], linewidth=1.2, linestyle="--")
        axes.xaxis.set_major_locator(MaxNLocator(6))  # long numbers must not touch
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        title = f"n = {n:,}, mean {mean:.4g}".replace("-", "−")  # as the axes write minus
        label_axes(axes, f"{name} ({unit})" if unit else name, rows, title)
    return figure


def draw_boxes(frame: pl.DataFrame, value: str, group: str = "") -> Figure:
    """Boxes of `statistics.grouped`, the first group on top, with means and their intervals.

    Args:
        frame: Result of `grouped`.
        value: Label of the values' axis.
        group: Label of the groups' axis.
    """
    shown = _largest(frame)
    figure, axes = new_figure(max(0.24 * len(shown) + 1.1, 0.065 * len(group) + 0.6))
    boxes = [
        {
            "whislo": row["whisker_low"],
            "q1": row["q1"],
            "med": row["median"],
            "q3": row["q3"],
            "whishi": row["whisker_high"],
        }
        for row in shown.iter_rows(named=True)
    ]
    line = {"color": COLOURS["kept"], "linewidth": 1.0}
    axes.bxp(
        boxes,
        orientation="horizontal",
        showfliers=False,
        patch_artist=True,
        widths=0.6,
        boxprops={"facecolor": COLOURS["kept-pale"], "edgecolor": COLOURS["kept"]},
        medianprops={"color": COLOURS["kept"], "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
    )
    for place, row in enumerate(shown.iter_rows(named=True), 1):
        _interval(axes, place, row["mean"], row["ci95_low"], row["ci95_high"])
    _name_rows(axes, [f"{_short(g)} ({n:,})" for g, n in shown.select("group", "n").iter_rows()], 1)
    low = float(shown["whisker_low"].to_numpy().min())
    high = float(shown["whisker_high"].to_numpy().max())
    pad = 0.08 * (high - low) or 0.5
    axes.set_xlim(low - pad, high + pad)
    label_axes(axes, value, group, _left_out(frame, shown))
    return figure


def draw_intervals(
    frame: pl.DataFrame, group: str, value: str, limits: tuple[float, float]
) -> Figure:
    """A point with its interval for each row.

    Args:
        frame: Table that also has the columns `low`, `high` and `n`.
        group: Column of names.
        value: Column of the points.
        limits: Limits of the horizontal axis.
    """
    figure, axes = new_figure(0.24 * len(frame) + 1.1)
    axes.axvline(0, color=COLOURS["quiet"], linewidth=0.8)
    rows = frame.select(group, value, "low", "high", "n").iter_rows()
    for place, (_, middle, low, high, _) in enumerate(rows):
        _interval(axes, place, middle, low, high)
    _name_rows(axes, [f"{_short(g)} ({n})" for g, n in frame.select(group, "n").iter_rows()], 0)
    axes.set_xlim(limits)
    label_axes(axes, value)
    return figure


def draw_bars(frame: pl.DataFrame, group: str, value: str, unit: str) -> Figure:
    """A horizontal bar for each row, with its number.

    Args:
        frame: Table in the order of the bars, the first on top.
        group: Column of names.
        value: Column of lengths.
        unit: Label of the horizontal axis.
    """
    shown = frame.head(MOST)
    figure, axes = new_figure(0.22 * len(shown) + 1.0)
    lengths = shown[value].to_list()
    axes.barh(range(len(shown)), lengths, color=COLOURS["kept"], height=0.7)
    for place, length in enumerate(lengths):
        text = f"{length:,}" if isinstance(length, int) else f"{length:.3f}"
        label_bar(axes, max(length, 0), place, text)
    _name_rows(axes, [_short(name) for name in shown[group].to_list()], 0)
    axes.margins(x=0.16)
    n = f"n = {frame['n'][0]:,}" if "n" in frame.columns else ""
    label_axes(axes, unit, "", ", ".join(filter(None, [n, _left_out(frame, shown)])))
    return figure


def draw_cells(frame: pl.DataFrame, unit: str = "% of the clips") -> Figure:
    """Shares of `statistics.shares` as a table of shaded cells: groups are rows, labels columns."""
    groups = frame["group"].unique(maintain_order=True).to_list()[:MOST]
    labels = frame["label"].unique(maintain_order=True).to_list()
    sizes = {row["group"]: row["n"] for row in frame.iter_rows(named=True)}
    values = {(row["group"], row["label"]): row["share"] for row in frame.iter_rows(named=True)}
    top = max(values.values()) or 1.0
    figure, axes = new_figure(0.24 * len(groups) + 2.1, max(WIDTH, 1.9 + 0.36 * len(labels)))
    rows = {
        (x, y): values[group, label] / top
        for y, group in enumerate(groups)
        for x, label in enumerate(labels)
    }
    shade(axes, rows)
    for (x, y), _ in rows.items():
        text = f"{100 * values[groups[y], labels[x]]:.0f}"
        axes.text(x, y, text, ha="center", va="center", fontsize=7, color=COLOURS["ink"])
    _name_rows(axes, [f"{_short(g)} ({sizes[g]:,})" for g in groups], 0)
    axes.set_xticks(range(len(labels)))
    names = axes.set_xticklabels([_short(label, 34) for label in labels], rotation=45, ha="right")
    for name in names:
        name.set(fontsize=7.5, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    label_axes(axes, "", "", unit)
    return figure


def shade(axes: Axes, cells: Mapping[tuple[int, int], float]) -> None:
    """Paint unit squares, darker for more.

    Args:
        axes: To paint on.
        cells: Column and row of a cell to its strength, 0 to 1.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    squares = [Rectangle((x - 0.5, y - 0.5), 1, 1) for x, y in cells]
    colours = [to_rgba(COLOURS["kept"], _STRONGEST * value) for value in cells.values()]
    axes.add_collection(PatchCollection(squares, facecolors=colours, edgecolors="none"))


def draw_scatter(
    frame: pl.DataFrame, columns: tuple[str, str], labels: tuple[str, str], title: str
) -> Figure:
    """A point for each row.

    Args:
        frame: Table with both columns.
        columns: Columns of the horizontal and of the vertical axis.
        labels: Labels of the two axes, with units.
        title: Title, such as the correlation and n.
    """
    figure, axes = new_figure(3.0)
    plot_scatter(axes, frame, columns)
    label_axes(axes, *labels, title)
    return figure


def plot_scatter(
    axes: Axes, frame: pl.DataFrame, columns: tuple[str, str], names: str = ""
) -> None:
    """Draw a point for each row.

    Args:
        axes: Axes to draw on.
        frame: Table with both columns.
        columns: Columns of the horizontal and of the vertical axis.
        names: Column of names written at the points; "" for none.
    """
    x, y = (frame[name].to_numpy() for name in columns)
    many = len(frame) > 300
    size, opacity = (6, 0.35) if many else (16, 0.85)
    axes.scatter(x, y, s=size, color=COLOURS["kept"], alpha=opacity, linewidth=0)
    if names:
        for name, place in zip(frame[names].to_list(), zip(x, y, strict=True), strict=True):
            axes.annotate(
                _short(name, 18),
                place,
                xytext=(3, 2),
                textcoords="offset points",
                fontsize=6,
                color=COLOURS["ink"],
                parse_math=False,
            )
        axes.margins(0.15)


def grid(
    n: int, height: float, columns: int = 1, width: float = WIDTH, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with several pairs of axes.

    Args:
        n: Number of plots.
        height: Inches of one.
        columns: Plots in a row.
        width: Inches of the figure.
        options: Options of every pair of axes.

    Examples:
        >>> figure, axes = grid(3, height=2, columns=2)
        >>> len(axes), figure.get_size_inches()[1]
        (3, 4.0)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-n // columns)
    figure = Figure(figsize=(width, height * rows), layout="constrained", dpi=200)
    FigureCanvasAgg(figure)
    plots = [figure.add_subplot(rows, columns, place + 1, **options) for place in range(n)]
    for axes in plots:
        axes.tick_params(labelsize=8, colors=COLOURS["ink"])
        for side, spine in axes.spines.items():
            spine.set_color(COLOURS["quiet"])
            spine.set_visible(side in ("left", "bottom"))
    return figure, plots


def _interval(
    axes: Axes, place: float, middle: float | None, low: float | None, high: float | None
) -> None:
    """A dot with its interval, on a row."""
    if middle is None:
        return
    if low is not None and high is not None:
        axes.plot([low, high], [place, place], color=COLOURS["rejected"], linewidth=1.6)
    axes.plot([middle], [place], "o", color=COLOURS["rejected"], markersize=3.2)


def _name_rows(axes: Axes, names: list[str], first: int) -> None:
    axes.set_yticks(range(first, first + len(names)))
    for text in axes.set_yticklabels(names):
        text.set(fontsize=7.5, parse_math=False)
    axes.set_ylim(first + len(names) - 0.4, first - 0.6)


def _largest(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of the groups with most values, in their order."""
    if len(frame) <= MOST:
        return frame
    return frame.with_row_index().sort("n", descending=True).head(MOST).sort("index")


def _left_out(frame: pl.DataFrame, shown: pl.DataFrame) -> str:
    return "" if len(shown) == len(frame) else f"{len(shown)} of {len(frame)} shown"


def _short(text: str, longest: int = _LABEL) -> str:
    return plain_line(text, longest)
