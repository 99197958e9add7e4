"""Analysis of a study: opinion scores of every dimension, distortion labels, reports on subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .levels import quality_levels
from .mos import OpinionScores, opinion_scores
from .panel import Flags
from .parameters import StudyParameters
from .ratings import Ratings
from .reliability import Reliability, reliability
from .reports import SessionReport, SubjectReport, optional, session_reports, subject_reports
from .scaling import scaled
from .taxonomy import Taxonomy
from .votes import DistortionLabels, distortion_labels


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The results of a study.

    Attributes:
        ratings: Table of ratings.
        parameters: Parameters of the analysis.
        opinions: Opinion scores by dimension.
        subjects: One report per subject and dimension.
        sessions: One report per session and dimension; empty if the table has no sessions.
        labels: Distortions of the clips; None without votes.
        reliability: Reliability by dimension.

    Examples:
        >>> from .tables import from_frame
        >>> import polars as pl
        >>> table = pl.DataFrame(
        ...     {"subject": [*"aabb"], "clip_id": [*"xyxy"], "generator": [*"GHGH"], "score": [1, 3, 2, 4]}
        ... )
        >>> result = run_study(from_frame(table), StudyParameters())
        >>> result.rejected, result.generator_scores("quality"), result.label_rows()
        ((), {'G': [1.5], 'H': [3.5]}, [])
        >>> [(row["generator"], row["mos"], row["n"]) for row in result.generator_rows("quality")]
        [('H', 3.5, 1), ('G', 1.5, 1)]
    """

    ratings: Ratings
    parameters: StudyParameters
    opinions: Mapping[str, OpinionScores]
    subjects: tuple[SubjectReport, ...]
    sessions: tuple[SessionReport, ...]
    labels: DistortionLabels | None
    reliability: Mapping[str, Reliability]

    @property
    def rejected(self) -> tuple[str, ...]:
        """Subjects that were rejected in some dimension; sorted."""
        return tuple(sorted({report.subject for report in self.subjects if report.rejected}))

    def clip_rows(self) -> list[dict[str, Any]]:
        """One row per clip and dimension; undefined values are None, with the reason.

        Examples:
            >>> from theval_datasets.curation.study.parameters import preset
            >>> result = run_study(Ratings.from_matrix([[1, 2], [4, 5]]), preset("bt500"))
            >>> [(row["clip_id"], row["mos"]) for row in result.clip_rows()]
            [('c0000', 1.5), ('c0001', 4.5)]
        """
        place = {clip: index for index, clip in enumerate(self.ratings.clips)}
        rows = []
        for dimension, scores in self.opinions.items():
            levels = _levels(scores)
            for index, clip in enumerate(scores.clips):
                row: dict[str, Any] = {
                    "clip_id": clip,
                    "dimension": dimension,
                    "mos": optional(scores.mos[index]),
                    "std": optional(scores.std[index]),
                    "ci95": optional(scores.ci95[index]),
                    "n": int(scores.n[index]),
                    "sem": optional(scores.sem[index]),
                    "level": levels[index],
                    "reason": None if scores.n[index] else "no-retained-rating",
                }
                if self.ratings.generator is not None:
                    row["generator"] = self.ratings.generator[place[clip]]
                rows.append(row)
        return rows

    def generator_scores(self, dimension: str) -> dict[str, list[float]]:
        """Defined opinion scores of the clips of each generator; nothing without generators."""
        if self.ratings.generator is None:
            return {}
        generator = dict(zip(self.ratings.clips, self.ratings.generator, strict=True))
        scores = self.opinions[dimension]
        by: dict[str, list[float]] = {}
        for clip, value in zip(scores.clips, scores.mos.tolist(), strict=True):
            if np.isfinite(value):
                by.setdefault(generator[clip], []).append(value)
        return by

    def generator_rows(self, dimension: str) -> list[dict[str, Any]]:
        """One row a generator, the highest mean first: the mean of its clips' scores, with the
        half-width of its 95 % interval by Student's t over the clips (None for a single one).
        """
        from scipy.stats import t

        rows = []
        for generator, values in self.generator_scores(dimension).items():
            n, std = len(values), float(np.std(values, ddof=1)) if len(values) > 1 else None
            ci95 = None if std is None else float(t.ppf(0.975, n - 1)) * std / n**0.5
            rows.append(
                {
                    "generator": generator,
                    "dimension": dimension,
                    "mos": float(np.mean(values)),
                    "std": std,
                    "ci95": ci95,
                    "n": n,
                }
            )
        return sorted(rows, key=lambda row: (-row["mos"], row["generator"]))

    def label_rows(self) -> list[dict[str, Any]]:
        """One row per clip: its distortions as bits, ids, names and dimensions."""
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
    ratings: Ratings,
    parameters: StudyParameters,
    taxonomy: Taxonomy | None = None,
    *,
    votes: Ratings | None = None,
) -> StudyResult:
    """Analyse a table of ratings, and the distortion votes that belong to it.

    Args:
        ratings: Table of ratings.
        parameters: Parameters of the analysis.
        taxonomy: Types of the votes; None if there are no votes.
        votes: Table with the distortion votes; None if they are in `ratings`.

    Raises:
        RatingsError: If the table lacks data that the parameters require.

    Examples:
        >>> study = run_study(Ratings.from_matrix([[1, 3], [2, 4]]), StudyParameters())
        >>> [row["mos"] for row in study.clip_rows()]
        [2.0, 3.0]
    """
    opinions = {
        dimension: opinion_scores(ratings.panel(dimension), parameters)
        for dimension in ratings.dimensions
    }
    labels = None
    votes = ratings if votes is None else votes
    if votes.votes is not None and taxonomy is not None:
        retained = None
        if parameters.vote_subjects == "retained":
            retained = _retained(ratings, opinions, votes)
        labels = distortion_labels(
            votes, taxonomy, threshold=parameters.vote_threshold, retained=retained
        )
    return StudyResult(
        ratings=ratings,
        parameters=parameters,
        opinions=opinions,
        subjects=tuple(
            report
            for dimension, scores in opinions.items()
            for report in subject_reports(ratings.panel(dimension), scores, dimension)
        ),
        sessions=tuple(
            report
            for dimension, scores in opinions.items()
            for report in session_reports(
                ratings.panel(dimension), ratings.sessions, scores, dimension
            )
        ),
        labels=labels,
        reliability={
            dimension: _reliability(ratings, dimension, scores, parameters)
            for dimension, scores in opinions.items()
        },
    )


