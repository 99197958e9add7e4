"""The two JSON files of Gen3DHF's dataset repository: `MOS.json` and `distortion_label.json`.

Their layout is not documented. Supported are a mapping from video to entry, a list of entries with the
video's name under a key such as `video`, `name` or `image`, and for scores a mapping from dimension to
video to score; any other layout is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.json_files import read_json
from theval_datasets.utils.text import some_of

MOS_NAME: Final = "MOS.json"
LABELS_NAME: Final = "distortion_label.json"
_NAMES: Final = ("video", "video_name", "name", "file", "filename", "image", "id")
_DIMENSIONS: Final = ("quality", "authenticity")
_EXPECTED: Final = "under quality and authenticity, or under keys that hold one of these and mos"
_SUFFIXES: Final = (".mp4", ".png", ".jpg")


def read_mos(path: Path) -> dict[str, dict[str, float]]:
    """Scores by video and dimension; keys that contain `quality` or `authenticity` name the dimension.

    Raises:
        InputError: The message lists the entries that cannot be read.

    Examples:
        >>> _ = Path("MOS.json").write_text('{"7.mp4": {"quality": 61, "authenticity": 55}}')
        >>> read_mos(Path("MOS.json"))
        {'7': {'quality': 61.0, 'authenticity': 55.0}}
    """
    scores_of: dict[str, dict[str, float]] = {}
    faults = []
    for name, entry in _by_video(list(_entries(path))):
        scores = _scores(entry)
        if not scores or name in scores_of:
            reason = (
                "there twice"
                if name in scores_of
                else f"expected numbers {_EXPECTED}, got {entry!r}"
            )
            faults.append(f"{name!r}: {reason[:300]}")
        scores_of[name] = scores
    _refuse(path, faults)
    return scores_of


def read_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """Distortion categories by video, in their order.

    Raises:
        InputError: The message lists the entries that cannot be read.

    Examples:
        >>> _ = Path("labels.json").write_text('{"7.mp4": ["No Distortion"]}')
        >>> read_labels(Path("labels.json"))
        {'7': ('No Distortion',)}
    """
    from theval_datasets.curation.study.descriptions import CATEGORIES

    labels: dict[str, tuple[str, ...]] = {}
    faults = []
    for name, entry in _entries(path):
        values = entry
        if isinstance(entry, Mapping):
            values = next((v for k, v in entry.items() if k not in _NAMES), [])
        categories = [values] if isinstance(values, str) else values
        if (
            not isinstance(categories, list)
            or not categories
            or not set(map(str, categories)) <= set(CATEGORIES)
        ):
            faults.append(f"{name!r}: {repr(categories)[:200]} are not of the nine categories")
            continue
        labels[name] = tuple(category for category in CATEGORIES if category in categories)
    _refuse(path, faults)
    return labels


def _scores(entry: Any) -> dict[str, float]:
    """Scores by dimension; {} if there are none or they are ambiguous."""
    scores = {}
    for dimension in _DIMENSIONS if isinstance(entry, Mapping) else ():
        keys = [key for key in entry if dimension in key.lower()]
        if len(keys) > 1:  # such as quality_mos and quality_std
            keys = [key for key in keys if "mos" in key.lower() or key.lower() == dimension]
        value = entry[keys[0]] if len(keys) == 1 else None
        if keys and (not isinstance(value, (int, float)) or isinstance(value, bool)):
            return {}
        if keys:
            scores[dimension] = float(value or 0.0)
    return scores if all(map(math.isfinite, scores.values())) else {}


def _by_video(entries: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Entries of videos, also where they were sorted by dimension first."""
    first = [next((d for d in _DIMENSIONS if d in name.lower()), None) for name, _ in entries]
    if None in first or not all(isinstance(entry, Mapping) for _, entry in entries):
        return entries
    turned: dict[str, dict[str, Any]] = {}
    for dimension, (_, entry) in zip(first, entries, strict=True):
        for name, value in entry.items():
            turned.setdefault(_stem(name), {})[str(dimension)] = value
    return list(turned.items())


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    plain = read_json(path)
    if isinstance(plain, Mapping):
        pairs = list(plain.items())
    elif isinstance(plain, list) and all(isinstance(entry, Mapping) for entry in plain):
        pairs = [
            (next((entry[key] for key in _NAMES if key in entry), None), entry) for entry in plain
        ]
    else:
        raise InputError(
            f"{path.name}: expected a mapping from video to entry, or a list of them, got "
            f"{repr(plain)[:80]}"
        )
    for name, entry in pairs:
        if not isinstance(name, str) or not name:
            raise InputError(
                f"{path.name}: an entry has no name of a video; expected one under "
                f"{', '.join(_NAMES)}"
            )
        yield _stem(name), entry


def _stem(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/"))
    return last.stem if last.suffix.lower() in _SUFFIXES else last.name


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        raise InputError(f"{path.name}: {some_of(faults)}")
