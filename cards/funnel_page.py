"""Plots of the effect of the filters in a curated run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.utils.figures import (
    COLOURS,
    WIDTH,
    label_axes,
    label_bar,
    new_figure,
    png,
    svg,
)

from .escape import plain_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS: Final = 24
_LABEL: Final = 28  # characters of a step's name
_KEPT: Final[dict[str, Any]] = {"color": COLOURS["kept"]}
_REJECTED: Final[dict[str, Any]] = {
    "color": COLOURS["rejected"],
    "hatch": "////",
    "edgecolor": COLOURS["paper"],
}
_OTHERS: Final[dict[str, Any]] = {"color": COLOURS["line"]}


def draw_steps(steps: Sequence[tuple[str, int, int]], kept: int) -> bytes:
    r"""The funnel as PNG.

    Args:
        steps: Name of each step, number of clips that reach it, and number of clips that it rejects.
        kept: Number of kept clips.

    Examples:
        >>> draw_steps([("speech", 100, 30), ("faces", 70, 10)], kept=60)[:4]
        b'\x89PNG'
    """
    figure, axes = new_figure(0.3 * (len(steps) + 1) + 0.9, width=2 * WIDTH)
    names = [*(plain_line(name, _LABEL) for name, _, _ in steps), "kept"]
    left = [*(reached - lost for _, reached, lost in steps), kept]
    rejected = [*(lost for _, _, lost in steps), 0]
    places = range(len(names))
    axes.barh(places, left, label="left", **_KEPT)
    axes.barh(places, rejected, left=left, label="rejected here", linewidth=0, **_REJECTED)
    axes.set_yticks(places, names)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    for i, (stay, lost) in enumerate(zip(left, rejected, strict=True)):
        counted = f"{stay}" + (f" (−{lost})" if lost else "")
        label_bar(axes, stay + lost, i, counted, size=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    label_axes(axes, "clips and stretches of sources")
    axes.legend(fontsize=8, loc="lower right", frameon=False)
    return png(figure)


def draw_distribution(
    title: str,
    kept: Sequence[float],
    rejected: Sequence[float],
    others: Sequence[float],
    limits: Sequence[tuple[str, float]],
) -> str:
    """A stacked histogram of one measured value with its thresholds, as SVG.

    Args:
        title: Filter and value.
        kept: Values of clips that were kept.
        rejected: Values of clips that were rejected by a threshold of this value.
        others: Values of clips that were rejected for other reasons.
        limits: Name and value of each threshold.

    Examples:
        >>> picture = draw_distribution("speech ratio", [0.9], [0.1], [], limits=[("min_ratio", 0.5)])
        >>> "1 kept, 1 rejected by it, 0 by other filters; min_ratio 0.5" in picture
        True
    """
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(2.1)
    groups = [np.array(values) for values in (kept, rejected, others)]
    together = np.concatenate([*groups, np.array([value for _, value in limits])])
    low, high = float(together.min()), float(together.max())
    pad = 0.03 * (high - low) or 0.5
    width = (high - low + 2 * pad) / _BINS
    border = (
        limits[0][1] if limits else low - pad
    )  # no bar holds values from both sides of a threshold
    first = np.floor((low - pad - border) / width)
    edges = border + width * np.arange(first, np.ceil((high + pad - border) / width) + 1)
    _stack(axes, groups, edges)
    for name, value in limits:
        axes.axvline(value, color=COLOURS["ink"], linewidth=1.3, linestyle="--", label=name)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    named = ", ".join(f"{name} {value:g}" for name, value in limits)
    label_axes(axes, named or "no threshold", "clips")
    counts = f"{len(kept)} kept, {len(rejected)} rejected by it, {len(others)} by other filters"
    return svg(figure, f"{title}: {counts}; {named or 'no threshold'}")


def _stack(axes: Axes, groups: Sequence[Any], edges: Any) -> None:
    """Stacked bars of the groups, in the order kept, rejected, others."""
    import numpy as np

    base = np.zeros(len(edges) - 1)
    for values, style in zip(groups, (_KEPT, _REJECTED, _OTHERS), strict=True):
        counts, _ = np.histogram(values, edges)
        if counts.any():
            axes.bar(edges[:-1], counts, np.diff(edges), base, align="edge", linewidth=0.0, **style)
        base += counts
