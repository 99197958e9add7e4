"""TalkingHead-1KH: text files of tubes, in frames of one-minute chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from theval_datasets.manifest.rows import Region

from .base import (
    Entry,
    EntryError,
    ListedClip,
    ListReader,
    corners,
    number,
    pixels,
    read_text,
    shown,
)

_CHUNK: Final = 60.0
"""Length of a chunk in seconds; the dataset's script begins each at a keyframe."""
_NAME: Final = re.compile(r"(?P<video>.+)_(?P<chunk>\d{4})", re.ASCII)


@dataclass(frozen=True)
class Talkinghead1kh(ListReader):
    """TalkingHead-1KH's tubes: lines of ``NAME, H, W, S, E, L, T, R, B``.

    NAME is the id of a video and the number of a chunk; S and E are the first and the last frame; L, T, R and
    B are the edges of the box in a picture of W x H. Clips are named like the files of the dataset's script.
    """

    NAME: ClassVar[str] = "talkinghead-1kh"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The tubes."""
        for index, line in enumerate(read_text(path).splitlines(), 1):
            cells = [cell.strip() for cell in line.split(",")]
            if any(cells):
                letters = zip("SELTRB", cells[3:], strict=False)
                name = "_".join([cells[0], *(f"{letter}{cell}" for letter, cell in letters)])
                yield Entry(name, f"{path.name}:{index}", cells)

    def clip(self, value: list[str]) -> ListedClip:
        """A tube."""
        if len(value) != 9:
            raise EntryError("bad-entry", f"expected NAME,H,W,S,E,L,T,R,B, got {shown(value)}")
        match = _NAME.fullmatch(value[0])
        if match is None:
            raise EntryError("bad-source", f"expected VIDEO_CHUNK as name, got {shown(value[0])}")
        height, width = pixels(value[1], "H"), pixels(value[2], "W")
        first, last = (number(cell, "frame") for cell in value[3:5])
        if not (first.is_integer() and last.is_integer() and 0 <= first <= last < 1 << 32):
            raise EntryError("bad-span", f"expected 0 <= S <= E, got {first:g} and {last:g}")
        left, top, right, bottom = value[5:]
        box = corners(top, bottom, left, right)
        return ListedClip(
            self.url_of(match["video"]),
            _CHUNK * int(match["chunk"]),
            None,
            Region(boxes=((0.0, *box),), width=float(width), height=float(height)),
            width=width,
            height=height,
            frames=(int(first), int(last) + 1),
        )
