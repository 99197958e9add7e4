from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from theval_datasets.cards.plots import _edges, _groups, draw
from theval_datasets.manifest.info import ColumnInfo, ConfigInfo, SplitInfo

HOSTILE = "$\\frac{1}{0}$ <b> " + "x" * 500


def config(folder: Path, columns: dict[str, list]) -> ConfigInfo:
    pq.write_table(pa.table(columns), folder / "train.parquet")
    infos = tuple(ColumnInfo(name, "", "") for name in columns)
    return ConfigInfo("", infos, {"train": SplitInfo(4, 0, 0, ("train.parquet",))})


def test_scores_by_generator(tmp_path):
    made = config(
        tmp_path,
        {
            "quality_mos": [1.0, 2.0, None, 4.0],
            "generator": ["a", HOSTILE, "a", None],
            "x": [1] * 4,
        },
    )
    drawn = draw(tmp_path, {"features": made})
    assert drawn == {"plots/quality_mos.png": "Distribution of quality_mos"}
    first = (tmp_path / "plots/quality_mos.png").read_bytes()
    assert first[:4] == b"\x89PNG"
    assert b"Software" not in first
    draw(tmp_path, {"features": made})
    assert (tmp_path / "plots/quality_mos.png").read_bytes() == first


@pytest.mark.parametrize("columns", [{"x": [1.0]}, {"mos": pa.array([None], pa.float64())}])
def test_nothing_to_draw(tmp_path, columns):
    assert draw(tmp_path, {"features": config(tmp_path, columns)}) == {}
    assert not (tmp_path / "plots").exists()


def test_groups_are_ordered_by_their_median():
    found = _groups([3.0, 1.0, None, 5.0, 2.0], ["b", "a", "a", None, "a"])
    assert found == {"a": [1.0, 2.0], "b": [3.0]}
    assert _groups([1.0, 2.0], ["a", "a"]) == {}
    assert len(_groups(list(range(100)), [f"g{n}" for n in range(100)])) == 24


@pytest.mark.parametrize(
    "scores",
    [[n / 10 for n in range(51)], [1.0], [0.123, 7.77, 3.1415], [n**1.5 for n in range(999)]],
)
def test_bars_hold_every_score_once(scores):
    edges = _edges(scores)
    assert edges == sorted(set(edges))
    assert edges[0] <= min(scores)
    assert edges[-1] >= max(scores)


def test_bars_of_a_grid_hold_equally_many_of_its_values():
    edges = _edges([n / 10 for n in range(51)])
    held = [sum(a <= n / 10 < b for n in range(51)) for a, b in pairwise(edges)]
    assert set(held[:-1]) == {3}


def test_samples_of_saliency(tmp_path):
    def encoded(picture: Image.Image) -> dict:
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return {"bytes": stream.getvalue(), "path": "x.png"}

    (tmp_path / "a").mkdir()
    still, marked = Image.new("RGB", (96, 32), "white"), Image.new("L", (96, 32))
    marked.paste(255, (10, 10, 20, 20))
    rows = {"clip_id": ["a", "b"], "image": [encoded(still), None], "map": [encoded(marked)] * 2}
    scores = config(tmp_path / "a", {"x": [1.0]})
    drawn = draw(tmp_path, {"features": scores, "saliency": config(tmp_path, rows)})
    assert drawn == {"plots/saliency.png": "Where distortions were marked in some stills"}
    first = (tmp_path / "plots/saliency.png").read_bytes()
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("RGB")).astype(int)
    assert (np.abs(pixels - 255).sum(axis=2) > 100).mean() > 0.005  # the mark is not white
    draw(tmp_path, {"features": scores, "saliency": config(tmp_path, rows)})
    assert (tmp_path / "plots/saliency.png").read_bytes() == first
    (tmp_path / "b").mkdir()
    nothing = config(
        tmp_path / "b", {**rows, "image": pa.array([None] * 2, pa.struct({"bytes": pa.binary()}))}
    )
    assert draw(tmp_path / "b", {"features": nothing, "saliency": nothing}) == {}
