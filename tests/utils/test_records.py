"""Errors name the place, what was expected and what was received; nothing unknown is ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import pytest

from theval_datasets.errors import InputError, ManifestError
from theval_datasets.utils.records import Int64, Record, Scalar, from_json, from_plain, to_plain


class Part(Record, frozen=True):
    size: Int64
    kind: Literal["a", "b"] = "a"


class Line(Record, frozen=True):
    name: str
    part: Part | None = None
    box: tuple[Int64, Int64] | None = None
    values: Mapping[str, Scalar] = msgspec.field(default_factory=dict)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Settings:
    name: str
    share: float = 0.5
    inner: Inner | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    inners: tuple[Inner, ...] = ()

    def __post_init__(self) -> None:
        if self.share > 1:
            raise InputError(f"expected a share up to 1, got {self.share}")


FAULTS = [
    (Line, '{"nam": "x"}', "f:1: unknown key 'nam'; did you mean 'name'?"),
    (Line, '{"name": "x", "part": {"size": 1, "sort": "b"}}', "f:1: part: unknown key 'sort'"),
    (Line, "{}", "f:1: missing name"),
    (Line, '{"name": "x", "part": {}}', "f:1: part: missing size"),
    (Line, '{"name": 3}', "f:1: name: expected text, got 3"),
    (Line, '{"name": "x", "part": {"size": true}}', "f:1: part.size: expected a whole number"),
    (Line, '{"name": "x", "part": {"size": 1.0}}', "f:1: part.size: expected a whole number"),
    (Line, '{"name": "x", "part": {"size": 1, "kind": "c"}}', "part.kind: expected one of 'a', 'b'"),
    (Line, '{"name": "x", "box": [1]}', "f:1: box: expected 2 values, got [1]"),
    (Line, '{"name": "x", "box": [1, "2"]}', "f:1: box[1]: expected a whole number, got '2'"),
    (Line, '{"name": "x", "values": {"a": []}}', "f:1: values.a: expected a finite number or"),
    (Line, '{"name": "x", "values": {"a": NaN}}', "f:1: values.a: expected a finite number, got nan"),
    (Line, '{"name": "x", "parts": [{"size": 1}, {"size": "1"}]}', "f:1: parts[1].size: expected"),
    (Line, "[1]", "f:1: expected a mapping, got [1]"),
    (Line, "null", "f:1: expected a mapping, got None"),
    (Line, "", "f:1: not a JSON object"),
    (Line, '{"name": "\\ud800"}', "f:1: name: expected Unicode text without lone surrogates"),
    (Line, b'{"name": "\xff"}', "f:1: not a JSON object: it is not UTF-8 text"),
    (Line, "[" * 100_000, "f:1: not a JSON object: it is nested too deeply"),
    (Settings, '{"nam": "x"}', "f:1: unknown key 'nam'; did you mean 'name'?"),
    (Settings, '{"name": "x", "inner": {"sise": 1}}', "f:1: inner: unknown key 'sise'; did you mean"),
    (Settings, '{"name": "x", "inners": [{"size": 1, "b": 2}]}', "f:1: inners[0]: unknown key 'b'"),
    (Settings, '{"name": "x", "share": 2}', "f:1: expected a share up to 1, got 2.0"),
    (Settings, '{"name": "x", "share": "half"}', "f:1: share: expected a finite number, got 'half'"),
    (Settings, '{"name": "x", "more": {"a": "\\udfff"}}', "f:1: more.a: expected Unicode text"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "message"), FAULTS)
def test_a_fault_is_named_with_its_place(kind, text, message):
    with pytest.raises(ManifestError) as caught:
        from_json(kind, text, "f:1", error=ManifestError)
    assert str(caught.value).startswith("f:1: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


NUMBERS = [(2**63 - 1, True), (2**63, False), (-(2**63), True), (-(2**63) - 1, False)]


@pytest.mark.parametrize(("number", "fits"), [*NUMBERS, (10**400, False)])
@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (Line, lambda n: {"name": "x", "part": {"size": n}}),
        (Line, lambda n: {"name": "x", "values": {"a": n}}),
        (Settings, lambda n: {"name": "x", "inner": {"size": n}}),
        (Settings, lambda n: {"name": "x", "more": {"a": [n]}}),
    ],
)
def test_whole_numbers_have_64_bits(kind, plain, number, fits):
    if fits:
        assert to_plain(from_plain(kind, plain(number), "f"))
    else:
        with pytest.raises(InputError, match=r"^f: .*expected .*whole number"):
            from_plain(kind, plain(number), "f")


@pytest.mark.parametrize(("depth", "fits"), [(32, True), (33, False), (900, False)])
def test_free_values_have_a_depth(depth, fits):
    value: Any = 1
    for _ in range(depth):
        value = [value]
    if fits:
        assert from_plain(Settings, {"name": "x", "more": {"a": value}}, "f")
        return
    with pytest.raises(InputError, match="at most 32 levels"):
        from_plain(Settings, {"name": "x", "more": {"a": value}}, "f")


def test_values_come_back_as_they_were():
    line = Line("x", Part(1), (2, 3), {"a": 1, "b": 1.0, "c": True, "d": None}, (Part(4, "b"),))
    assert from_plain(Line, to_plain(line), "f") == line
    again = from_plain(Line, to_plain(line), "f").values
    assert [type(value) for value in again.values()] == [int, float, bool, type(None)]
    settings = Settings("x", 1, Inner(2), {"a": [1, {"b": 2}]}, (Inner(3),))
    assert from_plain(Settings, to_plain(settings), "f") == settings
    assert isinstance(from_plain(Settings, {"name": "x", "share": 1}, "f").share, float)


def test_keys_that_are_not_text():
    with pytest.raises(InputError, match="text as every key, got 1"):
        from_plain(Line, {"name": "x", "values": {1: 2}}, "f")
