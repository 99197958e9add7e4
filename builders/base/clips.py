"""Common columns of datasets of clips, from rows of manifests and cached features."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.extraction.outcomes import Array
from theval_datasets.manifest.info import MEDIA_PROBLEM
from theval_datasets.manifest.rows import ManifestRow, Source
from theval_datasets.media.frames import SAMPLE_RATE

from ..tables.arrow import BATCH_BYTES
from .columns import ClipFeatures
from .fields import COMMON, Field
from .inputs import Inputs

T = TypeVar("T")
Numbers = npt.NDArray[np.int64]

DEFAULT_SPLIT: Final = "train"
CLIP_EXTRACTORS: Final = (
    "landmarks",
    "head_pose",
    "vad",
    "loudness",
    "theval_signals",
    "faces",
    "arcface",
    "iqa",
    "iqa_release",
    "head_motion_release",
    "theval_release",
)
"""The extractors that the common columns come from, and those that they are computed from."""
NOT_STATED: Final = "not-stated"
"""Reason in `missing`: the source does not say it."""
_ROW_BYTES: Final = 4096
"""Of a row of facts, metrics and an embedding."""
_FRAME_BYTES: Final = 2910
"""Of a frame in `landmarks`: 478 points of three numbers of 16 bits, and the other columns."""
_MOST_FRAMES: Final = 7_500
_POSTER_BYTES: Final = 200_000
_ANGLES: Final = ("yaw", "pitch", "roll")
_SPLIT: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Survey:
    """Facts that are collected in one pass over the rows of a manifest.

    Attributes:
        splits: Numbers of the rows with a clip, by split in the usual order; int64 (clips,).
        frames: Number of frames of each row's clip, 0 where unknown; int64 (rows,).
        seconds: Duration of each row's clip, 0 where unknown; float64 (rows,).
        n_bytes: Size of each row's clip, 0 where unknown; int64 (rows,).
        channels: Channels of the clips.
        has_media: Whether the file of any clip lies beside the manifest.
    """

    splits: Mapping[str, Numbers]
    frames: Numbers
    seconds: npt.NDArray[np.float64]
    n_bytes: Numbers
    channels: frozenset[str]
    has_media: bool

    @property
    def n_clips(self) -> int:
        """Number of rows with a clip."""
        return sum(map(len, self.splits.values()))


def survey(inputs: Inputs) -> Survey:
    """Survey the rows of a manifest, see `Survey`; some numbers a row are held.

    Raises:
        InputError: For a split that cannot have its name.
    """
    splits: dict[str, array[int]] = {}
    frames, seconds, n_bytes = array("q"), array("d"), array("q")
    channels: set[str] = set()
    absent: set[str] = set()
    has_media = False
    for number, row in enumerate(inputs.rows):
        facts = row.media
        frames.append(0 if facts is None else facts.n_frames or 0)
        seconds.append(0 if facts is None else facts.duration or 0)
        n_bytes.append(0 if facts is None else facts.n_bytes or 0)
        if row.sha256 is None:
            continue
        splits.setdefault(row.split or DEFAULT_SPLIT, array("q")).append(number)
        if row.source.channel is not None:
            channels.add(row.source.channel)
        has_media = has_media or _lies_there(inputs, row, absent)
    return Survey(
        in_order({checked_split(name): np.array(rows) for name, rows in splits.items()}),
        np.array(frames),
        np.array(seconds),
        np.array(n_bytes),
        frozenset(channels),
        has_media,
    )


def _lies_there(inputs: Inputs, row: ManifestRow, absent: set[str]) -> bool:
    """Whether a clip's file exists; folders that do not are noted and not looked for again."""
    if row.path is None or (folder := row.path.rpartition("/")[0]) in absent:
        return False
    path = inputs.manifest.file(row)
    if path is None or path.is_file():
        return path is not None
    if "\\" not in row.path and not path.parent.is_dir():
        absent.add(folder)
    return False


def clip_bytes(config_name: str, frames: Any, seconds: Any, n_bytes: Any) -> Numbers:
    """Estimated Arrow bytes of the rows of clips in a table, from facts that a manifest has.

    Args:
        config_name: `features`, `landmarks` or `media`.
        frames: Number of frames of each clip, (n,); 0 where unknown.
        seconds: Duration of each clip, (n,).
        n_bytes: Size of each clip's file, (n,).

    Returns:
        int64 (n,).

    Examples:
        >>> clip_bytes("landmarks", np.array([0, 325]), np.zeros(2), np.zeros(2)).tolist()
        [4096, 949846]
    """
    sizes = np.full(len(frames), _ROW_BYTES, np.int64)
    if config_name == "landmarks":
        sizes += _FRAME_BYTES * np.minimum(frames, _MOST_FRAMES)
    elif config_name == "media":
        whole = n_bytes + 2 * SAMPLE_RATE * seconds + _POSTER_BYTES
        sizes += np.minimum(whole, BATCH_BYTES).astype(np.int64)
    return sizes


