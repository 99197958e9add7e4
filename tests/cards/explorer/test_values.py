from __future__ import annotations

import base64
import json

import numpy as np
import pyarrow as pa
import pytest

from theval_datasets.cards.explorer.values import column, described, encoded, numbers, script

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028'\"\\ \ud7ff 𝄞"


def test_a_script_holds_any_text_as_text():
    made = script("data/rows", {"a": HOSTILE, "b": [None, 1.5]})
    assert made.isascii()
    start, end = b'explorer.receive("data/rows",JSON.parse(', b"))\n"
    assert made.startswith(start)
    assert made.endswith(end)
    inner = json.loads(made[len(start) : -len(end)])
    assert json.loads(inner) == {"a": HOSTILE, "b": [None, 1.5]}


def test_a_script_holds_no_nan():
    with pytest.raises(ValueError, match="JSON"):
        script("x", {"a": float("nan")})


@pytest.mark.parametrize(
    ("values", "made"),
    [
        (pa.array([1, None], pa.int32()), {"kind": "number", "values": [1, None]}),
        (pa.array([0.1, None]), {"kind": "number", "values": [0.1, None]}),
        (
            pa.array([0.5, float("nan"), float("inf")]),
            {"kind": "number", "values": [0.5, None, None], "infinite": 2},
        ),
        (pa.array([2**53]), {"kind": "number", "values": [2**53]}),
        (
            pa.array([2**53 + 1, None]),
            {"kind": "text", "levels": ["9007199254740993"], "codes": [0, -1]},
        ),
        (
            pa.array([True, None, False]),
            {"kind": "text", "levels": ["yes", "no"], "codes": [0, -1, 1]},
        ),
        (
            pa.array([["a", "b"], [], None]),
            {"kind": "list", "levels": ["a, b", ""], "codes": [0, 1, -1]},
        ),
        (pa.array(["x" * 48] * 2), {"kind": "text", "levels": ["x" * 48], "codes": [0, 0]}),
        (pa.array(["x" * 49] * 2), None),
        (pa.array([[0.5]]), None),
        (pa.array([{"a": 1}]), None),
        (pa.array([None, None], pa.null()), None),
    ],
)
def test_columns(values, made):
    assert column(pa.chunked_array([values])) == made


def test_arrays_come_back():
    for kind in ("float32", "float64", "int16", "uint8"):
        array = np.array([0, 1, 200], kind)
        ((code, text),) = encoded(array).items()
        assert np.frombuffer(base64.b64decode(text), f"<{code}").tolist() == array.tolist()


def test_nulls_in_lists_are_nan():
    result = numbers(pa.array([True, None, False]))
    assert result.tolist()[::2] == [1.0, 0.0]
    assert np.isnan(result[1])
    assert numbers(pa.array([0.25, None])).dtype == np.float32
    assert numbers(None) is None


def test_values_outside_of_the_table_are_text():
    assert described(None) is None
    assert described([1, None]) == "2 numbers"
    assert described(HOSTILE) == HOSTILE
    assert described([{"a": "<b>"}]) == "[{'a': '<b>'}]"
