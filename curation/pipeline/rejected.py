"""Rows of what did not become a clip, with all that was judged of it."""

from __future__ import annotations

from msgspec.structs import replace

from theval_datasets.manifest.rows import Judgement, ManifestRow, Source

from ..clips.adopt import tools
from ..recipes.recipe import Recipe
from .candidates import Candidate, Lost, Material
from .judge import Judged


def _source(material: Material, location: str) -> Source:
    return replace(material.found.origin, location=location, sha256=material.sha256)


def lost_row(one: Lost, recipe: Recipe) -> ManifestRow:
    """The row of something that was not even judged."""
    start, end = one.span or (0.0, None)
    detail = {"detail": one.detail} if one.detail else {}
    return ManifestRow(
        clip_id=one.clip_id,
        path=None,
        source=_source(one.material, one.material.found.origin.location or one.material.found.name),
        sha256=None,
        start=start,
        end=end,
        judgements=(Judgement(one.stage, "reject", one.reason, detail),),
        reason=one.reason,
        tools=tools(),
        recipe=recipe.identity,
    )


def rejected_row(one: Candidate, judged: Judged, recipe: Recipe) -> ManifestRow:
    """The row of a candidate that a filter let fall."""
    found = one.material.found
    return ManifestRow(
        clip_id=one.clip_id,
        path=None,
        source=_source(one.material, found.origin.location or found.name),
        sha256=one.sha256,
        start=one.span.start if one.span else 0.0,
        end=one.span.end if one.span else None,
        media=one.media,
        judgements=judged.judgements,
        reason=judged.reason,
        tools=tools(),
        recipe=recipe.identity,
    )
