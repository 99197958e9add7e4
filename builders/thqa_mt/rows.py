"""THQA-MT's rows: clips, what is known of their making, and what the study says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from theval_datasets.evaluation.folds import content_groups, grouped_folds
from theval_datasets.manifest.rows import ManifestRow

from ..base.clips import DEFAULT_SPLIT, checked_split, content_of
from ..base.scored import ScoredRow
from ..tables import ratings as _ratings
from ..tables.generated import Generated, Listing, without_suffix
from .columns import FOLDS
from .study import Study, matched

if TYPE_CHECKING:
    from theval_datasets.curation.study.votes import Labels

_RATED: Final = ("mos", "mos_std", "mos_ci95", "n_ratings")
_VOTED: Final = ("distortions", "dimensions")
_REASONS: Final = {
    "generator": "clips:unknown-name",
    "generator_kind": "generator_kind:not-stated",
    "difficulty": "difficulty:not-stated",
    "fold": "folds:too-few-contents",
}
"""Column to the entry of `missing` where it is null."""


def rated_rows(clips: Mapping[str, ManifestRow], listing: Listing, study: Study) -> list[ScoredRow]:
    """One row a clip of the manifest, and one a rated clip that the table lists.

    Where there is neither manifest nor table, every rated clip is a row.

    Args:
        clips: The manifest's rows by `clip_id`.
        listing: What is known of how clips were made.
        study: Ratings and votes.
    """
    rated = {without_suffix(name) for name in study.clips}
    listed = rated & set(listing.clips)
    names = sorted({*clips, *listed} if clips or listing.clips else rated)
    known = {name: listing.of(name) for name in names}
    contents = {name: _content(name, known[name], clips.get(name)) for name in names}
    studied = _studied(study, names)
    folds = _folds(names, known, contents, studied)
    rows = []
    for name, one in known.items():
        clip, said = clips.get(name), studied.get(name, {})
        values = {
            **{column: said.get(column) for column in (*_RATED, *_VOTED)},
            "generator": None if one is None else one.generator,
            "generator_kind": None if one is None else one.kind,
            "portrait_id": None if one is None else one.portrait_id,
            "difficulty": (one and one.difficulty) or (clip and clip.difficulty),
            "fold": folds[name],
        }
        missing = [entry for column, entry in _REASONS.items() if values[column] is None]
        missing += _unstudied(study, said)
        split = checked_split((clip and clip.split) or DEFAULT_SPLIT)
        rows.append(ScoredRow(name, split, contents[name], values, missing=tuple(sorted(missing))))
    return rows


def rating_rows(study: Study, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of the config `ratings`, each with what its subject saw.

    Args:
        study: Ratings and votes.
        ids: The `clip_id` whose ratings are wanted.
    """
    if study.ratings is None:
        return
    votes = _votes_by_presentation(study, ids)
    reason = "not-given" if study.votes is None else "not-voted"
    for row in _ratings.rating_rows(study.ratings, matched(study.ratings.clips, ids)):
        seen = votes.get((row["clip_id"], row["subject"], row["repetition"]))
        missing = [] if seen is not None else [f"votes:{reason}"]
        yield {**row, "distortions": seen, "missing": missing}


def _content(name: str, one: Generated | None, clip: ManifestRow | None) -> str:
    if one is not None:
        return one.content_id or f"portrait-{one.portrait_id}"
    return name if clip is None else content_of(clip.source)


def _folds(
    names: Sequence[str],
    known: Mapping[str, Generated | None],
    contents: Mapping[str, str],
    studied: Mapping[str, Mapping[str, Any]],
) -> dict[str, int | None]:
    content: dict[str, Sequence[object]] = {
        "content": [contents[name] for name in names],
        "portrait": [None if one is None else one.portrait_id for one in known.values()],
    }
    if not names or int(content_groups(content, names).max()) + 1 < FOLDS:
        return dict.fromkeys(names)
    mos = [studied.get(name, {}).get("mos") for name in names]
    folds = grouped_folds(content, names, FOLDS, mos=mos).tolist()
    return dict(zip(names, folds, strict=True))


def _studied(study: Study, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the study says of each clip; nothing of a clip that was not shown."""
    found: dict[str, dict[str, Any]] = {}
    if (one := study.opinions) is not None:
        places = {name: index for index, name in enumerate(one.clips)}
        for name, clip in matched(one.clips, ids).items():
            index = places[name]
            numbers = [float(column[index]) for column in (one.mos, one.std, one.ci95)]
            values = [value if np.isfinite(value) else None for value in numbers]
            found[clip] = dict(zip(_RATED, (*values, int(one.n[index])), strict=True))
    if (labels := study.labels) is not None:
        places = {name: index for index, name in enumerate(labels.clips)}
        for name, clip in matched(labels.clips, ids).items():
            if labels.n_voters[places[name]]:
                found.setdefault(clip, {}).update(_labelled(labels, places[name]))
    return found


def _labelled(labels: Labels, index: int) -> dict[str, list[str] | None]:
    """Distortions of a clip, and the dimensions that suffer where the taxonomy says them."""
    from theval_datasets.curation.study.taxonomy import UNASSIGNED

    dimensions = labels.dimensions(index)
    known = None if UNASSIGNED in dimensions else list(dimensions)
    return dict(zip(_VOTED, (list(labels.names(index)), known), strict=True))


def _unstudied(study: Study, said: Mapping[str, Any]) -> list[str]:
    """Entries of `missing` for the study's columns that a clip lacks."""
    found = []
    if any(said.get(column) is None for column in _RATED):
        few = "too-few" if "mos" in said else "not-rated"
        found.append(f"ratings:{'not-given' if study.ratings is None else few}")
    if "distortions" not in said:
        reason = "not-given" if study.votes is None else "nobody-voted"
        found += [f"votes:{reason}", f"taxonomy:{reason}"]
    elif said["dimensions"] is None:
        found.append("taxonomy:no-dimensions")
    return found


def _votes_by_presentation(
    study: Study, ids: Sequence[str]
) -> dict[tuple[str, str, int], list[str]]:
    """Names of the distortions that a subject saw, by `clip_id`, subject and repetition."""
    table = study.votes
    if table is None or table.votes is None:
        return {}
    names = np.array([kind.name for kind in study.taxonomy.types], object)
    clips = matched(table.clips, ids)
    rows = zip(table.clip.tolist(), table.subject.tolist(), table.repetition.tolist(), strict=True)
    return {
        (clips[name], table.subjects[subject], repetition): names[table.votes[i]].tolist()
        for i, (clip, subject, repetition) in enumerate(rows)
        if (name := table.clips[clip]) in clips
    }
