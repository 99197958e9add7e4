"""What every kind of source shares: it turns what the user names into files on this disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from theval_datasets.manifest.rows import Source as Origin


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a source gave.

    Attributes:
        path: The file.
        name: Its path below the source, with suffix and ``/`` between parts; clips are named by it.
        group: Short name of the source it comes from, to tell equal names apart.
        origin: What the manifest says about where it comes from; its `location` is empty for a
            local file outside the root, and filled in once the clip has a place.
    """

    path: Path
    name: str
    group: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Gone:
    """Something a source names but could not give.

    Attributes:
        name: As in `Found`.
        group: As in `Found`.
        origin: What is known about it.
        reason: Slug of the class of failure.
        detail: For people.
    """

    name: str
    group: str
    origin: Origin
    reason: str
    detail: str


class Source:
    """Base of all sources."""

    def items(self) -> Iterator[Found | Gone]:
        """What the source holds, in an order that does not change between runs."""
        raise NotImplementedError

    def skipped(self) -> dict[str, int]:
        """How many things were passed over because of their kind, by suffix."""
        return {}
