"""The page and the plot that show what the filters of a curated run did."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

_GREEN: Final = "#2a9d8f"
_RED: Final = "#e76f51"
_COLUMNS: Final = 4
_BINS: Final = 24


def draw_steps(steps: Sequence[tuple[str, int, int]], kept: int) -> bytes:
    """The funnel as PNG.

    Args:
        steps: Name, number of clips that reach it, number that it rejects.
        kept: How many are left.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.36 * (len(steps) + 1) + 1), dpi=120, layout="constrained")
    axes = figure.subplots()
    names = [*(name for name, _, _ in steps), "kept"]
    left = [*(reached - lost for _, reached, lost in steps), kept]
    rejected = [*(lost for _, _, lost in steps), 0]
    axes.barh(names, left, color=_GREEN, label="left")
    axes.barh(names, rejected, left=left, color=_RED, label="rejected here")
    for i, (stay, lost) in enumerate(zip(left, rejected, strict=True)):
        axes.text(
            stay + lost, i, f" {stay}" + (f" (−{lost})" if lost else ""), va="center", fontsize=7
        )
    axes.invert_yaxis()
    axes.set_xlabel("clips and stretches of sources", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, loc="lower right")
    return _png(figure)


def draw_distributions(shown: Sequence[Mapping[str, Any]]) -> bytes:
    """Histograms as PNG, those that passed and those refused, with thresholds.

    Args:
        shown: Each with `title`, `kept`, `rejected` and `limits` (name and value).
    """
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = math.ceil(len(shown) / _COLUMNS)
    figure = Figure(figsize=(11, 2.2 * rows), dpi=100, layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, _COLUMNS)).ravel()
    for axes in grid[len(shown) :]:
        axes.axis("off")
    for axes, one in zip(grid, shown, strict=False):
        values = [np.array(one["kept"]), np.array(one["rejected"])]
        limits = [value for _, value in one["limits"]]
        together = np.concatenate([*values, np.array(limits)])
        low, high = float(together.min()), float(together.max())
        pad = 0.03 * (high - low) or 0.5
        bins = np.linspace(low - pad, high + pad, _BINS + 1).tolist()
        axes.hist(values, bins, stacked=True, color=[_GREEN, _RED])
        for value in limits:
            axes.axvline(value, color="#1f2933", linewidth=1, linestyle="--")
        axes.set_title(one["title"], fontsize=8, parse_math=False)
        named = ", ".join(f"{name} {value:g}" for name, value in one["limits"])
        axes.set_xlabel(named, fontsize=7, parse_math=False)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(labelsize=6)
        axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    held = io.BytesIO()
    FigureCanvasAgg(figure).print_png(held)
    return held.getvalue()
