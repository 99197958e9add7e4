"""Filters at work: every filter judges every clip, so that the manifest holds all verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import Feature
from theval_datasets.manifest.rows import Judgement

from ..filters.base import Clip, Features, Filter, SetFilter, UndecidedError, Verdict, undecided
from ..recipes.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Judged:
    """What all filters said of a clip.

    Attributes:
        judgements: In the recipe's order; those of the set only for clips that came so far.
        reason: Of the first that let it fall; None for a kept clip.
    """

    judgements: tuple[Judgement, ...]
    reason: str | None


def needed(recipe: Recipe) -> tuple[Extractor, ...]:
    """The extractors whose values the recipe's filters read, each once."""
    found: dict[Extractor, None] = {}
    for _, judge in recipe.judges():
        found.update(dict.fromkeys(judge.needs()))
    return tuple(found)


def judge_clips(
    clips: Sequence[tuple[Clip, Mapping[str, Feature]]],
    recipe: Recipe,
    references: Sequence[Any] = (),
) -> list[Judged]:
    """Judge a set.

    Args:
        clips: Each with its features by extractor.
        recipe: Holds the filters.
        references: Clips of other sets, for the leakage filter.

    Returns:
        One a clip, in their order.
    """
    readers = [(clip, Features(found)) for clip, found in clips]
    said: list[list[Judgement]] = [[] for _ in clips]
    judges = recipe.judges()
    for name, judge in judges:
        if isinstance(judge, Filter):
            for i, (clip, features) in enumerate(readers):
                said[i].append(_judgement(name, _ask(judge, clip, features)))
    for name, judge in judges:
        if isinstance(judge, SetFilter):
            left = sorted(
                (i for i in range(len(clips)) if _falls(said[i], recipe) is None),
                key=lambda i: clips[i][0].clip_id,
            )
            verdicts = judge.judge([readers[i] for i in left], references)
            for i, verdict in zip(left, verdicts, strict=True):
                said[i].append(_judgement(name, verdict))
    return [Judged(tuple(one), _falls(one, recipe)) for one in said]


def _ask(judge: Filter, clip: Clip, features: Features) -> Verdict:
    try:
        return judge.judge(clip, features)
    except UndecidedError as absent:
        return undecided(absent.what)


def _judgement(name: str, verdict: Verdict) -> Judgement:
    return Judgement(name, verdict.verdict, verdict.reason, verdict.measured)


def _falls(said: Sequence[Judgement], recipe: Recipe) -> str | None:
    """The reason of the first judgement that lets a clip fall."""
    fatal = ("reject", "undecided") if recipe.on_undecided == "reject" else ("reject",)
    return next((one.reason for one in said if one.verdict in fatal), None)
