"""What every kind of source shares: it turns what the user names into files on this disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from theval_datasets.manifest.rows import Source as Origin


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file on this disk that a source provided.

    Attributes:
        path: The file.
        name: Its path below the source, with suffix and ``/`` between parts; clips are named by it.
        group: Short name of the source it comes from, to tell equal names apart.
        origin: Provenance as the manifest records it; its `location` is empty for a local file without
            a root, and filled in once the clip has a path.
    """

    path: Path
    name: str
    group: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """An item that a source lists but could not provide.

    Attributes:
        name: As in `SourceFile`.
        group: As in `SourceFile`.
        origin: Provenance, as far as it is known.
        reason: Slug of the class of failure.
        detail: The same in words.
    """

    name: str
    group: str
    origin: Origin
    reason: str
    detail: str


class SourceReader:
    """Base of all sources."""

    def items(self) -> Iterator[SourceFile | SourceFailure]:
        """What the source holds, in an order that does not change between runs."""
        raise NotImplementedError

    def skipped(self) -> dict[str, int]:
        """Number of files skipped because of their kind, by suffix."""
        return {}
