from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from theval_datasets.cards.plots import draw
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
    drawn = draw(tmp_path, "x", {"features": made})
    assert drawn == {
        "plots/quality_mos_distribution.png": "Distribution of the quality score",
        "plots/quality_mos_by_generator.png": "Quality score by generator",
    }
    first = (tmp_path / "plots/quality_mos_by_generator.png").read_bytes()
    assert first[:4] == b"\x89PNG"
    assert b"Software" not in first
    draw(tmp_path, "x", {"features": made})
    assert (tmp_path / "plots/quality_mos_by_generator.png").read_bytes() == first


@pytest.mark.parametrize("columns", [{"x": [1.0]}, {"mos": pa.array([None], pa.float64())}])
def test_nothing_to_draw(tmp_path, columns):
    assert draw(tmp_path, "x", {"features": config(tmp_path, columns)}) == {}
    assert not (tmp_path / "plots").exists()


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
    drawn = draw(tmp_path, "x", {"features": scores, "saliency": config(tmp_path, rows)})
    assert drawn == {"plots/saliency.png": "Where distortions were marked in some stills"}
    first = (tmp_path / "plots/saliency.png").read_bytes()
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("RGB")).astype(int)
    assert (np.abs(pixels - 255).sum(axis=2) > 100).mean() > 0.005  # the mark is not white
    draw(tmp_path, "x", {"features": scores, "saliency": config(tmp_path, rows)})
    assert (tmp_path / "plots/saliency.png").read_bytes() == first
    (tmp_path / "b").mkdir()
    nothing = config(
        tmp_path / "b", {**rows, "image": pa.array([None] * 2, pa.struct({"bytes": pa.binary()}))}
    )
    assert draw(tmp_path / "b", "x", {"features": nothing, "saliency": nothing}) == {}
