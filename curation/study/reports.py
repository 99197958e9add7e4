"""Reports on subjects and sessions: rejections with reasons, and agreement with the panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .mos import OpinionScores
from .panel import Floats, Panel
from .scaling import subject_bias
from .screening import panel_correlation


@dataclass(frozen=True)
class SubjectReport:
    """A subject in one dimension; None where a value is undefined or does not apply.

    Attributes:
        subject: Name of the subject.
        dimension: The rated dimension.
        rejected: Whether the ratings were left out.
        reason: Reason of the rejection: `outliers` (BT.500), `correlation` or `degenerate`.
        n: Number of ratings.
        mean: Mean of the ratings.
        std: Standard deviation of the ratings (N - 1).
        bias: Mean deviation from the clips' means.
        correlation: Pearson's correlation with the mean of the others.
        rank_correlation: Spearman's correlation with the mean of the others.
        above: Number of ratings on or above BT.500's upper limit (P).
        below: Number of ratings on or below BT.500's lower limit (Q).
        share: Statistic that decides: outliers per rating, or the correlation.
        balance: abs(P - Q) / (P + Q).
        inconsistency: Inconsistency by the maximum-likelihood model.
    """

    subject: str
    dimension: str
    rejected: bool
    reason: str | None
    n: int
    mean: float
    std: float | None
    bias: float | None
    correlation: float | None
    rank_correlation: float | None
    above: int | None
    below: int | None
    share: float | None
    balance: float | None
    inconsistency: float | None


@dataclass(frozen=True)
class SessionReport:
    """A session in one dimension.

    Attributes:
        session: Name of the session.
        dimension: The rated dimension.
        n: Number of ratings.
        n_subjects: Number of subjects.
        n_clips: Number of clips.
        mean: Mean of the ratings.
        std: Standard deviation of the ratings (N - 1); None for a single rating.
        n_rejected: Number of ratings of rejected subjects.
        correlation: Pearson's correlation of the session's ratings with the clips' means over the
            ratings of other sessions; None if there are none.
    """

    session: str
    dimension: str
    n: int
    n_subjects: int
    n_clips: int
    mean: float
    std: float | None
    n_rejected: int
    correlation: float | None


def optional(value: float | np.floating[Any] | None) -> float | None:
    """The number as Python's float; None if undefined.

    Examples:
        >>> optional(0.5), optional(float("nan"))
        (0.5, None)
    """
    return None if value is None or not np.isfinite(value) else float(value)


def subject_reports(panel: Panel, scores: OpinionScores, dimension: str) -> list[SubjectReport]:
    """One report for each subject with ratings."""
    count = panel.subject_counts
    mean = panel.subject_mean(panel.score)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = panel.subject_sum((panel.score - mean[panel.subject]) ** 2)
        std = np.sqrt(squares / (count - 1))
    bias = scores.bias if scores.bias is not None else subject_bias(panel)
    pearson = panel_correlation(panel, ranks=False, leave_out=True)
    spearman = panel_correlation(panel, ranks=True, leave_out=True)
    screening = scores.screening
    reports = []
    for index in np.flatnonzero(count).tolist():
        reports.append(
            SubjectReport(
                subject=panel.subjects[index],
                dimension=dimension,
                rejected=bool(screening.rejected[index]),
                reason=_reason(scores, index),
                n=int(count[index]),
                mean=float(mean[index]),
                std=optional(std[index]),
                bias=optional(bias[index]),
                correlation=optional(pearson[index]),
                rank_correlation=optional(spearman[index]),
                above=None if screening.above is None else int(screening.above[index]),
                below=None if screening.below is None else int(screening.below[index]),
                share=None if screening.share is None else optional(screening.share[index]),
                balance=None if screening.balance is None else optional(screening.balance[index]),
                inconsistency=None
                if scores.model is None
                else optional(scores.model.inconsistency[index]),
            )
        )
    return reports


def session_reports(
    panel: Panel, sessions: tuple[str, ...], scores: OpinionScores, dimension: str
) -> list[SessionReport]:
    """One report for each session; none if the table has no sessions."""
    if sessions == ("",):
        return []
    total, count = panel.clip_sum(panel.score), panel.counts
    reports = []
    for index, name in enumerate(sessions):
        rows = panel.session == index
        if not rows.any():
            continue
        score, clip = panel.score[rows], panel.clip[rows]
        own = np.bincount(clip, weights=score, minlength=len(panel.clips))
        own_count = np.bincount(clip, minlength=len(panel.clips))
        with np.errstate(invalid="ignore", divide="ignore"):
            others = ((total - own) / (count - own_count))[clip]
        usable = np.isfinite(others)
        reports.append(
            SessionReport(
                session=name,
                dimension=dimension,
                n=len(score),
                n_subjects=len(np.unique(panel.subject[rows])),
                n_clips=len(np.unique(clip)),
                mean=float(score.mean()),
                std=float(score.std(ddof=1)) if len(score) > 1 else None,
                n_rejected=int(scores.screening.rejected[panel.subject[rows]].sum()),
                correlation=_pearson(score[usable], others[usable]),
            )
        )
    return reports


def agreement_matrix(panel: Panel) -> Floats:
    """Pearson's correlation of each pair of subjects over the clips that both rated.

    Returns:
        float64 (subjects, subjects), symmetric; NaN where fewer than three clips are common, or
        one of the two has no variance on them.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> agreement_matrix(Ratings.from_matrix([[1, 3], [2, 2], [3, 1]]).panel()).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    clip, subject, score = panel.cells()
    shape = (len(panel.subjects), len(panel.clips))
    rated, values = np.zeros(shape), np.zeros(shape)
    rated[subject, clip] = 1.0
    values[subject, clip] = score - score.mean()
    n = rated @ rated.T
    with np.errstate(invalid="ignore", divide="ignore"):
        sum_a = values @ rated.T
        squares_a = (values**2) @ rated.T - sum_a**2 / n
        cross = values @ values.T - sum_a * sum_a.T / n
        product = squares_a * squares_a.T
        r = np.where((n >= 3) & (product > 1e-18), cross / np.sqrt(product), np.nan)
    return np.clip(r, -1.0, 1.0)


def _pearson(x: Floats, y: Floats) -> float | None:
    from theval_datasets.evaluation.correlation import plcc

    return plcc(x, y)


def _reason(scores: OpinionScores, index: int) -> str | None:
    if not scores.screening.rejected[index]:
        return None
    if scores.degenerate[index] and scores.parameters.degenerate == "reject":
        return "degenerate"
    return "outliers" if scores.parameters.screen == "bt500" else "correlation"
