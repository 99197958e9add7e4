"""The manifest and rejected rows of a curated run, without any media: values are made up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from theval_datasets.curation.recipes.recipe import RECIPE_NAME, load_recipe
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    REJECTED_NAME,
    Judgement,
    ManifestRow,
    Source,
    write_manifest,
)

RECIPE = """\
name: looked-at
about: A recipe for tests of the funnel.
filters:
  resolution: {min_side: 400}
  speech: {min_ratio: 0.5, max_pause: 3}
  face_size: {min_height: 0.2, min_pixels: 100}
  frontal: {max_yaw: 30, min_frontal: 0.8}
  near_duplicates: {}
"""


def judged(clip_id: str, judgements: Sequence[Judgement], recipe: str) -> ManifestRow:
    """A row whose reason is that of the first judgement that rejects."""
    reason = next((j.reason for j in judgements if j.verdict != "keep"), None)
    source = Source(kind="local", location=f"{clip_id}.mp4")
    return ManifestRow(
        clip_id, None, source, None, judgements=tuple(judgements), reason=reason, recipe=recipe
    )


def write_run(folder: Path, clips: Iterable[tuple[str, Sequence[Judgement]]]) -> Path:
    """Write the rows and the recipe of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECIPE_NAME).write_text(RECIPE)
    identity = load_recipe(str(folder / RECIPE_NAME)).identity
    rows = [judged(clip_id, judgements, identity) for clip_id, judgements in clips]
    write_manifest(folder / MANIFEST_NAME, [row for row in rows if row.reason is None])
    write_manifest(folder / REJECTED_NAME, [row for row in rows if row.reason is not None])
    return folder


def judgement(filter_: str, reason: str | None = None, **measured: float | None) -> Judgement:
    return Judgement(filter_, "keep" if reason is None else "reject", reason, measured)
