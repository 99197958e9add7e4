"""Statistics of filters, computed from a manifest and its rejected rows without new measurements."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from theval_datasets import catalog
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import REJECTED_NAME, ManifestRow, read_manifest, read_rows

from ..recipes.recipe import RECIPE_NAME, Recipe, load_recipe
from .thresholds import Border, Distribution, borders, distributions, rejecting

_log = logging.getLogger(__name__)

STAGES: Final = ("source", "media", "segment", "cut", "finish")
"""Stages before the filters at which a source or a clip can be rejected, in order."""


@dataclass(frozen=True, slots=True)
class Step:
    """One filter, or one stage before the filters.

    Attributes:
        name: Name of the filter or stage.
        input: Number of clips (or spans of sources) that reach it.
        rejected: Number of these that it rejects.
        rejected_alone: Number that it rejects of all clips it judged, whatever other filters decide.
        undecided: Number of clips that it could not judge.
        reasons: Number of rejected clips by reason.
        examples: Ids of a few rejected clips.
    """

    name: str
    input: int
    rejected: int
    rejected_alone: int
    undecided: int
    reasons: dict[str, int]
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Funnel:
    """The funnel of a run: its steps and the distributions of measured values.

    Attributes:
        folder: Folder of the manifest.
        recipe: Name and hash of the recipe, as recorded in the rows.
        kept: Number of kept clips.
        seconds: Total length of the kept clips.
        steps: Steps in order.
        distributions: Distributions of the values that filters measured.
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
    """Compute the funnel of a curation run from its files.

    Args:
        folder: Folder of the manifest.
        recipe: Recipe whose thresholds are shown; by default that of the run, if it is available
            unchanged.

    Raises:
        InputError: There is no manifest, or nothing in it was judged.
    """
    manifest = read_manifest(folder)
    rejected = manifest.folder / REJECTED_NAME
    rows = [*manifest.rows, *(read_rows(rejected) if rejected.is_file() else ())]
    if not rows:
        raise InputError(f"the manifest in {folder} is empty: there is no funnel to show")
    name = next((row.recipe for row in rows if row.recipe), "") or ""
    rule = recipe or _recipe(name, manifest.folder)
    kept = [row for row in rows if row.reason is None]
    shown = distributions(rows, rule)
    return Funnel(
        manifest.folder,
        name,
        len(kept),
        sum(row.media.duration for row in kept if row.media),
        tuple(_steps(rows)),
        tuple(shown),
        tuple(borders(rows, shown, manifest.folder)),
    )


def _recipe(identity: str, folder: Path) -> Recipe | None:
    """The recipe of a run: the one beside its manifest, or the one of that name."""
    for name in (str(folder / RECIPE_NAME), identity.partition(":")[0]):
        try:
            recipe = load_recipe(name)
        except InputError as error:
            _log.info("%s", error)
            continue
        if recipe.identity == identity:
            return recipe
    return None


def _steps(rows: Sequence[ManifestRow]) -> list[Step]:
    order = [s for s in STAGES if any(j.filter == s for row in rows for j in row.judgements)]
    for row in sorted(rows, key=lambda row: -len(row.judgements)):
        order += [j.filter for j in row.judgements if j.filter not in order]
    rejected_by = {row.clip_id: judgement.filter for row in rows if (judgement := rejecting(row))}
    left = len(rows)
    steps = []
    for name in order:
        judgements = [j for row in rows for j in row.judgements if j.filter == name]
        rejected = [row for row in rows if rejected_by.get(row.clip_id) == name]
        steps.append(
            Step(
                name,
                left,
                len(rejected),
                sum(judgement.verdict == "reject" for judgement in judgements),
                sum(judgement.verdict == "undecided" for judgement in judgements),
                dict(Counter(row.reason or "" for row in rejected).most_common()),
                tuple(row.clip_id for row in rejected[:3]),
            )
        )
        left -= len(rejected)
    return steps


def filter_about(name: str) -> str:
    """Description of a filter or stage in one line.

    Examples:
        >>> filter_about("cut")
        'could not be cut'
    """
    stages = {
        "source": "could not be fetched",
        "media": "is not readable media",
        "segment": "no span with one shot, the required number of people and enough speech",
        "cut": "could not be cut",
        "finish": "its sound or reference frame could not be made",
    }
    if name in stages:
        return stages[name]
    if name not in catalog.names("filter"):
        return ""
    about = (catalog.load("filter", name).__doc__ or "").strip().partition("\n")[0]
    return about.replace("`", "")
