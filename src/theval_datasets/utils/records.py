"""Typed records from untrusted JSON or YAML, with errors that state place, expectation and input.

`msgspec` reads and checks them. Rows of large JSON-lines files are `Record`s, which it reads in a few
microseconds; parameters are frozen dataclasses, whose unknown keys are detected here. Only a value
that does not fit is examined a second time, to find the part that is wrong.
"""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import functools
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar, Union

import msgspec

from theval_datasets.errors import InputError

T = TypeVar("T")

_LARGEST: Final = 2**63 - 1
_DEEPEST: Final = 32
_SCALARS: Final = frozenset({str, float, int, bool, type(None)})
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_REFUSED: Final = (msgspec.MsgspecError, ValueError, InputError, RecursionError)
"""Exceptions of `msgspec`, and of a record's own checks."""

Int64 = Annotated[int, msgspec.Meta(ge=-_LARGEST - 1, le=_LARGEST)]
"""A whole number that every later step can store: 64 bits, signed."""
Scalar = float | Int64 | str | bool | None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A line of a JSON-lines file: immutable, and read directly, without dictionaries in between.

    Change a copy with `msgspec.structs.replace`. Records hold no reference to themselves, so the
    garbage collector need not visit them.
    """


def to_plain(record: Any) -> Any:
    """A record or dataclass (nested ones too) as the dicts, lists and scalars of JSON.

    Examples:
        >>> to_plain({"size": (640, 480), "file": PurePath("a.mp4")})
        {'size': [640, 480], 'file': 'a.mp4'}
    """
    if type(record) in _SCALARS:
        return record
    if isinstance(record, msgspec.Struct):
        return {name: to_plain(getattr(record, name)) for name in record.__struct_fields__}
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_plain(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_plain(value) for value in record]
    return str(record) if isinstance(record, PurePath) else record


def from_plain(kind: type[T], value: Any, where: str, *, error: type[InputError] = InputError) -> T:
    """Build a record or dataclass from plain data, checking every type.

    Args:
        kind: Class to build.
        value: Plain data, as read from JSON or YAML.
        where: Place in messages, such as ``manifest.jsonl:12``.
        error: Exception to raise.

    Raises:
        InputError: (or `error`) for the first part that does not fit.

    Examples:
        >>> class Size(msgspec.Struct):
        ...     width: int
        >>> from_plain(Size, {"width": 640}, "sizes.json").width
        640
    """
    try:
        if not issubclass(kind, msgspec.Struct):
            _check(kind, value, where)
        return msgspec.convert(value, kind)
    except _MisfitError as misfit:
        raise error(str(misfit)) from None
    except _REFUSED as refused:
        _explain(kind, value, where, refused, error)


def from_json(
    kind: type[T], text: str | bytes, where: str, *, error: type[InputError] = InputError
) -> T:
    """Build a record or dataclass from JSON text; see `from_plain`.

    Raises:
        InputError: (or `error`) for text that is not JSON, or a part that does not fit.

    Examples:
        >>> class Size(msgspec.Struct):
        ...     width: int
        >>> from_json(Size, '{"width": 640}', "sizes.json:1").width
        640
    """
    direct = issubclass(kind, msgspec.Struct)
    if isinstance(text, bytes):
        text = text.removeprefix(codecs.BOM_UTF8)  # which editors of Windows put before it
    refused: Exception
    try:
        value = _decoder(typing.cast(Any, kind) if direct else Any).decode(text)
    except _REFUSED as caught:
        refused = caught
    else:
        return value if direct else from_plain(kind, value, where, error=error)
    try:  # Python's own reader accepts more, such as NaN: what it reads can be explained
        value = json.loads(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise error(f"{where}: not a JSON object: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise error(f"{where}: not a JSON object: it is not UTF-8 text") from None
    except ValueError as malformed:
        raise error(f"{where}: not a JSON object: {malformed}") from None
    _explain(kind, value, where, refused, error)


class _MisfitError(Exception):
    pass


@functools.lru_cache(maxsize=64)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _explain(
    kind: Any, value: Any, where: str, refused: BaseException, error: type[InputError]
) -> NoReturn:
    """Raise an error that names the part of `value` that does not fit."""
    try:
        _check(kind, value, where)
    except _MisfitError as misfit:
        raise error(str(misfit)) from None
    raise error(f"{where}: {refused}") from None


@functools.lru_cache(maxsize=256)
def _fields(kind: type) -> dict[str, tuple[Any, bool]] | None:
    """Type of each field and whether it is required, of a record or dataclass; None for other types."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.name: (field.type, field.required) for field in msgspec.structs.fields(kind)}
    if not dataclasses.is_dataclass(kind):
        return None
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }


