"""Tensors of a TensorFlow.js model that is packed into scripts, read without running them.

One script holds the model's description, with name, shape and quantisation of every tensor; the other holds the
values of all tensors in that order, one byte each, in base64. Both are read as text: what does not have exactly
this form is refused.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

_LARGEST: Final = 1 << 24
"""Maximum size of a file in bytes."""
_GREATEST: Final = 1e35
"""Greatest number of a quantisation, with which 255 steps stay within float32."""
_VALUES: Final = re.compile(r'\.exports="([A-Za-z0-9+/]*={0,2})"')
_BEGIN: Final = re.compile(r'weightsManifest:\[\{paths:\["[\w.-]+"\],weights:\[')
_END: Final = "]}]"
_NUMBER: Final = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_ENTRY: Final = re.compile(
    r'\{name:"(?P<name>[\w/]+)",shape:\[(?P<shape>\d{1,6}(?:,\d{1,6}){0,3})\],dtype:"float32",'
    rf"quantization:\{{min:(?P<low>{_NUMBER}),scale:(?P<scale>{_NUMBER}),"
    r'dtype:"uint8"\}\}(?:,|$)'
)

Tensor = npt.NDArray[np.float32]


def read_tensors(description: Path, values: Path) -> dict[str, Tensor]:
    """The tensors of a model.

    Args:
        description: Script with the description of the model.
        values: Script with the values of its tensors.

    Returns:
        Tensors by name, in the order of the description.

    Raises:
        ValueError: A file does not have this form, or they do not belong together.
    """
    content, entries = _content(values), _entries(description)
    shapes = [tuple(map(int, entry["shape"].split(","))) for entry in entries]
    expected = sum(map(math.prod, shapes))
    if len(content) != expected:
        raise ValueError(
            f"expected {expected} numbers in {values}, as {description} describes, got {len(content)}"
        )
    tensors: dict[str, Tensor] = {}
    begin = 0
    for entry, shape in zip(entries, shapes, strict=True):
        name, low, scale = entry["name"], float(entry["low"]), float(entry["scale"])
        if name in tensors:
            raise ValueError(f"expected each tensor once in {description}, got {name} twice")
        if max(abs(low), abs(scale)) > _GREATEST:
            raise ValueError(
                f"expected numbers up to {_GREATEST:g} for {name} in {description}, got {low:g} and "
                f"{scale:g}"
            )
        count = math.prod(shape)
        quantised = np.frombuffer(content, np.uint8, count, begin).astype(np.float32)
        tensors[name] = (quantised * np.float32(scale) + np.float32(low)).reshape(shape)
        begin += count
    return tensors


def _entries(description: Path) -> list[re.Match[str]]:
    """The entries of the tensors."""
    text = _text(description)
    begin = _BEGIN.search(text)
    end = text.find(_END, begin.end()) if begin else -1
    if begin is None or end < 0:
        raise ValueError(f"expected the description of a TensorFlow.js model in {description}")
    table = text[begin.end() : end]
    entries: list[re.Match[str]] = []
    at = 0
    while at < len(table):
        entry = _ENTRY.match(table, at)
        if entry is None:
            raise ValueError(
                f"expected the description of a tensor in {description}, got {table[at : at + 80]!r}"
            )
        entries.append(entry)
        at = entry.end()
    return entries


def _content(values: Path) -> bytes:
    """The values of all tensors."""
    found = _VALUES.search(_text(values))
    try:
        if found is not None:
            return base64.b64decode(found[1], validate=True)
    except binascii.Error:
        pass
    raise ValueError(f"expected the values of a TensorFlow.js model, in base64, in {values}")


def _text(file: Path) -> str:
    """The text of a script."""
    n_bytes = file.stat().st_size
    if n_bytes > _LARGEST:
        raise ValueError(f"expected {file} to have at most {_LARGEST} bytes, got {n_bytes}")
    return file.read_text("utf-8")  # an error of the encoding is a ValueError
