"""CelebV-Text: one JSON file of clips, with boxes in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from .base import Entry, ListedClip, ListReader
from .celebv_hq import json_clip, json_clips


@dataclass(frozen=True)
class CelebvText(ListReader):
    """CelebV-Text's JSON: like CelebV-HQ's, with boxes in pixels of a picture whose size is not stated.

    The boxes are interpreted in pixels of the source as it is fetched, which `rebuild` states for each clip.
    """

    NAME: ClassVar[str] = "celebv-text"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The clips, including those whose id occurs twice."""
        yield from json_clips(path)

    def clip(self, value: Any) -> ListedClip:
        """A clip with its box."""
        return json_clip(self, value, shares=False)
