"""Screening of subjects by ITU-R BT.500 §A1-2.3.1, or by the correlation with the panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .panel import Codes, Flags, Floats, Panel
from .parameters import StudyParameters

OUTLIER_SHARE = 0.05
"""Share of outliers above which BT.500 rejects a subject, if the outliers are balanced."""
BALANCE = 0.3
"""Relative difference of outliers above and below, below which they are balanced."""
CORRELATION_CEILING = 0.7
"""Highest correlation that screening by correlation requires."""


@dataclass(frozen=True, eq=False)
class Screening:
    """Result of screening; every array has one entry per subject.

    Attributes:
        rejected: Whether the subject's ratings are left out.
        above: BT.500's P: number of ratings on or above the upper limit; None by correlation.
        below: BT.500's Q: number of ratings on or below the lower limit; None by correlation.
        share: (P + Q) / denominator, or the correlation with the panel's mean; NaN if undefined.
        balance: abs(P - Q) / (P + Q); NaN where P + Q is 0, and by correlation.
        threshold: Correlation at or below which a subject is rejected; None for BT.500.
        all_kept: Whether every subject would have been rejected, and therefore none was.
    """

    rejected: Flags
    above: Codes | None = None
    below: Codes | None = None
    share: Floats | None = None
    balance: Floats | None = None
    threshold: float | None = None
    all_kept: bool = False


def screen(panel: Panel, parameters: StudyParameters) -> Screening:
    """Screen a panel's subjects.

    Args:
        panel: Ratings on the scale to screen.
        parameters: Parameters of the analysis.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1, 2], [2, 3], [3, 4]]).panel()
        >>> screen(panel, StudyParameters(screen=None)).rejected.tolist()
        [False, False]
    """
    if parameters.screen is None:
        return Screening(rejected=np.zeros(len(panel.subjects), bool))
    if parameters.screen == "bt500":
        return bt500(
            panel,
            sd_ddof=parameters.sd_ddof,
            denominator=parameters.denominator,
            skip_zero_variance=parameters.skip_zero_variance,
            tie_tolerance=parameters.tie_tolerance,
        )
    return by_correlation(panel, ranks=parameters.screen == "spearman")


def bt500(
    panel: Panel,
    *,
    sd_ddof: int = 1,
    denominator: str = "rated",
    skip_zero_variance: bool = True,
    tie_tolerance: float = 1e-9,
) -> Screening:
    """Reject subjects with many outliers on both sides (ITU-R BT.500 §A1-2.3.1).

    For each clip with mean μ, standard deviation σ and kurtosis β2 = m4/m2², the limits are
    μ ± kσ with k = 2 where 2 ≤ β2 ≤ 4 and k = √20 elsewhere. A subject with P ratings on or above
    the upper and Q on or below the lower limit is rejected when (P+Q)/denominator > 0.05 and
    abs(P-Q)/(P+Q) < 0.3. If all would be rejected, none is.

    Args:
        panel: The ratings.
        sd_ddof: Delta degrees of freedom of σ.
        denominator: `rated`: what the subject rated; `presentations`: clips × repetitions.
        skip_zero_variance: See `StudyParameters`.
        tie_tolerance: Relative tolerance of "on the limit" and of β2's limits.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> bt500(Ratings.from_matrix([[1, 2], [2, 3], [3, 4]]).panel()).rejected.tolist()
        [False, False]
    """
    flat = np.maximum.reduceat(panel.score, panel.starts) == np.minimum.reduceat(
        panel.score, panel.starts
    )
    if tie_tolerance:
        high, low = _with_tolerance(panel, sd_ddof, tie_tolerance)
    else:
        high, low = _as_floats(panel, sd_ddof)
    rows = panel.spread(flat)
    high, low = (high & ~rows, low & ~rows) if skip_zero_variance else (high | rows, low | rows)
    above = np.bincount(panel.subject[high], minlength=len(panel.subjects))
    below = np.bincount(panel.subject[low], minlength=len(panel.subjects))
    total = (
        panel.subject_counts
        if denominator == "rated"
        else np.full(len(panel.subjects), float(len(panel.clips) * panel.n_repetitions))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (above + below) / total
        balance = np.abs(above - below) / (above + below)
    rejected = (share > OUTLIER_SHARE) & (balance < BALANCE)
    present = panel.subject_counts > 0
    all_outside = bool(rejected[present].all())
    return Screening(
        rejected=np.zeros_like(rejected) if all_outside else rejected,
        above=above,
        below=below,
        share=share,
        balance=balance,
        all_kept=all_outside,
    )


def _with_tolerance(panel: Panel, ddof: int, tolerance: float) -> tuple[Flags, Flags]:
    """Rows on or above the upper limit, and on or below the lower limit, of their clip."""
    count = panel.counts
    centred = panel.score - panel.spread(panel.clip_mean(panel.score))
    squares = centred * centred
    second = panel.clip_sum(squares)
    fourth = panel.clip_sum(squares * squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        kurtosis = fourth * count / (second * second)
        normal = (kurtosis >= 2 * (1 - tolerance)) & (kurtosis <= 4 * (1 + tolerance))
        factor = np.where(normal, 4.0, 20.0) * (1 - tolerance) ** 2
        limit = factor * second / (count - ddof)
    outside = squares >= panel.spread(limit)
    high: Flags = outside & (centred > 0)
    low: Flags = outside & (centred < 0)
    return high, low


def _as_floats(panel: Panel, ddof: int) -> tuple[Flags, Flags]:
    """The same clip by clip without tolerance, where rounding decides ties as in the reference program.

    Its rounding depends on the order of summation: repetition by repetition.
    """
    order = np.lexsort((panel.subject, panel.repetition, panel.clip))
    ordered = panel.score[order]
    upper, lower = np.empty(len(panel.clips)), np.empty(len(panel.clips))
    for index, (start, count) in enumerate(zip(panel.starts, panel.counts, strict=True)):
        values = ordered[start : start + count]
        mean, squares = values.mean(), (values - values.mean()) ** 2
        second = squares.mean()
        kurtosis = (squares**2).mean() / second**2 if second > 0 else np.nan
        sigma = values.std(ddof=ddof) if count > ddof else np.nan
        width = (2.0 if 2 <= kurtosis <= 4 else np.sqrt(20.0)) * sigma
        upper[index], lower[index] = mean + width, mean - width
    high: Flags = panel.score >= panel.spread(upper)
    low: Flags = panel.score <= panel.spread(lower)
    return high, low


def by_correlation(panel: Panel, *, ranks: bool = False) -> Screening:
    """Reject subjects with a low correlation with the panel's mean.

    The limit is the mean minus one standard deviation (ddof 0) of the subjects' correlations, but
    at most 0.7; a subject at or below it is rejected. Repetitions are averaged first, and the panel's
    mean includes the subject's own ratings. An undefined correlation (no variance) neither enters the
    limit nor leads to rejection.

    Args:
        panel: The ratings.
        ranks: Spearman's correlation instead of Pearson's.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1, 1, 3], [2, 2, 2], [3, 3, 1]]).panel()
        >>> by_correlation(panel).rejected.tolist()
        [False, False, True]
    """
    r = panel_correlation(panel, ranks=ranks, leave_out=False)
    defined = np.isfinite(r)
    threshold = CORRELATION_CEILING
    if defined.any():
        threshold = min(threshold, float(r[defined].mean() - r[defined].std()))
    rejected = defined & (np.nan_to_num(r, nan=1.0) <= threshold)
    all_outside = bool(rejected[panel.subject_counts > 0].all())
    return Screening(
        rejected=np.zeros_like(rejected) if all_outside else rejected,
        share=r,
        balance=np.full(len(r), np.nan),
        threshold=threshold,
        all_kept=all_outside,
    )


def panel_correlation(panel: Panel, *, ranks: bool, leave_out: bool) -> Floats:
    """Correlation of each subject with the panel's mean, over the clips that the subject rated.

    Args:
        panel: Ratings; repetitions are averaged first.
        ranks: Spearman's correlation instead of Pearson's.
        leave_out: Whether the panel's mean excludes the subject's own ratings.

    Returns:
        float64 (subjects,); NaN where it is undefined.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1, 3], [2, 2], [3, 1]]).panel()
        >>> panel_correlation(panel, ranks=False, leave_out=True).tolist()
        [-1.0, -1.0]
    """
    clip, subject, score = panel.cells()
    n = np.bincount(clip, minlength=len(panel.clips))
    total = np.bincount(clip, weights=score, minlength=len(panel.clips))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (total[clip] - score) / (n[clip] - 1) if leave_out else (total / n)[clip]
    usable = np.isfinite(mean)
    subject, score, mean = subject[usable], score[usable], mean[usable]
    if ranks:
        score, mean = _ranks_within(subject, score), _ranks_within(subject, mean)
    return _grouped_pearson(subject, score, mean, len(panel.subjects))


def _ranks_within(group: Codes, values: Floats) -> Floats:
    """Average ranks of the values within each group."""
    if not len(values):
        return values
    order = np.lexsort((values, group))
    g, v = group[order], values[order]
    new_group = np.concatenate([[True], g[1:] != g[:-1]])
    new_run = new_group | np.concatenate([[True], v[1:] != v[:-1]])
    run = np.cumsum(new_run) - 1
    position = np.arange(len(v))
    group_start = np.maximum.accumulate(np.where(new_group, position, 0))
    within = (position - group_start).astype(np.float64)
    average = np.bincount(run, weights=within) / np.bincount(run)
    ranks = np.empty(len(v))
    ranks[order] = average[run]
    return ranks


def _grouped_pearson(group: Codes, x: Floats, y: Floats, n_groups: int) -> Floats:
    def total(values: npt.NDArray[Any] | None = None) -> Floats:
        return np.bincount(group, weights=values, minlength=n_groups).astype(np.float64)

    with np.errstate(invalid="ignore", divide="ignore"):
        count = total()
        dx = x - (total(x) / count)[group]
        dy = y - (total(y) / count)[group]
        xx, yy = total(dx * dx), total(dy * dy)
        tiny = 1e-24 * (total(x * x) * total(y * y))
        r: Floats = np.where(xx * yy > tiny, total(dx * dy) / np.sqrt(xx * yy), np.nan)
    return np.clip(r, -1.0, 1.0)
