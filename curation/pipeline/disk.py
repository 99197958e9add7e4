"""Disk space of a run, folder by folder, and which folders may be deleted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from ..clips.files import AUDIO, CLIPS, FRAMES
from ..sources.fetching.fetch import FETCHED
from .candidate_store import FOLDER

WHY: Final = {
    CLIPS: "kept clips",
    AUDIO: "their sound",
    FRAMES: "their reference frames",
    FETCHED: "fetched or unpacked sources; if deleted, they are fetched again for other spans",
    FOLDER: "clips that were cut and rejected, and scenes of people, for the funnel and for other thresholds; "
    "if deleted, they are cut again",
}
"""The folders that a run writes, and their purpose."""


def disk_use(output: Path) -> dict[str, int]:
    """Size of each folder of a run in bytes; empty folders are left out.

    A file with several names counts once, in the first folder of `WHY`. A file that also has a name
    outside (a clip that is a link to the user's file) does not count.

    Examples:
        >>> disk_use(Path())
        {}
    """
    links: Counter[tuple[int, int]] = Counter()
    sizes: dict[tuple[int, int], tuple[str, int, int]] = {}
    for folder in WHY:
        for path in (output / folder).rglob("*"):
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            key = (status.st_dev, status.st_ino)
            links[key] += 1
            sizes.setdefault(key, (folder, status.st_size, status.st_nlink))
    total: Counter[str] = Counter()
    for key, (folder, size, names) in sizes.items():
        if links[key] == names:
            total[folder] += size
    return {folder: total[folder] for folder in WHY if total[folder]}
