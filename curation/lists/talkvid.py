"""TalkVid: a JSON list of clips that show the whole picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from theval_datasets.errors import InputError

from .base import (
    Entry,
    ListedClip,
    ListReader,
    attributes,
    mapping,
    pixels,
    read_json,
    shown,
    span,
    url,
)

_READ: Final = frozenset({"id", "height", "width", "start-time", "end-time", "info"})


@dataclass(frozen=True)
class Talkvid(ListReader):
    """TalkVid's JSON: a list of clips with ``start-time``, ``end-time`` and ``info``."""

    NAME: ClassVar[str] = "talkvid"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The clips."""
        top = read_json(path)
        if not isinstance(top, list):
            raise InputError(f"{path.name}: expected a list of clips, got {shown(top)}")
        for index, value in enumerate(top):
            name = value.get("id") if isinstance(value, dict) else None
            yield Entry(name if isinstance(name, str) else "", f"{path.name}[{index}]", value)

    def clip(self, value: Any) -> ListedClip:
        """A clip that shows the whole picture."""
        entry = mapping(value, "the entry")
        info = mapping(entry.get("info"), "info")
        start, end = span(entry.get("start-time"), entry.get("end-time"))
        rest = {k: v for k, v in entry.items() if k not in _READ}
        named = {k: v for k, v in info.items() if k != "Video Link"}
        return ListedClip(
            url(info.get("Video Link")),
            start,
            end,
            width=pixels(entry["width"], "width") if "width" in entry else None,
            height=pixels(entry["height"], "height") if "height" in entry else None,
            attributes=attributes(named | rest),
        )
