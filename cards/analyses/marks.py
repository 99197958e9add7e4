"""Marks on stills: their number against the opinion score, and their positions."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from theval_datasets.evaluation.resampling import bootstrap
from theval_datasets.utils.figures import COLOURS, label_axes, new_figure

from .drawing import draw_scatter, shade
from .figure import AnalysisFigure
from .scores import SCORES
from .tables import BuiltTables, NoValuesError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

_ACROSS: Final = 48
_DOWN: Final = 16
_DATASET: Final = ("gen3dhf",)


def mark_figures() -> Iterator[AnalysisFigure]:
    """Marks against each opinion score, and the mean saliency map.

    Examples:
        >>> [figure.name for figure in mark_figures()][:2]
        ['marks_by_quality_mos', 'marks_by_authenticity_mos']
    """
    for score in ("quality_mos", "authenticity_mos"):
        called = SCORES[score]
        yield AnalysisFigure(
            f"marks_by_{score}",
            f"Marks and {called}",
            "Each point is a still: how many distortions were marked on it, and the score of its "
            "video; Spearman's correlation with its 95 % bootstrap interval.",
            {"features": ("clip_id", score), "saliency": ("clip_id", "fixations")},
            partial(_marks, score=score),
            partial(_draw_marks, score=score),
            datasets=_DATASET,
        )
    yield AnalysisFigure(
        "centre_bias",
        "Where distortions are marked",
        "The mean of the saliency maps, each divided by its sum first: darker is more. Stills show "
        "the views at −45°, 0° and +45° side by side.",
        {"saliency": ("map",)},
        _centre,
        _draw_centre,
        datasets=_DATASET,
    )


def _marks(tables: BuiltTables, score: str) -> pl.DataFrame:
    import polars as pl

    marks = tables.frame("saliency", ["clip_id", "fixations"]).drop_nulls()
    number = marks.select("clip_id", marks=(pl.col("fixations").list.len() // 2).cast(pl.Int64))
    joined = number.join(
        tables.frame("features", ["clip_id", score]).drop_nulls(), on="clip_id", how="inner"
    ).sort("clip_id")
    if not len(joined):
        raise NoValuesError(f"no still with marks belongs to a video with a {score}")
    return joined


def _draw_marks(frame: pl.DataFrame, score: str) -> Figure:
    interval = bootstrap(
        frame["marks"].to_numpy(), frame[score].to_numpy(), "srcc", n_resamples=2_000
    )
    title = f"n = {len(frame):,}"
    if interval.value is not None:
        rho = f"ρ = {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
        title = f"{rho.replace('-', '−')}, {title}"  # as the axes write minus
    return draw_scatter(frame, ("marks", score), ("marks on the still", f"{score} (score)"), title)


def _centre(tables: BuiltTables) -> pl.DataFrame:
    """Mean share of the saliency by cell: `column, row, share, n`."""
    import polars as pl

    total: Any = np.zeros((_DOWN, _ACROSS))
    n = 0
    for row in tables.batches("saliency", ["map"]):
        cells = _cells(row["map"]["bytes"])
        if cells.sum() > 0:
            total += cells / cells.sum()
            n += 1
    if not n:
        raise NoValuesError("no saliency map marks anything")
    return pl.DataFrame(
        [
            {"column": x, "row": y, "share": float(total[y, x] / n), "n": n}
            for y in range(_DOWN)
            for x in range(_ACROSS)
        ]
    )


def _cells(picture: bytes) -> Any:
    """float64 (rows, columns): mean grey of each cell of a map, whatever its size."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        small = opened.convert("F").resize((_ACROSS, _DOWN), Image.Resampling.BOX)
    return np.asarray(small, np.float64)


def _draw_centre(frame: pl.DataFrame) -> Figure:
    figure, axes = new_figure(2.3)
    top = float(frame["share"].to_numpy().max())
    shade(
        axes,
        {(row["column"], row["row"]): row["share"] / top for row in frame.iter_rows(named=True)},
    )
    third = _ACROSS / 3
    for place in (third, 2 * third):
        axes.axvline(place - 0.5, color=COLOURS["quiet"], linewidth=0.8)
    views = [
        frame.filter(frame["column"] // int(third) == view)["share"].sum() for view in range(3)
    ]
    axes.set_xticks([third * (view + 0.5) - 0.5 for view in range(3)])
    axes.set_xticklabels(
        [
            f"{angle}°\n{100 * share:.0f} %"
            for angle, share in zip(("−45", "0", "+45"), views, strict=True)
        ]
    )
    axes.set_yticks([])
    axes.set_xlim(-0.5, _ACROSS - 0.5)
    axes.set_ylim(_DOWN - 0.5, -0.5)
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(True)
    label_axes(axes, "view, share of the saliency", "", f"n = {frame['n'][0]:,} stills")
    return figure
