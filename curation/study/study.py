"""A whole study: every dimension's opinion scores, the labels, and who agreed with whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .levels import quality_levels
from .mos import Opinions, opinions
from .panel import Flags
from .parameters import StudyParameters
from .ratings import Ratings
from .reports import SessionReport, SubjectReport, optional, session_reports, subject_reports
from .taxonomy import Taxonomy
from .votes import Labels, label


@dataclass(frozen=True, eq=False)
class Study:
    """What came out of a study.

    Attributes:
        ratings: What went in.
        parameters: How.
        opinions: By dimension.
        subjects: One report a subject and dimension.
        sessions: One report a session and dimension; empty if the table has no sessions.
        labels: Distortions of the clips; None without votes.
    """

    ratings: Ratings
    parameters: StudyParameters
    opinions: Mapping[str, Opinions]
    subjects: tuple[SubjectReport, ...]
    sessions: tuple[SessionReport, ...]
    labels: Labels | None

    @property
    def rejected(self) -> tuple[str, ...]:
        """Subjects that were rejected in some dimension; sorted."""
        return tuple(sorted({report.subject for report in self.subjects if report.rejected}))

    def clip_rows(self) -> list[dict[str, Any]]:
        """One row a clip and dimension; undefined values are None, with the reason."""
        place = {clip: index for index, clip in enumerate(self.ratings.clips)}
        rows = []
        for dimension, found in self.opinions.items():
            levels = _levels(found)
            for index, clip in enumerate(found.clips):
                row: dict[str, Any] = {
                    "clip_id": clip,
                    "dimension": dimension,
                    "mos": optional(found.mos[index]),
                    "std": optional(found.std[index]),
                    "ci95": optional(found.ci95[index]),
                    "n": int(found.n[index]),
                    "sem": optional(found.sem[index]),
                    "level": levels[index],
                    "reason": None if found.n[index] else "no-retained-rating",
                }
                if self.ratings.generator is not None:
                    row["generator"] = self.ratings.generator[place[clip]]
                rows.append(row)
        return rows

    def label_rows(self) -> list[dict[str, Any]]:
        """One row a clip: its distortions as bits, ids, names and dimensions."""
        if self.labels is None:
            return []
        labels = self.labels
        rows = []
        for index, clip in enumerate(labels.clips):
            present = np.flatnonzero(labels.present[index])
            rows.append(
                {
                    "clip_id": clip,
                    "bits": labels.bits(index),
                    "distortions": [labels.taxonomy.types[int(i)].id for i in present],
                    "names": list(labels.names(index)),
                    "dimensions": list(labels.dimensions(index)),
                    "n_voters": int(labels.n_voters[index]),
                    "share": [optional(value) for value in labels.share[index]],
                }
            )
        return rows


def run_study(
    ratings: Ratings, parameters: StudyParameters, taxonomy: Taxonomy | None = None
) -> Study:
    """Everything that a ratings table gives.

    Args:
        ratings: The table.
        parameters: See there.
        taxonomy: Of the table's votes; None if it holds none.

    Raises:
        RatingsError: If the table does not allow what the parameters ask for.
    """
    found = {
        dimension: opinions(ratings.panel(dimension), parameters)
        for dimension in ratings.dimensions
    }
    labels = None
    if ratings.votes is not None and taxonomy is not None:
        retained = None if parameters.vote_subjects == "all" else _retained(ratings, found)
        labels = label(ratings, taxonomy, threshold=parameters.vote_threshold, retained=retained)
    return Study(
        ratings=ratings,
        parameters=parameters,
        opinions=found,
        subjects=tuple(
            report
            for dimension, one in found.items()
            for report in subject_reports(ratings.panel(dimension), one, dimension)
        ),
        sessions=tuple(
            report
            for dimension, one in found.items()
            for report in session_reports(
                ratings.panel(dimension), ratings.sessions, one, dimension
            )
        ),
        labels=labels,
    )


def _retained(ratings: Ratings, found: Mapping[str, Opinions]) -> Flags:
    """Subjects that were rejected in no dimension."""
    retained = np.ones(len(ratings.subjects), bool)
    for one in found.values():
        retained &= ~one.screening.rejected
    return retained


def _levels(found: Opinions) -> list[str | None]:
    defined = np.isfinite(found.mos)
    levels: list[str | None] = [None] * len(found.mos)
    values = found.mos[defined]
    if len(values) and values.min() < values.max():
        for index, name in zip(np.flatnonzero(defined), quality_levels(values), strict=True):
            levels[int(index)] = name
    return levels
