from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from theval_datasets.cards.analyses.statistics import bin_edges, counts, grouped, histogram, shares
from theval_datasets.cards.analyses.tables import NoValuesError


@pytest.mark.parametrize(
    "scores",
    [[n / 10 for n in range(51)], [1.0], [0.123, 7.77, 3.1415], [n**1.5 for n in range(999)]],
)
def test_bars_hold_every_value_once(scores):
    edges = bin_edges(scores)
    assert edges == sorted(set(edges))
    assert edges[0] <= min(scores)
    assert edges[-1] >= max(scores)
    table = histogram(pl.DataFrame({"x": [*scores, None]}), {"x": ""})
    assert table["count"].sum() == len(scores) == table["n"][0]


def test_bars_of_a_grid_hold_equally_many_of_its_values():
    edges = bin_edges([n / 10 for n in range(51)])
    held = [sum(a <= n / 10 < b for n in range(51)) for a, b in pairwise(edges)]
    assert set(held[:-1]) == {3}


def test_columns_without_values_are_left_out_of_a_histogram():
    frame = pl.DataFrame({"a": [1.0, 3.0], "b": [None, None]}, {"a": pl.Float64, "b": pl.Float64})
    table = histogram(frame, {"a": "Hz", "b": ""})
    assert set(table["column"]) == {"a"}
    assert set(table["unit"]) == {"Hz"}
    assert table["mean"][0] == 2.0


def test_quartiles_and_the_interval_of_the_mean():
    frame = pl.DataFrame(
        {"g": ["a"] * 5 + ["b", None, "b"], "v": [1.0, 2.0, 3.0, 4.0, 100.0, 7.0, 1.0, None]}
    )
    first, second = grouped(frame, "g", "v").iter_rows(named=True)
    assert (first["group"], first["n"], first["mean"], first["median"]) == ("a", 5, 22.0, 3.0)
    assert (first["q1"], first["q3"]) == (2.0, 4.0)
    assert (first["whisker_low"], first["whisker_high"]) == (1.0, 4.0)  # 100 lies outside
    half = 2.7764451 * np.std([1, 2, 3, 4, 100], ddof=1) / 5**0.5  # t of 4 degrees of freedom
    assert first["ci95_high"] - 22 == pytest.approx(half)
    assert (second["group"], second["n"], second["ci95_low"]) == ("b", 1, None)


def test_groups_are_in_their_order():
    frame = pl.DataFrame({"g": ["Hard", "x", "Easy", "y"], "v": [1.0, 9.0, 2.0, 3.0]})
    assert grouped(frame, "g", "v", ("Easy", "Medium", "Hard"))["group"].to_list() == [
        "Easy", "Hard", "y", "x",
    ]  # fmt: skip
    numbers = pl.DataFrame({"g": [10, 2], "v": [1.0, 2.0]})
    assert grouped(numbers, "g", "v")["group"].to_list() == ["2", "10"]
    with pytest.raises(NoValuesError, match="both g and v"):
        grouped(pl.DataFrame({"g": ["a", None], "v": [None, 1.0]}), "g", "v")


def test_shares_count_rows_without_a_label_but_not_unknown_ones():
    frame = pl.DataFrame({"g": ["a", "a", "a", "b"], "d": [["x", "y"], [], None, ["x"]]})
    table = shares(frame, "g", "d")
    assert {(r["group"], r["label"]): (r["count"], r["n"], r["share"]) for r in table.to_dicts()} == {
        ("a", "x"): (1, 2, 0.5), ("a", "y"): (1, 2, 0.5), ("b", "x"): (1, 1, 1.0), ("b", "y"): (0, 1, 0.0),
    }  # fmt: skip
    with pytest.raises(NoValuesError, match="d is empty"):
        shares(
            pl.DataFrame({"g": ["a"], "d": [[]]}, {"g": pl.String, "d": pl.List(pl.String)}),
            "g",
            "d",
        )


def test_counts_are_ordered_by_number_or_by_frequency():
    assert counts(pl.Series([10, 2, 2, None]))["value"].to_list() == ["2", "10"]
    table = counts(pl.Series(["b", "a", "b", "Easy"]), ("Easy",))
    assert table.rows() == [("Easy", 1, 4), ("b", 2, 4), ("a", 1, 4)]
