"""VoxCeleb2: one text file per utterance, with a box for each frame at 25 frames a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import Region

from .base import Entry, EntryError, ListedClip, ListReader, attributes, number, read_text, shown

FPS: Final = 25.0
"""Frame rate of the frame numbers in the lists, frames a second."""
_COLUMNS: Final = ["FRAME", "X", "Y", "W", "H"]


@dataclass(frozen=True)
class Voxceleb2(ListReader):
    """VoxCeleb2's text files ``IDENTITY/VIDEO/NUMBER.txt``: one file, or a folder of them.

    A header states the person and the video. It is followed by lines of frame, left, top, width and height,
    with boxes as shares of the picture. A clip lasts from the first listed frame to the last.
    """

    NAME: ClassVar[str] = "voxceleb2"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The utterances, in the order of their paths."""
        files = [path] if path.is_file() else sorted(path.rglob("*.txt"))
        if not files:
            raise InputError(f"expected a text file of VoxCeleb2 or a folder of them, got {path}")
        base = path.parent if path.is_file() else path
        for file in files:
            name = file.relative_to(base).as_posix()
            try:
                value: str | InputError = read_text(file)
            except InputError as error:
                value = error
            yield Entry(_id_of(value, file), name, value)

    def clip(self, value: str | InputError) -> ListedClip:
        """An utterance with its boxes."""
        if isinstance(value, InputError):
            raise EntryError("bad-entry", str(value))
        header, rows = _parts(value)
        if not rows:
            raise EntryError("no-span", "the file lists no frame")
        frames = [row[0] for row in rows]
        if frames != sorted(set(frames)) or frames[0] < 0:
            raise EntryError("bad-span", "expected ascending frame numbers from 0 on, each once")
        first = frames[0] / FPS
        boxes = tuple((round(row[0] / FPS - first, 6), *row[1:]) for row in rows)
        named = {k: v for k, v in header.items() if k.lower() != "reference"}
        return ListedClip(
            self.url_of(header.get("Reference")),
            first,
            (frames[-1] + 1) / FPS,
            Region(boxes=boxes, width=1.0, height=1.0),
            attributes=attributes(named),
        )


def _parts(text: str) -> tuple[dict[str, str], list[tuple[float, float, float, float, float]]]:
    """The header by name, and frame, left, top, width and height of each box.

    Raises:
        EntryError: A line is neither.
    """
    header: dict[str, str] = {}
    rows: list[tuple[float, float, float, float, float]] = []
    after_header = False
    for line in filter(str.strip, text.splitlines()):
        cells = line.split()
        if after_header:
            if len(cells) != len(_COLUMNS):
                raise EntryError("bad-entry", f"expected FRAME X Y W H, got {shown(line)}")
            frame, left, top, wide, high = (number(cell, "part of a box") for cell in cells)
            rows.append((frame, left, top, wide, high))
        elif cells == _COLUMNS:
            after_header = True
        else:
            name, separator, rest = line.partition(":")
            if not separator:
                raise EntryError("bad-entry", f"expected NAME : VALUE, got {shown(line)}")
            header[name.strip()] = rest.strip()
    return header, rows


def _id_of(value: str | InputError, file: Path) -> str:
    """``IDENTITY/VIDEO/NUMBER`` according to the header, as in the folders of the whole dataset."""
    try:
        header, _ = _parts("" if isinstance(value, InputError) else value.partition("FRAME")[0])
    except EntryError:
        header = {}
    parts = (header.get("Identity"), header.get("Reference"), file.stem)
    return "/".join(part for part in parts if part)
