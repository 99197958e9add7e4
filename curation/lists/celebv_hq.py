"""CelebV-HQ: one JSON file of clips, with boxes as shares of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import Region

from .base import (
    Entry,
    JsonObject,
    ListedClip,
    ListReader,
    attributes,
    corners,
    mapping,
    read_json,
    span,
)


@dataclass(frozen=True)
class CelebvHq(ListReader):
    """CelebV-HQ's JSON: ``clips`` by id, each with ``ytb_id``, ``duration``, ``bbox``, ``attributes``.

    Clips keep the stated box. The dataset's own script adds 2 % of the picture on each side and makes the box
    square.
    """

    NAME: ClassVar[str] = "celebv-hq"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The clips, including those whose id occurs twice."""
        yield from json_clips(path)

    def clip(self, value: Any) -> ListedClip:
        """A clip with its box."""
        return json_clip(self, value, shares=True)


def json_clips(path: Path) -> Iterator[Entry]:
    """The entries of a JSON file with clips by id.

    Raises:
        InputError: It is not such a file.

    Examples:
        >>> _ = Path("list.json").write_text('{"clips": {"a_0": {"ytb_id": "dQw4w9WgXcQ"}}}')
        >>> [entry.id for entry in json_clips(Path("list.json"))]
        ['a_0']
    """
    top = read_json(path)
    clips = top.get("clips") if isinstance(top, JsonObject) else None
    if not isinstance(clips, JsonObject):
        raise InputError(f'{path.name}: expected {{"clips": {{ID: …}}}}')
    for name, value in clips.pairs:
        yield Entry(name, f"{path.name}: {name}", value)


def json_clip(reader: ListReader, value: Any, *, shares: bool) -> ListedClip:
    """A clip of CelebV-HQ or CelebV-Text.

    Args:
        reader: Reader of the list, for addresses.
        value: Value of the entry.
        shares: Whether boxes are shares of the picture, not pixels.

    Raises:
        EntryError: The entry is invalid.
    """
    entry = mapping(value, "the entry")
    duration, box = mapping(entry.get("duration"), "duration"), mapping(entry.get("bbox"), "bbox")
    start, end = span(_either(duration, "start"), _either(duration, "end"))
    edges = corners(*(box.get(name) for name in ("top", "bottom", "left", "right")))
    size = 1.0 if shares else None
    rest = {k: v for k, v in entry.items() if k not in ("ytb_id", "duration", "bbox", "attributes")}
    named = entry.get("attributes")
    return ListedClip(
        reader.url_of(entry.get("ytb_id")),
        start,
        end,
        Region(boxes=((0.0, *edges),), width=size, height=size),
        attributes=attributes(rest | (dict(named) if isinstance(named, Mapping) else {})),
    )


def _either(duration: Mapping[str, Any], edge: str) -> Any:
    """A time in seconds; some entries of CelebV-Text call it a frame."""
    return duration.get(f"{edge}_sec", duration.get(f"{edge}_frame"))