def in_order(splits: Mapping[str, T]) -> dict[str, T]:
    """Splits in the usual order: training, validation, test, and others by name.

    Examples:
        >>> list(in_order({"test": 1, "train": 2, "validation": 3}))
        ['train', 'validation', 'test']
    """
    first = {"train": 0, "validation": 1, "test": 2}
    return dict(sorted(splits.items(), key=lambda item: (first.get(item[0], 3), item[0])))


def checked_split(name: str) -> str:
    """Check the name of a split, which serves as file name and key.

    Raises:
        InputError: For anything but letters, digits and underscores.

    Examples:
        >>> checked_split("test_2")
        'test_2'
    """
    if not _SPLIT.fullmatch(name):
        raise InputError(
            f"expected a split named with small letters, digits and underscores, got {name!r}"
        )
    return name


def frame_sizes(rows: Iterable[ManifestRow]) -> list[tuple[int, int]]:
    """The distinct widths and heights of clips, by number of pixels."""
    sizes = {(row.media.width, row.media.height) for row in rows if row.media}
    return sorted(sizes, key=lambda size: (size[0] * size[1], size))


def span_of(sizes: Sequence[tuple[int, int]]) -> str:
    """The smallest and the largest of some sizes.

    Examples:
        >>> span_of([(512, 384)]), span_of([(256, 256), (512, 384), (1080, 1920)])
        ('512×384', '256×256 to 1080×1920')
    """
    ends = dict.fromkeys((sizes[0], sizes[-1]))
    return " to ".join(f"{width}×{height}" for width, height in ends)


def frame_size_notes(rows: Iterable[ManifestRow]) -> tuple[str, ...]:
    """A warning where clips differ in frame size: `head_motion` grows with it."""
    sizes = frame_sizes(rows)
    if len(sizes) < 2:
        return ()
    return (
        f"The clips have {len(sizes)} frame sizes, {span_of(sizes)}: "
        "head_motion and head_motion_release measure the head's centre in pixels and grow with "
        "the frame. Compare clips of one size by them, or use head_motion_scale_invariant.",
    )


def content_of(source: Source) -> str:
    """Content of a source, shared by its clips: its id at the site, else its address or path.

    Examples:
        >>> content_of(Source("url", "https://example.org/a.mp4", site="example:a"))
        'example:a'
    """
    return source.site or source.location


def media_values(row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    """Measured facts of a clip; null with a reason for media that could not be measured."""
    facts = row.media
    if facts is None:
        clip.note("media", clip.outcome("landmarks").reason or "not-measured")
    elif facts.fps is None:
        clip.note("media", "single-frame")
    return {
        "duration": None if facts is None else facts.duration,
        "fps": None if facts is None else facts.fps,
        "width": None if facts is None else facts.width,
        "height": None if facts is None else facts.height,
        "n_frames": None if facts is None else facts.n_frames,
    }


def common_values(row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    """Values of the common columns except `missing`, which comes last.

    Args:
        row: Row with a hash.
        clip: Features of the clip.
    """
    source = row.source
    if row.media is not None and row.media.truncated is not None:
        clip.note(*MEDIA_PROBLEM.split(":"))
    values: dict[str, Any] = {
        "clip_id": row.clip_id,
        "sha256": row.sha256,
        **media_values(row, clip),
        "content_id": content_of(source),
        **_source_values(row, clip),
        "source_start": row.start,
        "n_subjects": _subjects(row, clip),
        "face_ratio": _face_ratio(clip),
    }
    for name in _ANGLES:
        values |= _angle(clip, name)
    return values | taken(COMMON, clip)


def taken(fields: Iterable[Field], clip: ClipFeatures) -> dict[str, Any]:
    """The columns that take an extractor's value unchanged."""
    return {
        field.name: clip.value(field.origin, field.key) for field in fields if field.key is not None
    }


def _source_values(row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    """Known facts of a source; others are null, with a reason under the column's own name."""
    source = row.source
    known = {
        "language": (source.language, NOT_STATED),
        "license": (source.license, NOT_STATED),
        "source_url": (source.location if source.kind == "url" else None, "local-file"),
        "source_end": (row.end, "whole-source"),
    }
    for name, (value, reason) in known.items():
        if value is None:
            clip.note(name, reason)
    return {name: value for name, (value, _) in known.items()}


def _subjects(row: ManifestRow, clip: ClipFeatures) -> int | None:
    if row.tracks:
        return len(row.tracks)
    n_subjects = clip.value("faces", "n_subjects")
    return None if n_subjects is None else int(n_subjects)


def _face_ratio(clip: ClipFeatures) -> float | None:
    face = clip.value("landmarks", "face")
    return None if face is None else float(np.mean(face))


def _angle(clip: ClipFeatures, name: str) -> Mapping[str, float | None]:
    degrees: Array | None = clip.value("head_pose", name)
    if degrees is None:
        return {f"{name}_mean": None, f"{name}_std": None}
    exact = degrees.astype(np.float64)
    if len(exact) < 2:
        clip.note("head_pose", "too-few-frames")
        return {f"{name}_mean": float(exact.mean()) if len(exact) else None, f"{name}_std": None}
    return {f"{name}_mean": float(exact.mean()), f"{name}_std": float(exact.std(ddof=1))}
