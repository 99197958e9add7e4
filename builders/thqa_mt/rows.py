"""THQA-MT's rows: clips, how they were made, and the results of the study."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from theval_datasets.evaluation.folds import content_groups, grouped_folds
from theval_datasets.manifest.joins import (
    NOT_GIVEN,
    NOT_MATCHED,
    Join,
    join_clips,
    plain_name,
    taken_down,
)
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.text import some_names

from ..base.clips import DEFAULT_SPLIT, checked_split, content_of
from ..base.scored import ScoredRow
from ..tables.generated import GeneratedClip, GeneratedClips
from ..tables.portrait_people import PortraitPeople
from ..tables.ratings import rating_rows
from ..tables.study import StudyTables
from .columns import FOLDS

if TYPE_CHECKING:
    from theval_datasets.curation.study.ratings import Ratings
    from theval_datasets.curation.study.votes import DistortionLabels

_RATED: Final = ("mos", "mos_std", "mos_ci95", "n_ratings")
_VOTED: Final = ("distortions", "dimensions")
_REASONS: Final = {
    "generator_kind": "generator_kind:not-stated",
    "fold": "folds:too-few-contents",
}
"""Column to the entry of `missing` where it is null."""


@dataclass(frozen=True)
class JoinedTables:
    """The tables of a build, matched to its clips.

    Attributes:
        clip_ids: Ids of all rows; sorted.
        listing: Generated clips by `clip_id`.
        study: Tables of the study.
        clips: Match of the table of clips to the manifest; None if either is absent.
        ratings: Match of the ratings; None without ratings.
        votes: Match of the votes; None without votes.
        unrated: Clips of the table of clips that have no row because there is no manifest; sorted.
    """

    clip_ids: tuple[str, ...]
    listing: GeneratedClips
    study: StudyTables
    clips: Join | None
    ratings: Join | None
    votes: Join | None
    unrated: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """A sentence on each join."""
        joins = {join.label: join for join in (self.clips, self.ratings, self.votes) if join}
        notes = [join.to_text() for join in joins.values()]
        if self.unrated:
            notes.append(
                f"clips: {len(self.unrated)} of {len(self.listing.clips)} listed clips were not rated "
                "and have no row, because there is no manifest: "
                f"{some_names(map(repr, self.unrated))}."
            )
        return notes


def join_tables(
    manifest: Mapping[str, ManifestRow],
    listing: GeneratedClips,
    study: StudyTables,
    gone: frozenset[str] = frozenset(),
) -> JoinedTables:
    """Match the tables of a build to its clips.

    A row is every clip of the manifest, and every rated clip that the table of clips lists; where
    there is neither manifest nor table, every rated clip. Clips that were taken down are none, however
    the tables name them.

    Args:
        manifest: The manifest's rows by `clip_id`.
        listing: The table of clips, by the names in it.
        study: Ratings and votes.
        gone: Ids of clips that were taken down.

    Raises:
        InputError: If nothing of a table matches, or its names are ambiguous.
    """
    clips = None
    if manifest and listing.clips:
        clips = join_clips("clips", listing.clips, manifest, gone=gone)
    ids = {**clips.matched, **clips.gone} if clips else taken_down(listing.clips, gone)
    listing = listing.renamed(lambda name: ids.get(name) or plain_name(name))
    known = {*manifest, *listing.clips}
    if not known:
        known = {plain_name(name) for name in study.clips - taken_down(study.clips, gone).keys()}
    ratings = _join("ratings", study.ratings, known, gone)
    votes = _join("votes", study.votes, known, gone)
    rated = {clip for join in (ratings, votes) if join for clip in join.matched.values()}
    clip_ids = {*manifest, *rated}
    return JoinedTables(
        tuple(sorted(clip_ids)),
        listing,
        study,
        clips,
        _over(ratings, clip_ids),
        _over(votes, clip_ids),
        () if manifest else tuple(sorted(listing.clips.keys() - clip_ids - gone)),
    )


def _join(
    label: str, table: Ratings | None, clip_ids: Collection[str], gone: frozenset[str]
) -> Join | None:
    return None if table is None else join_clips(label, table.clips, clip_ids, gone=gone)


def _over(join: Join | None, clip_ids: set[str]) -> Join | None:
    """The join over the clips that became rows."""
    if join is None:
        return None
    return replace(join, without=tuple(sorted(clip_ids - set(join.matched.values()))))


def rated_rows(manifest: Mapping[str, ManifestRow], tables: JoinedTables) -> list[ScoredRow]:
    """One row per clip.

    Args:
        manifest: The manifest's rows by `clip_id`.
        tables: The other inputs.
    """
    names = tables.clip_ids
    known = {name: tables.listing.of(name) for name in names}
    contents = {name: _content(name, known[name], manifest.get(name)) for name in names}
    results = _results(tables)
    folds = _folds(names, known, contents, results)
    unknown = NOT_MATCHED if tables.listing.clips else "unknown-name"
    rows = []
    for name, made in known.items():
        clip, result = manifest.get(name), results.get(name, {})
        values = {
            **{column: result.get(column) for column in (*_RATED, *_VOTED)},
            "generator": None if made is None else made.generator,
            "generator_kind": None if made is None else made.kind,
            "portrait_id": None if made is None else made.portrait_id,
            "difficulty": None if made is None else made.difficulty,
            "fold": folds[name],
        }
        missing = [entry for column, entry in _REASONS.items() if values[column] is None]
        missing += [f"clips:{unknown}"] if made is None else []
        missing += _reasons(tables, name, result)
        split = checked_split((clip and clip.split) or DEFAULT_SPLIT)
        rows.append(ScoredRow(name, split, contents[name], values, missing=tuple(sorted(missing))))
    return rows


def with_difficulty(
    rows: Sequence[ScoredRow],
    manifest: Mapping[str, ManifestRow],
    people: Mapping[str, PortraitPeople],
) -> list[ScoredRow]:
    """The rows with the difficulty of their portraits, where the table of clips does not state it.

    What is stated for one clip holds for all clips of its portrait. Clips without a portrait have
    the grade that their recipe gave them.

    Args:
        rows: Rows from `rated_rows`.
        manifest: The manifest's rows by `clip_id`.
        people: Measurements of the portraits, by `portrait_id`.
    """
    stated = {
        row.values["portrait_id"]: row.values["difficulty"]
        for row in rows
        if row.values["portrait_id"] is not None and row.values["difficulty"] is not None
    }
    graded = []
    for row in rows:
        portrait, clip = row.values["portrait_id"], manifest.get(row.clip_id)
        measured = people.get(portrait)
        difficulty = row.values["difficulty"] or stated.get(portrait)
        reason: str | None = "not-stated"
        if difficulty is None and measured is not None:
            difficulty, reason = measured.difficulty, measured.reasons.get("difficulty")
        elif difficulty is None and clip is not None:
            difficulty = clip.difficulty
        missing = row.missing if difficulty else (*row.missing, f"difficulty:{reason}")
        values = {**row.values, "difficulty": difficulty}
        graded.append(replace(row, values=values, missing=tuple(sorted(missing))))
    return graded


def single_ratings(tables: JoinedTables, clip_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of the config `ratings`, each with the distortions that its subject voted for.

    Args:
        tables: The inputs.
        clip_ids: The clips whose ratings are wanted.
    """
    study = tables.study
    if study.ratings is None or tables.ratings is None:
        return
    votes = _votes_by_presentation(tables)
    ids = set(clip_ids)
    names = {name: clip for name, clip in tables.ratings.matched.items() if clip in ids}
    for row in rating_rows(study.ratings, names):
        distortions = votes.get((row["clip_id"], row["subject"], row["repetition"]))
        reason = NOT_GIVEN if study.votes is None else "not-voted"
        missing = [] if distortions is not None else [f"votes:{reason}"]
        yield {**row, "distortions": distortions, "missing": missing}


