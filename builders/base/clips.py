"""Common columns of datasets of clips, from rows of manifests and cached features."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import numpy as np

from theval_datasets.errors import InputError
from theval_datasets.extraction.outcomes import Array
from theval_datasets.manifest.info import MEDIA_PROBLEM
from theval_datasets.manifest.rows import ManifestRow, Source

from .columns import ClipFeatures
from .fields import COMMON, Field

T = TypeVar("T")

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
_ANGLES: Final = ("yaw", "pitch", "roll")
_SPLIT: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


def by_split(rows: Iterable[ManifestRow]) -> dict[str, list[ManifestRow]]:
    """Rows with a clip, by split and in order of `clip_id`; rows of dead sources are left out."""
    splits: dict[str, list[ManifestRow]] = {}
    for row in sorted(rows, key=lambda row: row.clip_id):
        if row.sha256 is not None:
            splits.setdefault(checked_split(row.split or DEFAULT_SPLIT), []).append(row)
    return in_order(splits)


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


def frame_size_notes(rows: Iterable[ManifestRow]) -> tuple[str, ...]:
    """A warning where clips differ in frame size: `head_motion` grows with it."""
    sizes = {
        (r.media.width * r.media.height, r.media.width, r.media.height) for r in rows if r.media
    }
    if len(sizes) < 2:
        return ()
    (_, *least), (_, *most) = min(sizes), max(sizes)
    return (
        f"The clips have {len(sizes)} frame sizes, {least[0]}×{least[1]} to {most[0]}×{most[1]}: "
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
    """What is known of a source; null with a reason of the column's own name."""
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
