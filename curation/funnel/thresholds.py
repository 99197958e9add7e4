"""Measured values of a whole run against thresholds: distributions and borderline clips."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import UnsafePathError
from theval_datasets.manifest.rows import Judgement, ManifestRow
from theval_datasets.utils.files import inside

from ..clips.cut import SUFFIX
from ..pipeline.candidate_store import FOLDER
from ..recipes.recipe import Recipe

_BORDERLINE: Final = 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """One measured value over all clips.

    Attributes:
        filter: Whose it is.
        name: Of the value.
        kept: Values of clips that the filter kept.
        rejected: Of the others.
        limits: Thresholds, where they are known: name and value.
    """

    filter: str
    name: str
    kept: tuple[float, ...]
    rejected: tuple[float, ...]
    limits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Border:
    """A clip near a threshold.

    Attributes:
        clip_id: Its name.
        filter: Whose threshold.
        name: Of the value.
        value: What was measured.
        limit: The threshold.
        kept: Whether the filter kept it.
        file: The clip; None if it is no longer there.
        frame: Its reference frame, for kept clips.
    """

    clip_id: str
    filter: str
    name: str
    value: float
    limit: float
    kept: bool
    file: Path | None
    frame: Path | None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def distributions(rows: Sequence[ManifestRow], recipe: Recipe | None) -> list[Distribution]:
    """Every value that filters measured and that differs between clips, or has a threshold."""
    values: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for row in rows:
        for judgement in row.judgements:
            for name, value in judgement.measured.items():
                number = _number(value)
                if number is not None:
                    pair = values.setdefault((judgement.filter, name), ([], []))
                    pair[0 if judgement.verdict == "keep" else 1].append(number)
    limits = _limits(recipe)
    measured = []
    for (filter_, name), (kept, rejected) in values.items():
        of = limits.get((filter_, name), ())
        if of or len({*kept, *rejected}) > 1:
            measured.append(Distribution(filter_, name, tuple(kept), tuple(rejected), of))
    return measured


def _limits(recipe: Recipe | None) -> dict[tuple[str, str], tuple[tuple[str, float], ...]]:
    """Thresholds of each measured value."""
    if recipe is None:
        return {}
    limits = {}
    for filter_, judge in recipe.judges():
        for name, fields in judge.shown.items():
            pairs = ((field_, getattr(judge, field_)) for field_ in fields.split(","))
            limits[filter_, name] = tuple((f, float(v)) for f, v in pairs if v is not None)
    return limits


def borders(
    rows: Sequence[ManifestRow], shown: Sequence[Distribution], folder: Path
) -> list[Border]:
    """The clips nearest to each threshold, on both sides, against the spread of the value."""
    near_limits: list[Border] = []
    for distribution in shown:
        spread = max({*distribution.kept, *distribution.rejected}, default=0.0) - min(
            {*distribution.kept, *distribution.rejected}, default=0.0
        )
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
                        _file(row, folder),
                        folder / row.reference_frame if row.reference_frame else None,
                    )
                )
    return near_limits


def _file(row: ManifestRow, folder: Path) -> Path | None:
    """The file of a clip, or else of the candidate that it was; None if neither is there."""
    for place, name in ((folder, row.path), (folder / FOLDER, f"{row.clip_id}{SUFFIX}")):
        if name is None:
            continue
        with contextlib.suppress(UnsafePathError):
            file = inside(place, name)
            if file.is_file():
                return file
    return None
