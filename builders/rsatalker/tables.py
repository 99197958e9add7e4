"""A curator's tables of spans of recordings in videos, and of relationships of speakers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.utils.json_files import read_json
from theval_datasets.utils.text import some_of

from ..tables.csv_files import number, read_csv

_BITS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
RELATIONSHIPS: Final[Mapping[str, tuple[bool, bool]]] = {
    "siblings": (True, True),
    "mother-son": (True, False),
    "couple": (False, True),
    "superior-subordinate": (False, False),
}
"""The paper's examples of relationships: whether blood relatives, and whether equal."""


@dataclass(frozen=True)
class LocatedSpan:
    """Span of a recording in its video.

    Attributes:
        start: Start in seconds.
        end: End in seconds; None for the recording's own length.
        score: Score of the match; None if unstated.
    """

    start: float
    end: float | None
    score: float | None


@dataclass(frozen=True)
class RelationshipLabel:
    """Relationship of two speakers.

    Attributes:
        name: Name of the relationship, such as `siblings`.
        blood: Whether they are blood relatives; None if unknown.
        equal: Whether they are of equal standing; None if unknown.
    """

    name: str | None
    blood: bool | None
    equal: bool | None


def read_spans(path: Path) -> dict[str, LocatedSpan]:
    r"""Read spans of recordings from the output of ``theval-data locate --json``, or a CSV.

    The CSV has `clip_id, start` and, optionally, `end, match_score`; `clip_id` is a recording or its
    conversation.

    Raises:
        InputError: For a malformed file, a recording that occurs twice, or a span that ends before it
            begins.

    Examples:
        >>> _ = Path("spans.csv").write_text("clip_id,start,end\nabc,12.5,20\n")
        >>> read_spans(Path("spans.csv"))["abc"].start
        12.5
    """
    is_json = path.suffix.lower() == ".json"
    spans: dict[str, LocatedSpan] = {}
    for where, name, span in _located(path) if is_json else _listed(path):
        if not name or name in spans:
            raise InputError(f"{where}: {name!r} is empty or occurs twice")
        if span.start < 0 or (span.end is not None and span.end <= span.start):
            raise InputError(f"{where}: expected 0 <= start < end, got {span.start} and {span.end}")
        spans[name] = span
    return spans


def _located(path: Path) -> list[tuple[str, str, LocatedSpan]]:
    """Place in the file, recording and span of each match of `locate --json`."""
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
        raise InputError(f"expected output of `locate --json` in {path.name}: {error}") from None


def _listed(path: Path) -> Iterator[tuple[str, str, LocatedSpan]]:
    """Place in the file, recording and span of each row of a CSV."""
    for where, row in read_csv(path, ("clip_id", "start"), ("end", "match_score")):
        end, score = (
            number(row, name, where) if (row.get(name) or "").strip() else None
            for name in ("end", "match_score")
        )
        yield where, row["clip_id"].strip(), LocatedSpan(number(row, "start", where), end, score)


def read_relations(path: Path) -> dict[str, RelationshipLabel]:
    r"""Read relationships by `youtube_id` or conversation: CSV with `id, relationship[, blood, equal]`.

    Raises:
        InputError: The message lists rows that are duplicate, malformed, or contradict the name.

    Examples:
        >>> _ = Path("relations.csv").write_text("id,relationship\nabc,siblings\n")
        >>> read_relations(Path("relations.csv"))["abc"].blood
        True
    """
    labels: dict[str, RelationshipLabel] = {}
    faults = []
    for where, row in read_csv(path, ("id", "relationship"), ("blood", "equal")):
        key = row["id"].strip()
        name = row["relationship"].strip().lower().replace("–", "-").replace(" ", "-") or None
        meant = RELATIONSHIPS.get(name or "", (None, None))
        bits: list[bool | None] = []
        for column, usual in zip(("blood", "equal"), meant, strict=True):
            cell = (row.get(column) or "").strip().lower()
            bit = _BITS.get(cell) if cell else usual
            if (cell and cell not in _BITS) or (usual is not None and bit != usual):
                faults.append(f"{where}: {column} = {cell!r} contradicts the relationship {name!r}")
            bits.append(bit)
        if not key or key in labels:
            faults.append(f"{where}: {key!r} is empty or occurs twice")
        labels[key] = RelationshipLabel(name, bits[0], bits[1])
    if faults:
        raise InputError(some_of(faults))
    return labels
