"""Measured values of a run compared with thresholds: distributions and borderline clips."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets import catalog
from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import Judgement, ManifestRow
from theval_datasets.utils.files import inside

from ..clips.cut import SUFFIX
from ..pipeline.candidate_store import FOLDER
from ..recipes.recipe import Recipe

Limits = defaultdict[tuple[str, str], tuple[tuple[str, float], ...]]
"""Filter and measured value to names and values of thresholds."""

_BORDERLINE: Final = 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """Distribution of a measured value over all clips.

    Attributes:
        filter: Name of the filter.
        name: Name of the value.
        kept: Values of kept clips.
        rejected: Values of clips on which this value's threshold decided: the filter is the first that
            rejects them, and for a reason that depends on this value.
        others: Values of clips that are rejected for other reasons.
        limits: Name and value of each known threshold.
    """

    filter: str
    name: str
    kept: tuple[float, ...]
    rejected: tuple[float, ...]
    others: tuple[float, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Border:
    """A clip near a threshold.

    Attributes:
        clip_id: Id of the clip.
        filter: Name of the filter.
        name: Name of the value.
        value: Measured value.
        limit: Threshold.
        kept: Whether the filter kept it.
        decided: Whether the filter did not keep the clip because of this value.
        reason: Reason of the filter, if it did not keep the clip.
        file: Path of the clip; None if it no longer exists.
        frame: Path of its reference frame, for kept clips.
    """

    clip_id: str
    filter: str
    name: str
    value: float
    limit: float
    kept: bool
    decided: bool
    reason: str | None
    file: Path | None
    frame: Path | None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def distributions(rows: Sequence[ManifestRow], recipe: Recipe | None) -> list[Distribution]:
    """Distributions of the measured values that vary between clips or have a threshold."""
    limits = _limits(recipe)
    values: dict[tuple[str, str], tuple[list[float], list[float], list[float]]] = {}
    for row in rows:
        first = rejecting(row)
        for judgement in row.judgements:
            decided = _deciding(judgement, limits) if judgement is first else ()
            for name, value in judgement.measured.items():
                number = _number(value)
                if number is not None:
                    group = values.setdefault((judgement.filter, name), ([], [], []))
                    place = 0 if row.reason is None else 1 if name in decided else 2
                    group[place].append(number)
    measured = []
    for (filter_, name), groups in values.items():
        of = limits.get((filter_, name), ())
        if of or len({number for group in groups for number in group}) > 1:
            kept, rejected, others = map(tuple, groups)
            measured.append(Distribution(filter_, name, kept, rejected, others, of))
    return measured


def rejecting(row: ManifestRow) -> Judgement | None:
    """The judgement that rejects a row: the first whose reason is the row's.

    Examples:
        >>> from theval_datasets.manifest.rows import Source
        >>> judgement = Judgement("speech", "reject", "no-speech")
        >>> source = Source("local", "a.mp4")
        >>> row = ManifestRow("a", None, source, None, judgements=(judgement,), reason="no-speech")
        >>> rejecting(row).filter
        'speech'
    """
    if row.reason is None:
        return None
    own = (j for j in row.judgements if j.verdict != "keep" and j.reason == row.reason)
    return next(own, None)


def _deciding(judgement: Judgement, limits: Limits) -> Sequence[str]:
    """Names of the measured values whose thresholds decide a verdict.

    Where a reason has several, those beyond their thresholds; all of them if none is, as with
    distances, which reject when they are small.
    """
    if judgement.filter not in catalog.names("filter"):
        return ()
    decides: Mapping[str, str] = catalog.load("filter", judgement.filter).decides
    names = [name for name in decides.get(judgement.reason or "", "").split(",") if name]
    beyond = [n for n in names if _beyond(judgement.measured.get(n), limits[judgement.filter, n])]
    return beyond if len(names) > 1 and beyond else names


def _beyond(value: Any, limits: Sequence[tuple[str, float]]) -> bool:
    """Whether a value lies below a lowest or above a highest threshold, which their names tell."""
    number = _number(value)
    return number is not None and any(
        number < limit if field.startswith("min_") else number > limit for field, limit in limits
    )


def _limits(recipe: Recipe | None) -> Limits:
    """Thresholds of each measured value; none where the recipe is unknown."""
    limits: Limits = defaultdict(tuple)
    if recipe is None:
        return limits
    for filter_, judge in recipe.judges():
        for name, fields in judge.shown.items():
            pairs = ((field_, getattr(judge, field_)) for field_ in fields.split(","))
            limits[filter_, name] = tuple((f, float(v)) for f, v in pairs if v is not None)
    return limits


def borders(
    rows: Sequence[ManifestRow], shown: Sequence[Distribution], folder: Path
) -> list[Border]:
    """The clips nearest to each threshold, on both sides, relative to the spread of the value."""
    near_limits: list[Border] = []
    limits: Limits = defaultdict(tuple, {(item.filter, item.name): item.limits for item in shown})
    for distribution in shown:
        values = (*distribution.kept, *distribution.rejected, *distribution.others)
        spread = max(values, default=0.0) - min(values, default=0.0)
        for _, limit in distribution.limits:
            near: list[tuple[float, ManifestRow, Judgement, float]] = []
            for row in rows:
                own = next((j for j in row.judgements if j.filter == distribution.filter), None)
                value = _number(own.measured.get(distribution.name)) if own else None
                if own is None or value is None or spread <= 0:
                    continue
                if abs(value - limit) <= 0.15 * spread:
                    near.append((abs(value - limit), row, own, value))
            near.sort(key=lambda item: (item[0], item[1].clip_id))
            for _, row, own, value in near[:_BORDERLINE]:
                near_limits.append(
                    Border(
                        row.clip_id,
                        distribution.filter,
                        distribution.name,
                        value,
                        limit,
                        own.verdict == "keep",
                        own.verdict != "keep" and distribution.name in _deciding(own, limits),
                        own.reason,
                        _file(row, folder),
                        folder / row.reference_frame if row.reference_frame else None,
                    )
                )
    return near_limits


def _file(row: ManifestRow, folder: Path) -> Path | None:
    """The file of a clip, or else of its candidate; None if neither exists."""
    for place, name in ((folder, row.path), (folder / FOLDER, f"{row.clip_id}{SUFFIX}")):
        if name is None:
            continue
        with contextlib.suppress(UnsafePathError):
            file = inside(place, name)
            if file.is_file():
                return file
    return None