def _reliability(
    ratings: Ratings, dimension: str, scores: OpinionScores, parameters: StudyParameters
) -> Reliability:
    """Reliability of the averaged scores, or of the ratings where a model estimates the scores."""
    panel, retained = ratings.panel(dimension), ~scores.screening.rejected
    averaged = panel.keep(retained[panel.subject])
    if parameters.estimate == "mean":
        averaged = scaled(averaged, parameters.scores, parameters)
    scale = None if ratings.source is None else ratings.source.scale
    ends = None if scale is None else (scale.low, scale.high)
    return reliability(averaged, panel, retained, ends)


def _retained(ratings: Ratings, opinions: Mapping[str, OpinionScores], votes: Ratings) -> Flags:
    """Voters who were not rejected in any dimension: bool (subjects of `votes`,)."""
    rejected = {
        ratings.subjects[index]
        for scores in opinions.values()
        for index in np.flatnonzero(scores.screening.rejected)
    }
    return np.array([subject not in rejected for subject in votes.subjects], bool)


def _levels(scores: OpinionScores) -> list[str | None]:
    defined = np.isfinite(scores.mos)
    levels: list[str | None] = [None] * len(scores.mos)
    values = scores.mos[defined]
    if len(values) and values.min() < values.max():
        for index, name in zip(np.flatnonzero(defined), quality_levels(values), strict=True):
            levels[int(index)] = name
    return levels
