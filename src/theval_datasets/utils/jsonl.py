r"""JSON lines: manifests, journals, tombstones. A line ends with ``\n`` and with nothing else.

Titles may hold other characters that Unicode takes for ends of lines, such as U+2028.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from theval_datasets.errors import InputError

from .files import atomic_write, canonical_json, storage_error
from .records import from_json, to_plain
from .stores import Location

_log = logging.getLogger(__name__)

T = TypeVar("T")


def read_records(
    path: Location, kind: type[T], *, error: type[InputError] = InputError
) -> Iterator[tuple[str, T]]:
    """The records of a file, each with its place such as ``manifest.jsonl:12``.

    Args:
        path: File to read; blank lines are skipped.
        kind: Class of the records.
        error: Exception to raise.

    Raises:
        InputError: (or `error`) for a file that cannot be read, or a line that is not such a record.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.isspace():
                    where = f"{path.name}:{number}"
                    yield where, from_json(kind, line, where, error=error)
    except OSError as refused:
        raise error(f"{path} cannot be read: {refused.strerror or refused}") from None


def read_journal(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of a journal, whose last line a killed run may have left incomplete.

    Lines that are not such records are skipped and logged; without a file there are no records.

    Args:
        path: File to read.
        kind: Class of the records.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield from_json(kind, line, f"{path.name}:{number}")
        except InputError as error:
            _log.info("skipped: %s", error)


def line_of(record: Any) -> bytes:
    """A record as a line, with the newline.

    Examples:
        >>> line_of({"clip_id": "a"}).decode().strip()
        '{"clip_id":"a"}'
    """
    return canonical_json(to_plain(record)).encode() + b"\n"


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write a file of records atomically."""
    with atomic_write(path) as stream:
        for record in records:
            stream.write(line_of(record))


def append_record(path: Path, record: Any) -> None:
    """Append a line to a journal; it is on the disk when this returns.

    A line that a killed run left incomplete is ended first, so that it does not swallow the new line.

    Raises:
        StorageError: If the place is full or read-only.
    """
    line = line_of(record)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            torn = False
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                torn = stream.read(1) != b"\n"
            stream.write((b"\n" if torn else b"") + line)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise storage_error(error, path) or error from None
