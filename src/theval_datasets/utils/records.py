"""Typed records from untrusted JSON or YAML: dataclasses in, clear errors out.

One mechanism for manifests, recipes and `info.json`: unknown keys suggest the nearest, wrong types
say where, what was expected and what came.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from theval_datasets.errors import InputError

T = TypeVar("T")


def to_plain(record: Any) -> Any:
    """A dataclass (nested ones too) as dicts, lists and scalars that JSON knows."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_plain(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_plain(value) for value in record]
    return record


def from_plain(kind: type[T], value: Any, where: str, *, error: type[InputError] = InputError) -> T:
    """Build a dataclass from plain data, checking every type.

    Args:
        kind: The dataclass.
        value: What was read.
        where: Names the place for messages, such as ``manifest.jsonl:12``.
        error: The exception to raise.

    Raises:
        InputError: (or `error`) at the first thing that does not fit.
    """
    try:
        return typing.cast(T, _convert(kind, value, where))
    except _MisfitError as misfit:
        raise error(str(misfit)) from None


class _MisfitError(Exception):
    pass


@functools.lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(kind, value, where)
    if origin is Literal:
        options = typing.get_args(kind)
        if value not in options:
            raise _MisfitError(
                f"{where}: expected one of {', '.join(map(repr, options))}, got {value!r}"
            )
        return value
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(typing.cast(type, kind), value, where)
    if origin in (tuple, list):
        return _convert_sequence(kind, value, where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise _misfit(where, "a mapping", value)
        inner = typing.get_args(kind)[1]
        return {str(key): _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    return _convert_scalar(kind, value, where)


def _convert_union(kind: Any, value: Any, where: str) -> Any:
    options = typing.get_args(kind)
    if value is None and type(None) in options:
        return None
    rest = sorted(
        (option for option in options if option is not type(None)),
        key=lambda option: option is not type(value),
    )
    misfit: _MisfitError | None = None
    for option in rest:
        try:
            return _convert(option, value, where)
        except _MisfitError as caught:
            misfit = misfit or caught
    raise misfit or _misfit(where, "nothing", value)


def _convert_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _misfit(where, "a mapping", value)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    hints = _hints(kind)
    for key in value:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(fields)}."
            raise _MisfitError(f"{where}: unknown key {str(key)!r}; {hint}")
    required = [
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    lacking = [name for name in required if name not in value]
    if lacking:
        raise _MisfitError(f"{where}: missing {', '.join(lacking)}")
    arguments = {
        key: _convert(
            hints[key], item, f"{where}: {key}" if ": " not in where else f"{where}.{key}"
        )
        for key, item in value.items()
    }
    try:
        return kind(**arguments)
    except (ValueError, InputError) as refused:
        raise _MisfitError(f"{where}: {refused}") from None


def _convert_sequence(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise _misfit(where, "a list", value)
    arguments = typing.get_args(kind)
    maker = typing.get_origin(kind)
    if maker is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        if len(value) != len(arguments):
            raise _misfit(where, f"{len(arguments)} values", value)
        return tuple(
            _convert(inner, item, f"{where}[{i}]")
            for i, (inner, item) in enumerate(zip(arguments, value, strict=True))
        )
    converted = [_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    return tuple(converted) if maker is tuple else converted


def _convert_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        raise _misfit(where, "a finite number", value)
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise _misfit(where, "a whole number", value)
    if kind in (bool, str):
        if isinstance(value, kind):
            return value
        raise _misfit(where, {bool: "true or false", str: "text"}[kind], value)
    if kind is type(None) and value is None:
        return None
    raise _misfit(where, getattr(kind, "__name__", str(kind)), value)


def _misfit(where: str, expected: str, value: Any) -> _MisfitError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return _MisfitError(f"{where}: expected {expected}, got {shown}")
