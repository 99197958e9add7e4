"""Columns of Parquet as the explorer's scripts read them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_LONG_TEXT: Final = 48
"""Mean length from which texts are shown with the clip instead of in the table."""
_SAFE_INTEGER: Final = 2**53
_TYPES: Final = {"float32": "f4", "float64": "f8", "int16": "i2", "uint8": "u1", "uint32": "u4"}


def script(name: str, content: Mapping[str, Any]) -> bytes:
    """A script that passes content to the page under a name.

    Scripts can be loaded from a page that was opened as a file; other requests cannot.

    Args:
        name: Name by which the page requests it.
        content: Plain values, whose texts are untrusted.

    Returns:
        ASCII text in which no text of the content can end the script.

    Examples:
        >>> script("rows", {}).startswith(b'explorer.receive("rows",JSON.parse(')
        True
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    quoted = json.dumps(text).replace("<", r"\u003c")
    return f"explorer.receive({json.dumps(name)},JSON.parse({quoted}))\n".encode("ascii")


def encoded(array: npt.NDArray[Any]) -> dict[str, str]:
    """Numbers as base64 of their little-endian bytes, by the name of their type.

    Example:
        >>> encoded(np.array([1, 2], np.int16))
        {'i2': 'AQACAA=='}
    """
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {_TYPES[array.dtype.name]: base64.b64encode(little.tobytes()).decode("ascii")}


def column(values: pa.ChunkedArray) -> dict[str, Any] | None:
    """A column for the table; None for one that is only shown with a clip.

    Returns:
        ``kind`` and, for ``number``, the ``values`` with None where there is none (and how many are
        ``infinite`` or NaN, which become None); for ``text`` and ``list`` (of texts) the ``levels`` and
        the ``codes`` that point to them, -1 for null.

    Example:
        >>> column(pa.chunked_array([["a", None, "a"]]))
        {'kind': 'text', 'levels': ['a'], 'codes': [0, -1, 0]}
    """
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = values.to_pylist()
        known = [v for v in numbers if v is not None]
        if pa.types.is_integer(kind) and any(abs(v) > _SAFE_INTEGER for v in known):
            return _levels([None if v is None else str(v) for v in numbers], "text")
        infinite = sum(not math.isfinite(v) for v in known)
        finite = [None if v is None or not math.isfinite(v) else v for v in numbers]
        return {"kind": "number", "values": finite, **({"infinite": infinite} if infinite else {})}
    if pa.types.is_boolean(kind):
        words = {None: None, False: "no", True: "yes"}
        return _levels([words[v] for v in values.to_pylist()], "text")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = values.to_pylist()
        long = sum(len(t) for t in texts if t is not None) > _LONG_TEXT * len(texts)
        return None if long else _levels(texts, "text")
    if is_list(kind) and pa.types.is_string(kind.value_type):
        joined = [None if v is None else ", ".join(map(str, v)) for v in values.to_pylist()]
        return _levels(joined, "list")
    if pa.types.is_temporal(kind):
        return _levels([None if v is None else str(v) for v in values.to_pylist()], "text")
    return None


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is one of the lists of Arrow.

    Examples:
        >>> is_list(pa.list_(pa.int8())), is_list(pa.int8())
        (True, False)
    """
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def described(value: Any) -> str | None:
    """A value that the table does not show, as text.

    Example:
        >>> described([0.1] * 512), described("a long text"), described({"role": "user"})
        ('512 numbers', 'a long text', "{'role': 'user'}")
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(v, (int, float, type(None))) for v in value):
        return f"{len(value)} numbers"
    return str(value)


def numbers(values: pa.Array | None, kind: str = "float32") -> npt.NDArray[Any] | None:
    """Entries of a list as an array, (n,), NaN where an entry is null; None without a list.

    Args:
        values: List of one row.
        kind: Name of the array's type.

    Examples:
        >>> numbers(pa.array([1.0, None]))
        array([ 1., nan], dtype=float32)
    """
    if values is None:
        return None
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    array = values.to_numpy(zero_copy_only=False)
    return np.asarray(array).astype(kind)


def _levels(texts: Sequence[str | None], kind: str) -> dict[str, Any]:
    places: dict[str, int] = {}
    codes = [-1 if t is None else places.setdefault(t, len(places)) for t in texts]
    return {"kind": kind, "levels": list(places), "codes": codes}