def _content(name: str, generated: GeneratedClip | None, clip: ManifestRow | None) -> str:
    if generated is not None:
        return generated.content_id or f"portrait-{generated.portrait_id}"
    return name if clip is None else content_of(clip.source)


def _folds(
    names: Sequence[str],
    known: Mapping[str, GeneratedClip | None],
    contents: Mapping[str, str],
    results: Mapping[str, Mapping[str, Any]],
) -> dict[str, int | None]:
    content: dict[str, Sequence[object]] = {
        "content": [contents[name] for name in names],
        "portrait": [None if clip is None else clip.portrait_id for clip in known.values()],
    }
    if not names or int(content_groups(content, names).max()) + 1 < FOLDS:
        return dict.fromkeys(names)
    mos = [results.get(name, {}).get("mos") for name in names]
    folds = grouped_folds(content, names, FOLDS, mos=mos).tolist()
    return dict(zip(names, folds, strict=True))


def _results(tables: JoinedTables) -> dict[str, dict[str, Any]]:
    """The study's columns by clip; a clip that nobody rated or voted on has none."""
    results: dict[str, dict[str, Any]] = {}
    if tables.ratings is not None:
        (scores,) = tables.study.opinions.values()
        places = {name: index for index, name in enumerate(scores.clips)}
        for name, clip in tables.ratings.matched.items():
            index = places[name]
            numbers = [float(column[index]) for column in (scores.mos, scores.std, scores.ci95)]
            values = [value if np.isfinite(value) else None for value in numbers]
            results[clip] = dict(zip(_RATED, (*values, int(scores.n[index])), strict=True))
    labels = tables.study.labels
    if labels is not None and tables.votes is not None:
        places = {name: index for index, name in enumerate(labels.clips)}
        for name, clip in tables.votes.matched.items():
            if labels.n_voters[places[name]]:
                results.setdefault(clip, {}).update(_labelled(labels, places[name]))
    return results


