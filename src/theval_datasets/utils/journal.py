"""Journals: JSON Lines that a killed run may have left torn."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from theval_datasets.errors import InputError

from .records import from_plain

_log = logging.getLogger(__name__)

T = TypeVar("T")


def read_journal(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of a journal; lines that are none are passed over, and no file has none.

    Args:
        path: The file.
        kind: Dataclass of a line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, start=1):
        where = f"{path.name}:{number}"
        try:
            yield from_plain(kind, json.loads(line), where)
        except (ValueError, RecursionError, InputError) as error:
            _log.info("passed over: %s: %s", where, error)
