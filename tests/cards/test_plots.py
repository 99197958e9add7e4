from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from theval_datasets.cards.plots import _edges, _groups, draw_scores
from theval_datasets.info import ColumnInfo, ConfigInfo, SplitInfo

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
    drawn = draw_scores(tmp_path, made)
    assert drawn == {"plots/quality_mos.png": "Distribution of quality_mos"}
    first = (tmp_path / "plots/quality_mos.png").read_bytes()
    assert first[:4] == b"\x89PNG"
    assert b"Software" not in first
    draw_scores(tmp_path, made)
    assert (tmp_path / "plots/quality_mos.png").read_bytes() == first


@pytest.mark.parametrize("columns", [{"x": [1.0]}, {"mos": pa.array([None], pa.float64())}])
def test_nothing_to_draw(tmp_path, columns):
    assert draw_scores(tmp_path, config(tmp_path, columns)) == {}
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
    assert set(held[:-1]) == {2}
