"""Figures as PNG, and as SVG whose colours follow the page that shows them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {
    "paper": "#ffffff",
    "ink": "#1b2430",
    "quiet": "#55606d",
    "line": "#d3dae1",
    "kept": "#0b6fb3",
    "rejected": "#b84a00",
    "kept-pale": "#cfe3f2",
}
"""Colours by role, those of ``cards/page.css`` on a light page.

``kept`` and ``rejected`` also serve for "values" and "marked": a blue and an orange that are distinct
for people with any kind of colour blindness.
"""

WIDTH: Final = 3.6
"""Width of a plot in inches, at which its text is readable on a phone."""

_OUTSIDE: Final = re.compile(r"<svg[^>]*\bviewBox=\"([^\"]*)\"[^>]*>(.*)</svg>", re.DOTALL)
_UNUSED: Final = re.compile(
    r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->| id=\"[a-z0-9.]+_[0-9]+\"",
    re.DOTALL,
)
_STYLE: Final = re.compile(r"style=\"[^\"]*\"")
_FAMILY: Final = re.compile(r" font-family: [^;\"]*;")


def new_figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, drawn without a display.

    Args:
        height: Inches.
        width: Inches.

    Examples:
        >>> figure, axes = new_figure(height=2, width=3)
        >>> figure.get_size_inches().tolist()
        [3.0, 2.0]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=200)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.tick_params(labelsize=8, colors=COLOURS["ink"])
    for side, spine in axes.spines.items():
        spine.set_color(COLOURS["quiet"])
        spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def label_axes(axes: Axes, x: str, y: str = "", title: str = "") -> None:
    """Label the axes and the plot; the text is shown literally."""
    for text, write in ((x, axes.set_xlabel), (y, axes.set_ylabel)):
        write(text, fontsize=8.5, color=COLOURS["ink"], parse_math=False)
    if title:
        axes.set_title(title, fontsize=9, color=COLOURS["ink"], loc="left", parse_math=False)


def label_bar(axes: Axes, end: float, place: float, text: str, size: float = 7) -> None:
    """Write beside the end of a horizontal bar; the text is shown literally.

    Args:
        axes: Axes with the bar.
        end: End of the bar on the horizontal axis.
        place: Middle of the bar on the vertical axis.
        text: Label; a space in front of it would be lost in SVG.
        size: Size of the letters in points.
    """
    axes.annotate(text, (end, place), (3, 0), textcoords="offset points", va="center", fontsize=size,
                  color=COLOURS["ink"], parse_math=False)  # fmt: skip


def png(figure: Figure) -> bytes:
    """The figure as PNG, with the same bytes for the same figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def svg(figure: Figure, label: str) -> str:
    """The figure as an SVG element for a page.

    It scales to the width of its container, its texts stay texts, and the colours of `COLOURS` become
    the page's variables of those names. The same figure gives the same text.

    Args:
        figure: The figure.
        label: Description for screen readers.
    """
    import html

    import matplotlib as mpl

    stream = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": label}
    with mpl.rc_context(settings):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    inside = _OUTSIDE.search(stream.getvalue())
    if inside is None:
        raise RuntimeError("matplotlib wrote no SVG element with a viewBox")
    box, drawing = inside.groups()
    drawing = _STYLE.sub(_page_colours, " ".join(_UNUSED.sub("", drawing).split()))
    name = html.escape(label, quote=True)
    return f'<svg class="plot" role="img" aria-label="{name}" viewBox="{box}">{drawing}</svg>'


def _page_colours(style: re.Match[str]) -> str:
    """A style attribute with the page's colours and letters."""
    text = _FAMILY.sub("", style.group())
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text
