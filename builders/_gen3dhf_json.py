"""The two JSON files of Gen3DHF's dataset repository: `MOS.json` and `distortion_label.json`.

Their layout is not documented. Understood are a mapping from video to its entry, and a list of
entries with the video's name under `video`, `name`, `image` or `id`; anything else is refused with
what was found.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from theval_datasets.errors import InputError

MOS_NAME: Final = "MOS.json"
LABELS_NAME: Final = "distortion_label.json"
_LARGEST: Final = 64 << 20
_NAMES: Final = ("video", "name", "image", "id")
_SUFFIXES: Final = (".mp4", ".png", ".jpg")
_SHOWN: Final = 5


def read_mos(path: Path) -> dict[str, dict[str, float]]:
    """Video to dimension to score; a key that holds `quality` or `authenticity` names the dimension.

    Raises:
        InputError: With the entries that are not understood.
    """
    found: dict[str, dict[str, float]] = {}
    faults = []
    for name, entry in _entries(path):
        scores = {
            dimension: value
            for key, value in (entry.items() if isinstance(entry, Mapping) else ())
            for dimension in ("quality", "authenticity")
            if dimension in key.lower() and isinstance(value, (int, float))
        }
        if not scores or name in found or not all(map(math.isfinite, scores.values())):
            faults.append(f"{name!r}: {'there twice' if name in found else 'no scores'}")
        found[name] = {dimension: float(value) for dimension, value in scores.items()}
    _refuse(path, faults)
    return found


def read_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """Video to its distortion categories, in their order.

    Raises:
        InputError: With the entries that are not understood.
    """
    from theval_datasets.curation.study.descriptions import CATEGORIES

    found: dict[str, tuple[str, ...]] = {}
    faults = []
    for name, entry in _entries(path):
        values = entry
        if isinstance(entry, Mapping):
            values = next((v for k, v in entry.items() if k not in _NAMES), [])
        told = [values] if isinstance(values, str) else values
        if not isinstance(told, list) or not told or not set(map(str, told)) <= set(CATEGORIES):
            faults.append(f"{name!r}: {told!r} are not of the nine categories")
            continue
        found[name] = tuple(one for one in CATEGORIES if one in told)
    _refuse(path, faults)
    return found


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path.name} has more than {_LARGEST} bytes")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not JSON: {error}") from None
    if isinstance(plain, Mapping):
        pairs = list(plain.items())
    elif isinstance(plain, list) and all(isinstance(one, Mapping) for one in plain):
        pairs = [(next((one[key] for key in _NAMES if key in one), None), one) for one in plain]
    else:
        raise InputError(f"{path.name}: expected a mapping from video to entry, or a list of them")
    for name, entry in pairs:
        if not isinstance(name, str) or not name:
            raise InputError(f"{path.name}: an entry has no name of a video")
        last = PurePosixPath(name.replace("\\", "/"))
        yield (last.stem if last.suffix.lower() in _SUFFIXES else last.name), entry


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise InputError(f"{path.name}: " + "; ".join(faults[:_SHOWN]) + more)
