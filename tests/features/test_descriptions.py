"""What every extractor says of itself: source, columns with unit and range."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from theval_datasets import catalog

UNITS = {
    "", "s", "px", "degree", "Hz", "dB", "dBFS", "LUFS", "full scale", "grey level", "grey level²",
    "mixed", "score 0-1", "score 0-100", "score 1-10", "share of the frame", "share of the side",
    "1/16384 of the frame", "1/25 s",
}  # fmt: skip


@pytest.mark.parametrize("name", catalog.names("extractor"))
def test_an_extractor_describes_itself(name):
    kind = catalog.load("extractor", name)
    assert kind.source
    assert inspect.getdoc(kind).partition("\n")[0].endswith(".")
    assert len({column.name for column in kind.writes}) == len(kind.writes) > 0
    for column in kind.writes:
        np.dtype(column.dtype)
        assert column.meaning.endswith("."), column
        assert column.unit in UNITS, column
        assert column.low is None or column.high is None or column.low < column.high, column
        if column.dtype == "bool":
            assert (column.unit, column.low, column.high) == ("", None, None), column


def test_values_out_of_the_declared_range_fail_the_contract():
    from extractor_contract import _as_declared

    from theval_datasets.extraction.extractor import Column

    column = Column("share", "float64", ("frame",), "A share.", low=0, high=1)
    _as_declared(column, np.array([0.0, 1.0]))
    for wrong in ([-0.01], [1.01]):
        with pytest.raises(AssertionError):
            _as_declared(column, np.array(wrong))
    with pytest.raises(AssertionError):
        _as_declared(column, np.array(0.5))
