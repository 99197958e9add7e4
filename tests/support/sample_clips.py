"""The sample's clips, each made when a test first asks for it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared_files import made_once

from theval_datasets.demo.clips import CLIPS, make_clip


class SampleClips(Mapping[str, Path]):
    """Clips by name; their files lie in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._clips = {clip.name: clip for clip in CLIPS}

    def __getitem__(self, name: str) -> Path:
        return made_once(
            self._folder / f"{name}.mp4", functools.partial(make_clip, self._clips[name])
        )

    def values(self):
        """All of them, made."""
        return [self[name] for name in self._clips]

    def items(self):
        """All of them, made."""
        return [(name, self[name]) for name in self._clips]

    def __iter__(self) -> Iterator[str]:
        return iter(self._clips)

    def __len__(self) -> int:
        return len(self._clips)
