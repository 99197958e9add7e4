"""Rows of what did not become a clip, with all that was judged of it."""

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
    """The row of an item that a source could not provide."""
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
    """The row of a segment that was not even judged.

    Args:
        segment: Name and source.
        stage: `media`, `segment`, `cut` or `finish`.
        failure: Why.
        recipe: The run's.
        seen: Size and time of the file, where that alone decides whether it is worth another try.
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
    """The row of a candidate that a filter rejected."""
    segment = candidate.segment
    return ManifestRow(
        clip_id=candidate.clip_id,
        path=None,
        source=_source(segment),
        sha256=candidate.sha256,
        start=segment.start,
        end=segment.end,
        media=candidate.media,
        judgements=tuple(judgements),
        reason=reason,
        tools=tools(),
        recipe=recipe.identity,
    )


def _source(segment: Segment) -> Source:
    origin = segment.source.origin
    return replace_record(origin, location=origin.location or segment.source.name)
