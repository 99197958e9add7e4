"""Pictures of a card, drawn from the files of the release: analyses, and samples of saliency."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.parquet as pq

from theval_datasets.manifest.info import ConfigInfo
from theval_datasets.utils.files import atomic_write

from .analyses.report import card_figures
from .escape import plain_line

if TYPE_CHECKING:
    from PIL import Image

FOLDER: Final = "plots"
_LABEL: Final = 24  # characters of a name
_SAMPLES: Final = 3  # stills with their saliency
_MARK: Final = (0.9, 0.0, 0.1)


def draw(folder: Path, name: str, configs: Mapping[str, ConfigInfo]) -> dict[str, str]:
    """Draw the analyses that cards show, and samples of the saliency, into ``plots/``.

    Args:
        folder: Folder of the release, with its Parquet files.
        name: Name of the dataset, such as ``thqa-mt``.
        configs: Tables of the release.

    Returns:
        Description of each picture, by path relative to the folder.
    """
    drawn = {}
    for figure, picture in card_figures(folder, name, configs):
        path = f"{FOLDER}/{figure.name}.png"
        with atomic_write(folder / path) as stream:
            stream.write(picture)
        drawn[path] = figure.title
    if "saliency" in configs:
        drawn |= _draw_saliency(folder, configs["saliency"])
    return drawn


def _stills(folder: Path, config: ConfigInfo) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """Clip id, still and map of every row that has a still."""
    from PIL import Image

    for file in (folder / name for split in config.splits.values() for name in split.files):
        batches = pq.ParquetFile(file).iter_batches(_SAMPLES, columns=["clip_id", "image", "map"])
        for row in itertools.chain.from_iterable(batch.to_pylist() for batch in batches):
            if row["image"] is not None:
                still = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
                saliency = Image.open(io.BytesIO(row["map"]["bytes"])).convert("L")
                yield row["clip_id"], still, saliency


def _draw_saliency(folder: Path, config: ConfigInfo) -> dict[str, str]:
    """The first stills, overlaid with their maps."""
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
