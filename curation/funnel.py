"""What filters did, out of a manifest and its rejected rows: nothing is measured here."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from theval_datasets import catalog
from theval_datasets.curation.candidates import FOLDER
from theval_datasets.curation.recipe import RECIPE_NAME, Recipe, load_recipe
from theval_datasets.errors import InputError
from theval_datasets.manifest import (
    REJECTED_NAME,
    Judgement,
    ManifestRow,
    read_manifest,
    read_rows,
)

_log = logging.getLogger(__name__)

STAGES: Final = ("source", "media", "segment", "cut")
"""Where things are lost before filters see them, in order."""
_BORDERLINE: Final = 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """One measured value over all clips.

    Attributes:
        filter: Whose it is.
        name: Of the value.
        kept: Values of clips that the filter kept.
        fallen: Of the others.
        limits: Thresholds, where they are known: name and value.
    """

    filter: str
    name: str
    kept: tuple[float, ...]
    fallen: tuple[float, ...]
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


@dataclass(frozen=True, slots=True)
class Step:
    """One filter, or one stage before the filters.

    Attributes:
        name: Of the filter or stage.
        came: Clips (or stretches of sources) that came to it.
        fell: How many of them fell here.
        alone: How many it refuses of all that it judged, whatever others say.
        undecided: How many it could not judge.
        reasons: Of those that fell here.
        examples: A few of them.
    """

    name: str
    came: int
    fell: int
    alone: int
    undecided: int
    reasons: dict[str, int]
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Funnel:
    """The whole.

    Attributes:
        folder: Of the manifest.
        recipe: Name and hash, as the rows have it.
        kept: Clips.
        seconds: Their length.
        steps: In order.
        distributions: Of all values that filters measured.
        borders: Clips near thresholds.
    """

    folder: Path
    recipe: str
    kept: int
    seconds: float
    steps: tuple[Step, ...]
    distributions: tuple[Distribution, ...] = ()
    borders: tuple[Border, ...] = field(default=())


def funnel_of(folder: Path, recipe: Recipe | None = None) -> Funnel:
    """Read what a curated run wrote.

    Args:
        folder: Of the manifest.
        recipe: For its thresholds; by default the one of the rows' name, where it is known and the
            same.

    Raises:
        InputError: There is no manifest, or nothing in it was judged.
    """
    manifest = read_manifest(folder)
    rejected = manifest.folder / REJECTED_NAME
    rows = [*manifest.rows, *(read_rows(rejected) if rejected.is_file() else ())]
    if not rows:
        raise InputError(f"{folder} lists nothing: there is no funnel to show")
    name = next((row.recipe for row in rows if row.recipe), "") or ""
    rule = recipe or _recipe(name, manifest.folder)
    kept = [row for row in rows if row.reason is None]
    shown = _distributions(rows, rule)
    return Funnel(
        manifest.folder,
        name,
        len(kept),
        sum(row.media.duration for row in kept if row.media),
        tuple(_steps(rows)),
        tuple(shown),
        tuple(_borders(rows, shown, manifest.folder)),
    )


def _recipe(identity: str, folder: Path) -> Recipe | None:
    """The recipe that a run judged by: the one beside its manifest, or the one of that name."""
    for name in (str(folder / RECIPE_NAME), identity.partition(":")[0]):
        try:
            found = load_recipe(name)
        except InputError as error:
            _log.info("%s", error)
            continue
        if found.identity == identity:
            return found
    return None


def _steps(rows: Sequence[ManifestRow]) -> list[Step]:
    order = [s for s in STAGES if any(j.filter == s for row in rows for j in row.judgements)]
    for row in sorted(rows, key=lambda row: -len(row.judgements)):
        order += [j.filter for j in row.judgements if j.filter not in order]
    fell_at = {row.clip_id: _fatal(row) for row in rows}
    came = len(rows)
    steps = []
    for name in order:
        said = [j for row in rows for j in row.judgements if j.filter == name]
        fallen = [row for row in rows if fell_at[row.clip_id] == name]
        steps.append(
            Step(
                name,
                came,
                len(fallen),
                sum(j.verdict == "reject" for j in said),
                sum(j.verdict == "undecided" for j in said),
                dict(Counter(row.reason or "" for row in fallen).most_common()),
                tuple(row.clip_id for row in fallen[:3]),
            )
        )
        came -= len(fallen)
    return steps


def _fatal(row: ManifestRow) -> str | None:
    """The filter that a row fell at: the first whose reason is the row's."""
    if row.reason is None:
        return None
    found = (j.filter for j in row.judgements if j.verdict != "keep" and j.reason == row.reason)
    return next(found, None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def _distributions(rows: Sequence[ManifestRow], recipe: Recipe | None) -> list[Distribution]:
    values: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for row in rows:
        for said in row.judgements:
            for name, value in said.measured.items():
                number = _number(value)
                if number is not None:
                    pair = values.setdefault((said.filter, name), ([], []))
                    pair[0 if said.verdict == "keep" else 1].append(number)
    limits = _limits(recipe)
    found = []
    for (filter_, name), (kept, fallen) in values.items():
        of = limits.get((filter_, name), ())
        if of or len({*kept, *fallen}) > 1:
            found.append(Distribution(filter_, name, tuple(kept), tuple(fallen), of))
    return found


def _limits(recipe: Recipe | None) -> dict[tuple[str, str], tuple[tuple[str, float], ...]]:
    """Thresholds of each measured value."""
    if recipe is None:
        return {}
    found = {}
    for filter_, judge in recipe.judges():
        for name, fields in judge.shown.items():
            pairs = ((field_, getattr(judge, field_)) for field_ in fields.split(","))
            found[filter_, name] = tuple((f, float(v)) for f, v in pairs if v is not None)
    return found


def _borders(
    rows: Sequence[ManifestRow], shown: Sequence[Distribution], folder: Path
) -> list[Border]:
    """The clips nearest to each threshold, on both sides, against the spread of the value."""
    found: list[Border] = []
    for one in shown:
        spread = max({*one.kept, *one.fallen}, default=0.0) - min(
            {*one.kept, *one.fallen}, default=0.0
        )
        for _, limit in one.limits:
            near: list[tuple[float, ManifestRow, Judgement, float]] = []
            for row in rows:
                said = next((j for j in row.judgements if j.filter == one.filter), None)
                value = _number(said.measured.get(one.name)) if said else None
                if said is None or value is None or spread <= 0:
                    continue
                if abs(value - limit) <= 0.15 * spread:
                    near.append((abs(value - limit), row, said, value))
            near.sort(key=lambda item: (item[0], item[1].clip_id))
            for _, row, said, value in near[:_BORDERLINE]:
                found.append(
                    Border(
                        row.clip_id,
                        one.filter,
                        one.name,
                        value,
                        limit,
                        said.verdict == "keep",
                        _file(row, folder),
                        folder / row.reference_frame if row.reference_frame else None,
                    )
                )
    return found


def _file(row: ManifestRow, folder: Path) -> Path | None:
    places = [folder / FOLDER / f"{row.clip_id}.mp4"]
    if row.path is not None:
        places.insert(0, folder / row.path)
    base = folder.resolve()
    return next((p for p in places if p.is_file() and p.resolve().is_relative_to(base)), None)


def filter_about(name: str) -> str:
    """What a filter or stage does, in a line."""
    stages = {
        "source": "could not be fetched",
        "media": "is no media that can be read",
        "segment": "no stretch with one shot, the wanted people and enough speech",
        "cut": "could not be cut",
    }
    if name in stages:
        return stages[name]
    if name not in catalog.names("filter"):
        return ""
    return (catalog.load("filter", name).__doc__ or "").strip().partition("\n")[0]
