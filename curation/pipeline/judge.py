"""Application of filters: every filter judges every clip, so that the manifest has all verdicts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import Feature
from theval_datasets.manifest.rows import Judgement

from ..filters.base import Clip, Features, Filter, SetFilter, UndecidedError, Verdict, undecided
from ..recipes.recipe import Recipe

_log = logging.getLogger(__name__)

FAILED: Final = "error"
"""Reason of a verdict that a filter did not reach because of an exception."""


def needed(recipe: Recipe) -> tuple[Extractor, ...]:
    """Extractors whose values a recipe's filters read, without duplicates.

    Examples:
        >>> from theval_datasets.curation.recipes.recipe import load_recipe
        >>> needed(load_recipe("as-is"))
        ()
    """
    extractors: dict[Extractor, None] = {}
    for _, judge in recipe.judges():
        extractors.update(dict.fromkeys(judge.needs()))
    return tuple(extractors)


def judge_clips(
    clips: Sequence[tuple[Clip, Mapping[str, Feature]]],
    recipe: Recipe,
    references: Sequence[Any] = (),
) -> list[tuple[Judgement, ...]]:
    """Judge a set of clips.

    Args:
        clips: Clips, each with its features by extractor.
        recipe: Recipe with the filters.
        references: Indexes of other sets, for the leakage filter.

    Returns:
        The judgements of each clip, in the order of the clips and of the recipe; those of filters of
        whole sets only for clips that no other filter rejected.
    """
    readers = [(clip, Features(features)) for clip, features in clips]
    judgements: list[list[Judgement]] = [[] for _ in clips]
    judges = recipe.judges()
    for name, judge in judges:
        if isinstance(judge, Filter):
            for own, (clip, features) in zip(judgements, readers, strict=True):
                own.append(_judgement(name, _verdict(judge, clip, features)))
    for name, judge in judges:
        if isinstance(judge, SetFilter):
            left = sorted(
                (i for i in range(len(clips)) if rejection(judgements[i], recipe) is None),
                key=lambda i: clips[i][0].clip_id,
            )
            verdicts = _verdicts(judge, [readers[i] for i in left], references)
            for i, verdict in zip(left, verdicts, strict=True):
                judgements[i].append(_judgement(name, verdict))
    return [tuple(own) for own in judgements]


def rejection(judgements: Sequence[Judgement], recipe: Recipe) -> str | None:
    """The reason of the first judgement that rejects a clip; None if it is kept.

    Examples:
        >>> from theval_datasets.curation.recipes.recipe import load_recipe
        >>> rejection([], load_recipe("as-is")) is None
        True
    """
    fatal = ("reject", "undecided") if recipe.on_undecided == "reject" else ("reject",)
    return next((judgement.reason for judgement in judgements if judgement.verdict in fatal), None)


def failed_filters(judgements: Iterable[Sequence[Judgement]]) -> tuple[str, ...]:
    """Names of the filters that raised an exception, sorted.

    Examples:
        >>> failed_filters([[Judgement("speech", "undecided", "error")]])
        ('speech',)
    """
    return tuple(
        sorted(
            {
                judgement.filter
                for own in judgements
                for judgement in own
                if judgement.reason == FAILED
            }
        )
    )


def _verdict(judge: Filter, clip: Clip, features: Features) -> Verdict:
    try:
        return judge.judge(clip, features)
    except UndecidedError as absent:
        return undecided(absent.what)
    except Exception:  # noqa: BLE001  # a clip never ends a run
        _log.exception("%s: the filter %s failed", clip.clip_id, type(judge).__name__)
        return undecided(FAILED)


def _verdicts(
    judge: SetFilter, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any]
) -> list[Verdict]:
    """The verdicts of a filter of whole sets; if it fails, no clip can be judged by it."""
    try:
        verdicts = judge.judge(clips, references)
        if len(verdicts) != len(clips):
            raise ValueError(f"expected {len(clips)} verdicts, got {len(verdicts)}")
    except Exception:  # noqa: BLE001  # a filter never ends a run
        _log.exception("the filter %s failed", type(judge).__name__)
        return [undecided(FAILED)] * len(clips)
    return verdicts


def _judgement(name: str, verdict: Verdict) -> Judgement:
    return Judgement(name, verdict.verdict, verdict.reason, verdict.measured)