def _labelled(labels: DistortionLabels, index: int) -> dict[str, list[str] | None]:
    """Distortions of a clip, and the dimensions that suffer where the taxonomy says them."""
    from theval_datasets.curation.study.taxonomy import UNASSIGNED

    dimensions = labels.dimensions(index)
    known = None if UNASSIGNED in dimensions else list(dimensions)
    return dict(zip(_VOTED, (list(labels.names(index)), known), strict=True))


def _reasons(tables: JoinedTables, clip_id: str, result: Mapping[str, Any]) -> list[str]:
    """Entries of `missing` for the study's columns that are null."""
    reasons = []
    if any(result.get(column) is None for column in _RATED):
        reasons.append(f"ratings:{_reason(tables.ratings, clip_id, 'too-few')}")
    if "distortions" not in result:
        reason = _reason(tables.votes, clip_id, "nobody-voted")
        reasons += [f"votes:{reason}", f"taxonomy:{reason}"]
    elif result["dimensions"] is None:
        reasons.append("taxonomy:no-dimensions")
    return reasons


def _reason(join: Join | None, clip_id: str, otherwise: str) -> str:
    if join is None:
        return NOT_GIVEN
    return NOT_MATCHED if clip_id in join.without else otherwise


def _votes_by_presentation(tables: JoinedTables) -> dict[tuple[str, str, int], list[str]]:
    """Names of the distortions that a subject voted for, by `clip_id`, subject and repetition."""
    table: Ratings | None = tables.study.votes
    if table is None or table.votes is None or tables.votes is None:
        return {}
    names = np.array([kind.name for kind in tables.study.taxonomy.types], object)
    clips = tables.votes.matched
    rows = zip(table.clip.tolist(), table.subject.tolist(), table.repetition.tolist(), strict=True)
    return {
        (clips[name], table.subjects[subject], repetition): names[table.votes[i]].tolist()
        for i, (clip, subject, repetition) in enumerate(rows)
        if (name := table.clips[clip]) in clips
    }
