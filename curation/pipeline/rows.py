"""Rows of rejected sources, segments and candidates, with their judgements."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace as replace_record

from theval_datasets.manifest.rows import FileStamp, Judgement, ManifestRow, Source

from ..clips.files import tools
from ..recipes.recipe import Recipe
from ..sources.base import SourceFailure
from ..tasks import Failure
from .segments import Candidate, Segment


def failed_source(clip_id: str, failure: SourceFailure, recipe: Recipe) -> ManifestRow:
    """Row of an item that a source could not provide."""
    verdict = Judgement("source", "reject", failure.reason, {"detail": failure.detail})
    return ManifestRow(
        clip_id=clip_id,
        path=None,
        source=failure.origin,
        sha256=None,
        judgements=(verdict,),
        reason=failure.reason,
        recipe=recipe.identity,
    )


def rejected_segment(
    segment: Segment, stage: str, failure: Failure, recipe: Recipe, seen: FileStamp | None = None
) -> ManifestRow:
    """Row of a segment that was rejected before it was judged.

    Args:
        segment: The segment.
        stage: Stage: `media`, `segment`, `cut` or `finish`.
        failure: Reason.
        recipe: Recipe of the run.
        seen: Size and time of the file, where they decide whether another attempt is worthwhile.
    """
    measured = {"detail": failure.detail} if failure.detail else {}
    return ManifestRow(
        clip_id=segment.clip_id,
        path=None,
        source=_source(segment),
        sha256=None,
        start=segment.start,
        end=segment.end,
        judgements=(Judgement(stage, "reject", failure.reason, measured),),
        reason=failure.reason,
        tools=tools(),
        recipe=recipe.identity,
        stamp=seen,
    )


def rejected_candidate(
    candidate: Candidate, judgements: Sequence[Judgement], reason: str, recipe: Recipe
) -> ManifestRow:
    """Row of a candidate that a filter rejected."""
    segment = candidate.segment
    return ManifestRow(
        clip_id=candidate.clip_id,
        path=None,
        source=_source(segment),
        sha256=candidate.sha256,
        start=segment.start,
        end=segment.end,
        media=candidate.media,
        source_picture=None if segment.whole else candidate.source_picture,
        judgements=tuple(judgements),
        reason=reason,
        tools=tools(),
        recipe=recipe.identity,
    )


def _source(segment: Segment) -> Source:
    origin = segment.source.origin
    return replace_record(origin, location=origin.location or segment.source.name)
