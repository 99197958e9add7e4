"""Base class of sources, which provide local files for a path or address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from theval_datasets.manifest.rows import Source as Origin


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A local file that a source provided.

    Attributes:
        path: Path of the file.
        name: Path below the source, with suffix and ``/`` between parts; clips are named after it.
        group: Short name of the source, to distinguish equal names.
        origin: Provenance for the manifest; its `location` is empty for a local file without a root, and
            set once the clip has a path.
    """

    path: Path
    name: str
    group: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """An item that a source lists but could not provide.

    Attributes:
        name: See `SourceFile`.
        group: See `SourceFile`.
        origin: Provenance, as far as known.
        reason: Slug of the class of failure.
        detail: Explanation of the reason.
    """

    name: str
    group: str
    origin: Origin
    reason: str
    detail: str


class SourceReader:
    """Base of all sources."""

    def items(self) -> Iterator[SourceFile | SourceFailure]:
        """Items of the source, in an order that does not change between runs."""
        raise NotImplementedError

    def skipped(self) -> dict[str, int]:
        """Number of files skipped because of their kind, by suffix."""
        return {}
