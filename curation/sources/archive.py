"""Media files in zip archives, such as releases of datasets."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import Source as Origin
from theval_datasets.utils.archives import extract

from .base import SourceFile, SourceReader
from .local import SUFFIXES

UNPACKED: Final = "sources"


@dataclass(frozen=True)
class Archive(SourceReader):
    """Media files in a zip archive, unpacked to `sources/` below the output folder.

    Attributes:
        place: Path of the archive.
        output: Folder of the manifest.
        root: Folder that has to hold all sources; None for the output folder.

    Raises:
        UnsafePathError: If the output folder is outside the root.
    """

    place: Path
    output: Path
    root: Path | None = None

    def __post_init__(self) -> None:
        if self.root is not None and not self.output.resolve().is_relative_to(self.root.resolve()):
            raise UnsafePathError(
                f"{self.place.name} is unpacked to {self.output}, which is not below the root "
                f"{self.root}; name a root that holds it, or none"
            )

    def items(self) -> Iterator[SourceFile]:
        """Its media files, sorted by name.

        Raises:
            InputError, UnsafePathError: If it is not a zip archive, or unsafe.
        """
        folder = self.output / UNPACKED / self.place.stem
        base = (self.root or self.output).resolve()
        for path in extract(self.place, folder, SUFFIXES):
            name = path.relative_to(folder.resolve()).as_posix()
            location = path.relative_to(base).as_posix()
            yield SourceFile(path, name, self.place.stem, Origin(kind="local", location=location))

    def skipped(self) -> dict[str, int]:
        """Number of its other files by suffix, and of hidden files."""
        with zipfile.ZipFile(self.place) as packed:
            names = [PurePosixPath(m.filename) for m in packed.infolist() if not m.is_dir()]
        counts: Counter[str] = Counter()
        for name in names:
            if any(part.startswith((".", "__MACOSX")) for part in name.parts):
                counts["hidden"] += 1
            elif name.suffix.lower() not in SUFFIXES:
                counts[name.suffix.lower() or name.name] += 1
        return dict(counts)
