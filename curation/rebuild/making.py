"""Rebuilding of single clips according to their rows.

A row is untrusted input: its paths have to be below a root, its addresses http(s), and its words are
checked against lists.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from theval_datasets import media
from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.manifest.rows import FileStamp, ManifestRow
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import inside, link_or_copy, sha256_file
from theval_datasets.utils.records import from_plain

from ..clips.anonymise import anonymised
from ..clips.audio_tracks import write_mono, write_original
from ..clips.cut import SUFFIX, Encoding, Piece, cut
from ..clips.files import AUDIO, CLIPS, FRAMES, stamp, tools
from ..clips.reference_frame import write_frame
from ..sources.base import SourceFile
from ..sources.choose import source_of
from ..sources.fetching.options import FetchOptions
from ..sources.local import SUFFIXES
from ..tasks import Failure

_EARLY: Final = 0.001  # seconds by which a keyframe may come before its time


class BeyondEndError(InputError):
    """A list's clip begins after the end of its source."""


@dataclass(frozen=True, slots=True)
class RebuiltClip:
    """A rebuilt clip.

    Attributes:
        path: Clip file, relative to the output folder.
        sha256: SHA-256 of the file.
        stamp: Size and modification time of the file.
        media: Measured facts of the file.
        span: Times in the source of the first frame and of the first frame after the clip, in seconds;
            None for the whole source.
        source_height: Height of the source in pixels; None unless the clip is made for the first time.
        tools: Versions and parameters on which the bytes depend.
    """

    path: str
    sha256: str
    stamp: FileStamp
    media: MediaFacts
    span: tuple[float, float] | None = None
    source_height: int | None = None
    tools: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClipMaker:
    """Task for worker processes that rebuilds clips.

    Attributes:
        output: Folder of the new manifest.
    """

    output: Path

    def __call__(self, job: tuple[ManifestRow, Path, str]) -> RebuiltClip | Failure:
        """Make a clip with its audio and reference frame.

        Args:
            job: The row, the file of its source, and the stem of the clip's files.
        """
        row, source, name = job
        try:
            return self._make(row, source, name)
        except BeyondEndError as error:
            return Failure("beyond-end", str(error))
        except UnsafePathError as error:
            return Failure("unsafe", str(error))
        except InputError as error:
            return Failure("bad-row", str(error))

    def _make(self, row: ManifestRow, source: Path, name: str) -> RebuiltClip:
        part = row.start, row.end, row.crop, row.region, _frames(row), row.audible
        whole = part == (0.0, None, None, None, None, None)
        relative = f"{CLIPS}/{name}{_suffix(row, source) if whole else SUFFIX}"
        target = inside(self.output, relative)
        if whole:
            link_or_copy(source, target)
        else:
            start, end = _span(row, source)
            piece = Piece(start, end, row.crop, row.region, row.audible)
            cut(source, piece, target, _encoding(row))
            # the modification time of the row, so that the same rebuild gives the same manifest
            when = row.stamp.mtime_ns if row.stamp is not None else 0
            with contextlib.suppress(OSError):
                os.utime(target, ns=(when, when))
        self._beside(row, source, target, name)
        return RebuiltClip(
            relative,
            sha256_file(target),
            stamp(target),
            media.probe(target),
            None if whole else (start, end),
            media.probe(source).height if row.to_be_made else None,
            tools() if whole else tools() | _encoding(row).facts(),
        )

    def _beside(self, row: ManifestRow, source: Path, clip: Path, name: str) -> None:
        """Write the clip's audio and reference frame, if the row lists them."""
        if row.audio_original is not None and row.end is not None:
            flac = inside(self.output, f"{AUDIO}/{name}.flac")
            write_original(source, row.start, row.end, flac, row.audible)
        if row.audio is not None:
            write_mono(clip, inside(self.output, f"{AUDIO}/{name}.wav"))
        if row.reference_frame is not None and row.reference_time is not None:
            index = media.frame_index(clip)
            indices = [int(index.at([row.reference_time])[0])]
            cut_here = row.end is not None or row.crop is not None
            frames = media.read_frames(clip, indices, index, made_here=cut_here)
            picture = frames.pixels[0]
            if row.tools.get("anonymised"):
                picture = anonymised(picture)
            write_frame(inside(self.output, f"{FRAMES}/{name}.jpg"), picture)


def _frames(row: ManifestRow) -> tuple[int, int] | None:
    return None if row.listed is None else row.listed.frames


def _span(row: ManifestRow, source: Path) -> tuple[float, float]:
    """Seconds into the source of a clip's first frame, and of the first frame after it.

    Raises:
        BeyondEndError: The clip is of a list and begins after the source's end.
    """
    index = media.frame_index(source)
    edges = [*index.times.tolist(), float(index.times[-1] + index.length)]
    if row.to_be_made and row.start >= edges[-1]:
        raise BeyondEndError(
            f"the clip begins at {row.start:g} s, and the source ends at {edges[-1]:g} s"
        )
    frames = _frames(row)
    if frames is None or not row.to_be_made:
        return row.start, edges[-1] if row.end is None else row.end
    starts = np.flatnonzero(index.keyframes & (index.times >= row.start - _EARLY))
    first = int(starts[0]) + frames[0] if len(starts) else len(edges)
    if first >= len(edges) - 1:
        raise BeyondEndError(
            f"the clip begins {frames[0]} frames after the first keyframe from {row.start:g} s on, "
            "and the source ends before that"
        )
    return edges[first], edges[min(first + frames[1] - frames[0], len(edges) - 1)]


def source_file(
    row: ManifestRow, root: Path, output: Path, fetch: FetchOptions
) -> SourceFile | Failure:
    """The file of a row's source, fetched if needed.

    Args:
        row: A row of that source.
        root: Folder that local sources are relative to.
        output: Folder of fetched files.
        fetch: Options of fetching.
    """
    if row.source.kind == "local":
        try:
            path = inside(root, row.source.location)
        except UnsafePathError as error:
            return Failure("unsafe", str(error))
        if not path.is_file():
            missing = (
                f"there is no file {row.source.location} below {root}; name its root with --root"
            )
            return Failure("missing", missing)
        return SourceFile(path, path.name, "", row.source)
    try:
        if "://" not in row.source.location:
            raise UnsafePathError(f"expected an http(s) address, got {row.source.location!r}")
        items = list(source_of(row.source.location, output, fetch=fetch).items())
    except InputError as error:
        return Failure("unsafe", str(error))
    if not items:
        return Failure("removed", "there is no video at the address")
    if len(items) > 1:
        return Failure("playlist", "expected one video at the address, got several")
    (item,) = items
    return item if isinstance(item, SourceFile) else Failure(item.reason, item.detail)


def _suffix(row: ManifestRow, source: Path) -> str:
    listed = PurePosixPath(row.path or "").suffix.lower()
    return listed if listed in SUFFIXES else source.suffix.lower()


def _encoding(row: ManifestRow) -> Encoding:
    encoding = {
        k: row.tools[k] for k in ("crf", "preset", "threads", "audio_kbps") if k in row.tools
    }
    return from_plain(Encoding, encoding, f"{row.clip_id}: tools")
