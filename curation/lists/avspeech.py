"""AVSpeech: a CSV without a header, with the centre of the speaker's face."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import Region

from .base import Entry, EntryError, ListedClip, ListReader, number, read_text, shown, span


@dataclass(frozen=True)
class Avspeech(ListReader):
    """AVSpeech's CSV: id of a video, start, end, and the centre of a face as shares of the picture.

    The list does not state the size of the face, so clips show the largest square around the centre. They
    are named ``VIDEO_START_END``.
    """

    NAME: ClassVar[str] = "avspeech"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The clips."""
        reader = csv.reader(io.StringIO(read_text(path), newline=""))
        try:
            for cells in reader:
                if cells:
                    yield Entry("_".join(cells[:3]), f"{path.name}:{reader.line_num}", cells)
        except csv.Error as error:
            raise InputError(f"{path.name}:{reader.line_num} is not CSV: {error}") from None

    def clip(self, value: list[str]) -> ListedClip:
        """A clip with the centre of its face."""
        cells = [cell.strip() for cell in value]
        if len(cells) != 5:
            raise EntryError("bad-entry", f"expected id, start, end, x, y, got {shown(value)}")
        start, end = span(cells[1], cells[2])
        x, y = number(cells[3], "x"), number(cells[4], "y")
        region = Region(centre=(x, y))
        facts = {"face_x": x, "face_y": y}
        return ListedClip(self.url_of(cells[0]), start, end, region, attributes=facts)
