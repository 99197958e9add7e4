"""Pictures for a card, drawn from the release's own files: scores, and samples of saliency."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq

from theval_datasets.manifest.info import ConfigInfo

from ._escape import plain_line

if TYPE_CHECKING:
    from PIL import Image

FOLDER: Final = "plots"
_BINS: Final = 25
_LARGEST: Final = 24  # generators that one picture shows
_LABEL: Final = 24  # characters of a name
_SAMPLES: Final = 3  # stills with their saliency
_COLOUR: Final = "#3b6ea5"
_MARK: Final = (0.9, 0.0, 0.1)


def draw(folder: Path, configs: Mapping[str, ConfigInfo]) -> dict[str, str]:
    """Draw the opinion scores of the first config, and some of the saliency, into ``plots/``.

    Args:
        folder: Of the release, with the Parquet files in place.
        configs: Its tables.

    Returns:
        Path of each picture, relative to the folder, and what it shows.
    """
    drawn = _draw_scores(folder, next(iter(configs.values())))
    if "saliency" in configs:
        drawn |= _draw_saliency(folder, configs["saliency"])
    return drawn


def _draw_scores(folder: Path, config: ConfigInfo) -> dict[str, str]:
    scores = [c.name for c in config.columns if c.name == "mos" or c.name.endswith("_mos")]
    if not scores:
        return {}
    has_generator = any(column.name == "generator" for column in config.columns)
    names = [*scores, *(["generator"] if has_generator else [])]
    files = [folder / name for split in config.splits.values() for name in split.files]
    table: dict[str, list[Any]] = {name: [] for name in names}
    for file in files:
        read = pq.read_table(file, columns=names)
        for name in names:
            table[name] += read[name].to_pylist()
    drawn = {}
    for name in scores:
        if any(value is not None for value in table[name]):
            path = f"{FOLDER}/{name}.png"
            _draw(folder / path, name, table[name], table.get("generator", []))
            drawn[path] = f"Distribution of {name}"
    return drawn


def _stills(folder: Path, config: ConfigInfo) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """Name, still and map of every row that has a still."""
    from PIL import Image

    for file in (folder / name for split in config.splits.values() for name in split.files):
        batches = pq.ParquetFile(file).iter_batches(_SAMPLES, columns=["clip_id", "image", "map"])
        for row in itertools.chain.from_iterable(batch.to_pylist() for batch in batches):
            if row["image"] is not None:
                still = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
                saliency = Image.open(io.BytesIO(row["map"]["bytes"])).convert("L")
                yield row["clip_id"], still, saliency


def _draw_saliency(folder: Path, config: ConfigInfo) -> dict[str, str]:
    """The first stills with their maps laid over them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(itertools.islice(_stills(folder, config), _SAMPLES))
    if not shown:
        return {}
    figure = Figure(figsize=(6, 2.3 * len(shown)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, still, saliency) in zip(
        figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True
    ):
        values = np.asarray(saliency.resize(still.size)) / 255
        axes.imshow(still)
        axes.imshow(np.dstack([np.broadcast_to(_MARK, (*values.shape, 3)), 0.8 * values]))
        axes.set_title(plain_line(name, _LABEL), fontsize=8, parse_math=False)
        axes.set_axis_off()
    path = f"{FOLDER}/saliency.png"
    (folder / path).parent.mkdir(exist_ok=True)
    figure.savefig(folder / path, metadata={"Software": None})
    return {path: "Where distortions were marked in some stills"}


def _draw(path: Path, name: str, scores: Sequence[float | None], of: Sequence[str | None]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    groups = _groups(scores, of)
    figure = Figure(figsize=(10 if groups else 5, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if groups else 1, squeeze=False)[0]
    known = [s for s in scores if s is not None]
    axes[0].hist(known, bins=_edges(known), color=_COLOUR)
    axes[0].set_xlabel(name)
    axes[0].set_ylabel("clips")
    axes[0].yaxis.set_major_locator(MaxNLocator(integer=True))
    if groups:
        axes[1].boxplot(
            list(groups.values()),
            orientation="horizontal",
            flierprops={"markersize": 2},
            medianprops={"color": _COLOUR, "linewidth": 2},
        )
        axes[1].set_yticks(range(1, len(groups) + 1))
        for text in axes[1].set_yticklabels([plain_line(g, _LABEL) for g in groups], fontsize=7):
            text.set_parse_math(False)
        axes[1].set_xlabel(f"{name} by generator")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _edges(scores: Sequence[float]) -> list[float]:
    """Edges of bars that hold equally many of the values there can be, for scores on a grid."""
    values = sorted(set(scores))
    low, high = values[0], values[-1]
    gaps = [b - a for a, b in itertools.pairwise(values)]
    if not gaps:
        return [low - 0.5, low + 0.5]
    step = min(gaps)
    bins = min(_BINS, 5 + len(scores) // 4)
    if (high - low) / step > 4 * bins:
        width = (high - low) / bins
        return [*(low + width * k for k in range(bins)), high]
    width = step * max(1, round((high - low) / step / bins))
    count = math.ceil((high - low + step / 2) / width)
    return [low - step / 2 + width * k for k in range(count + 1)]


def _groups(
    scores: Sequence[float | None], of: Sequence[str | None]
) -> Mapping[str, Sequence[float]]:
    """Scores by generator, the lowest median first; nothing for a single one."""
    groups: dict[str, list[float]] = {}
    for score, generator in zip(scores, of, strict=False):
        if score is not None and generator is not None:
            groups.setdefault(generator, []).append(score)
    largest = sorted(groups, key=lambda g: (-len(groups[g]), g))[:_LARGEST]
    ordered = sorted(largest, key=lambda g: (sorted(groups[g])[len(groups[g]) // 2], g))
    return {g: groups[g] for g in ordered} if len(ordered) > 1 else {}