def _check(kind: Any, value: Any, where: str) -> None:
    """Raise for the first part of a value that does not fit a type."""
    if kind is Any:
        _check_free(value, where, _DEEPEST)
        return
    if typing.get_origin(kind) in (Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        if len(options) == 1 and value is not None:
            _check(options[0], value, where)
            return
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    fields = _fields(kind) if origin is None else None
    if fields is not None:
        _check_fields(kind, fields, value, where)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _misfit(where, "a mapping", value)
        for key, item in value.items():
            if not isinstance(key, str):
                raise _misfit(where, "text as every key", key)
            _check(arguments[1], item, f"{where}.{key}")
    elif origin in (tuple, list):
        _check_items(origin, arguments, value, where)
    else:
        _check_leaf(kind, value, where)


def _check_fields(
    kind: type, fields: Mapping[str, tuple[Any, bool]], value: Any, where: str
) -> None:
    if not isinstance(value, Mapping):
        raise _misfit(where, "a mapping", value)
    for key in value:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(fields)}."
            raise _MisfitError(f"{where}: unknown key {str(key)!r}; {hint}")
    missing = [name for name, (_, required) in fields.items() if required and name not in value]
    if missing:
        raise _MisfitError(f"{where}: missing {', '.join(missing)}")
    inner = f"{where}." if ": " in where else f"{where}: "
    for key, item in value.items():
        _check(fields[key][0], item, f"{inner}{key}")
    try:
        msgspec.convert(value, kind)
    except _REFUSED as refused:
        raise _MisfitError(f"{where}: {refused}") from None


def _check_items(origin: type, arguments: tuple[Any, ...], value: Any, where: str) -> None:
    if not isinstance(value, (list, tuple)):
        raise _misfit(where, "a list", value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise _misfit(where, f"{len(arguments)} values", value)
        kinds = arguments
    else:
        kinds = (arguments[0],) * len(value)
    for i, (inner, item) in enumerate(zip(kinds, value, strict=True)):
        _check(inner, item, f"{where}[{i}]")


def _check_free(value: Any, where: str, depth: int) -> None:
    """Check a value of any JSON type: not too deep, numbers finite and of 64 bits."""
    if isinstance(value, (Mapping, list, tuple)):
        if depth == 0:
            raise _MisfitError(f"{where}: expected at most {_DEEPEST} levels of lists and mappings")
        for item in value.values() if isinstance(value, Mapping) else value:
            _check_free(item, where, depth - 1)
    else:
        _check_scalar(value, where)


def _check_leaf(kind: Any, value: Any, where: str) -> None:
    try:
        msgspec.convert(value, kind)
    except _REFUSED:
        raise _misfit(where, _words(kind), value) from None
    _check_scalar(value, where)


def _check_scalar(value: Any, where: str) -> None:
    """Check that numbers are finite and of 64 bits, and that text can be encoded as UTF-8."""
    if isinstance(value, str) and _SURROGATE.search(value):
        raise _misfit(where, "Unicode text without lone surrogates", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _misfit(where, "a finite number", value)
    if isinstance(value, int) and not -_LARGEST - 1 <= value <= _LARGEST:
        raise _misfit(where, "a whole number of 64 bits", value)


def _words(kind: Any) -> str:
    """A type in words."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _words(typing.get_args(kind)[0])
    if origin is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(option) for option in typing.get_args(kind)))
    if origin in (list, tuple):
        return "a list"
    known = {
        float: "a finite number",
        int: "a whole number",
        bool: "true or false",
        str: "text",
        type(None): "null",
    }
    return known.get(kind, str(getattr(kind, "__name__", kind)))


def _misfit(where: str, expected: str, value: Any) -> _MisfitError:
    shown = repr(value) if not isinstance(value, int) or abs(value) < 2**128 else "a huge number"
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return _MisfitError(f"{where}: expected {expected}, got {shown}")
