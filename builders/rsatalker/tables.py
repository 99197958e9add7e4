"""Where recordings lie in their videos, and how their speakers are related: tables of a curator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from theval_datasets.errors import InputError, some_of

from ..tables.csv_files import number, read_csv
from ..tables.json_files import read_json

_BITS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
RELATIONSHIPS: Final[Mapping[str, tuple[bool, bool]]] = {
    "siblings": (True, True),
    "mother-son": (True, False),
    "couple": (False, True),
    "superior-subordinate": (False, False),
}
"""The paper's examples, one a cell: whether of one blood, and whether equal."""


@dataclass(frozen=True)
class LocatedSpan:
    """Where a recording lies in its video.

    Attributes:
        start: Seconds.
        end: Seconds; None to take the recording's own length.
        score: Of the match; None if unstated.
    """

    start: float
    end: float | None
    score: float | None


@dataclass(frozen=True)
class RelationshipLabel:
    """How two speakers are related.

    Attributes:
        name: Such as `siblings`.
        blood: Whether of one blood; None if unknown.
        equal: Whether of equal standing; None if unknown.
    """

    name: str | None
    blood: bool | None
    equal: bool | None


def read_spans(path: Path) -> dict[str, LocatedSpan]:
    """Where recordings lie: what ``theval-data locate --json`` says, or a CSV.

    The CSV has `clip_id, start` and perhaps `end, match_score`; `clip_id` is a recording or its
    conversation.

    Raises:
        InputError: For what is neither, a recording there twice, or a span that ends before it
            begins.
    """
    is_json = path.suffix.lower() == ".json"
    spans: dict[str, LocatedSpan] = {}
    for where, name, span in _located(path) if is_json else _listed(path):
        if not name or name in spans:
            raise InputError(f"{where}: {name!r} is empty or there twice")
        if span.start < 0 or (span.end is not None and span.end <= span.start):
            raise InputError(f"{where}: expected 0 <= start < end, got {span.start} and {span.end}")
        spans[name] = span
    return spans


def _located(path: Path) -> list[tuple[str, str, LocatedSpan]]:
    """Place, recording and span of each that `locate --json` found."""
    plain = read_json(path)
    try:
        return [
            (
                path.name,
                PurePosixPath(match["short"]).stem,
                LocatedSpan(float(match["start"]), None, float(match["score"])),
            )
            for match in plain["found"]
            if match["reason"] is None
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path.name} is not what `locate --json` writes: {error}") from None


def _listed(path: Path) -> Iterator[tuple[str, str, LocatedSpan]]:
    """Place, recording and span of each row of a CSV."""
    for where, row in read_csv(path, ("clip_id", "start")):
        end, score = (
            number(row, name, where) if (row.get(name) or "").strip() else None
            for name in ("end", "match_score")
        )
        yield where, row["clip_id"].strip(), LocatedSpan(number(row, "start", where), end, score)


def read_relations(path: Path) -> dict[str, RelationshipLabel]:
    """Relations by `youtube_id` or conversation: CSV with `id, relationship` and perhaps `blood, equal`.

    Raises:
        InputError: With rows that are there twice, unreadable, or contradict what the name means.
    """
    labels: dict[str, RelationshipLabel] = {}
    faults = []
    for where, row in read_csv(path, ("id", "relationship")):
        key = row["id"].strip()
        name = row["relationship"].strip().lower().replace("–", "-").replace(" ", "-") or None
        meant = RELATIONSHIPS.get(name or "", (None, None))
        bits: list[bool | None] = []
        for column, usual in zip(("blood", "equal"), meant, strict=True):
            cell = (row.get(column) or "").strip().lower()
            bit = _BITS.get(cell) if cell else usual
            if (cell and cell not in _BITS) or (usual is not None and bit != usual):
                faults.append(f"{where}: {column} = {cell!r} does not go with {name!r}")
            bits.append(bit)
        if not key or key in labels:
            faults.append(f"{where}: {key!r} is empty or there twice")
        labels[key] = RelationshipLabel(name, bits[0], bits[1])
    if faults:
        raise InputError(some_of(faults))
    return labels
