"""Reliability of the scores of a study: agreement of subjects, and spread over the scale.

ICC(2,k): P. E. Shrout and J. L. Fleiss, "Intraclass correlations: uses in assessing rater
reliability", Psychol. Bull. 86, 1979; its interval: K. O. McGraw and S. P. Wong, "Forming inferences
about some intraclass correlation coefficients", Psychol. Methods 1, 1996. Spearman-Brown: W. Brown,
Brit. J. Psychol. 3, 1910; the size of a negative correlation is extrapolated and its sign restored, since
the formula has a pole at -1. SOS exponent: T. Hossfeld, R. Schatz and S. Egger, "SOS: The MOS is not
enough!", QoMEX 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .panel import Codes, Flags, Floats, Panel

_SPLITS: Final = 100
_SEED: Final = 0
_CONFIDENCE: Final = 0.95
_HELD: Final = 5_000_000  # largest number of means of halves in memory


@dataclass(frozen=True)
class Reliability:
    """Reliability of the scores of one dimension; None where undefined, with the reason.

    Attributes:
        icc2k: ICC(2,k), absolute agreement of the mean over k subjects: at most 1, without a lower limit.
        icc2k_low: Lower end of its 95 % interval.
        icc2k_high: Upper end of its 95 % interval.
        split_half: Mean over random halves of the subjects of Pearson's correlation between their
            mean scores, extrapolated to all subjects by Spearman-Brown: -1 to 1.
        sos: SOS exponent a of the ratings: 0 for perfect agreement, 1 for the largest spread that
            the scale allows.
        n_subjects: Number of subjects who were not rejected.
        n_clips: Number of clips that all of them rated.
        reasons: Reason for each undefined value, by name.
    """

    icc2k: float | None
    icc2k_low: float | None
    icc2k_high: float | None
    split_half: float | None
    sos: float | None
    n_subjects: int
    n_clips: int
    reasons: dict[str, str]

    def to_text(self) -> str:
        """Human-readable line.

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 2, 1], [3, 3, 4], [5, 4, 5]]).panel()
            >>> reliability(panel, panel, np.ones(3, bool), (1, 5)).to_text()
            'ICC(2,k) 0.960 [0.614, 0.999], split-half 0.987, SOS exponent 0.078 over 3 subjects'
        """

        def shown(value: float | None) -> str:
            return "undefined" if value is None else f"{value:.3f}"

        text = (
            f"ICC(2,k) {shown(self.icc2k)} [{shown(self.icc2k_low)}, {shown(self.icc2k_high)}], "
            f"split-half {shown(self.split_half)}, SOS exponent {shown(self.sos)} over "
            f"{self.n_subjects} subjects"
        )
        reasons = (f"{name} is undefined: {reason}" for name, reason in self.reasons.items())
        return "; ".join([text, *reasons])


def reliability(
    scores: Panel, ratings: Panel, retained: Flags, scale: tuple[float, float] | None
) -> Reliability:
    """Reliability of the scores of one dimension.

    Args:
        scores: Scores that are averaged into opinion scores: ratings, or z-scores.
        ratings: Ratings of the same presentations.
        retained: bool (subjects,): subjects who were not rejected.
        scale: Ends of the rating scale; None for the smallest and largest rating.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1, 2, 1], [3, 4, 3], [5, 5, 4], [2, 2, 1]]).panel()
        >>> round(reliability(panel, panel, np.ones(3, bool), (1, 5)).icc2k, 2)
        0.96
    """
    kept = scores.keep(retained[scores.subject])
    raw = ratings.keep(retained[ratings.subject])
    matrix = complete_matrix(kept)
    reasons: dict[str, str] = {}
    icc = low = high = None
    if matrix.shape[0] < 2 or matrix.shape[1] < 2:
        reasons["icc2k"] = "fewer than two clips that all of at least two subjects rated"
    else:
        icc, low, high = icc_2k(matrix)
        if icc is None:
            reasons["icc2k"] = "no variance between clips, or subjects who contradict each other"
        elif high is None:
            reasons["icc2k_low"] = reasons["icc2k_high"] = "no disagreement but constant offsets"
        elif low is None:
            reasons["icc2k_low"] = "the interval is open below"
    halves = split_half(kept)
    if halves is None:
        reasons["split_half"] = "fewer than three clips that both halves rated, or no variance"
    low_end, high_end = scale or (float(raw.score.min()), float(raw.score.max()))
    exponent = sos_exponent(raw, low_end, high_end)
    if exponent is None:
        reasons["sos"] = "no clip with two ratings has a mean between the ends of the scale"
    n_subjects = len(np.unique(kept.subject))
    return Reliability(icc, low, high, halves, exponent, n_subjects, len(matrix), reasons)


def complete_matrix(panel: Panel) -> Floats:
    """Mean scores of the clips that every subject rated: float64 (clips, subjects).

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> complete_matrix(Ratings.from_matrix([[1, 3], [2, float("nan")]]).panel()).tolist()
        [[1.0, 3.0]]
    """
    clip, subject, score = panel.cells()
    subjects, code = np.unique(subject, return_inverse=True)
    if len(score) == len(panel.clips) * len(subjects):
        return score.reshape(len(panel.clips), len(subjects))
    complete = np.flatnonzero(np.bincount(clip, minlength=len(panel.clips)) == len(subjects))
    rows = np.isin(clip, complete)
    matrix = np.empty((len(complete), len(subjects)))
    matrix[np.searchsorted(complete, clip[rows]), code[rows]] = score[rows]
    return matrix


def icc_2k(matrix: Floats) -> tuple[float | None, float | None, float | None]:
    """ICC(2,k) and the ends of its 95 % interval.

    All are ratios of estimated variances, and undefined where the estimate under the fraction is not
    positive: the clips' means do not vary, or the subjects contradict each other.

    Args:
        matrix: float64 (clips, subjects), at least (2, 2), finite.

    Returns:
        The coefficient, at most 1, and the ends. All are None where the coefficient is undefined; both
        ends where subjects differ by constants only; the lower one where the interval is open below.

    Examples:
        >>> import numpy as np
        >>> shrout_fleiss = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9],
        ...                  [6, 2, 4, 7]]
        >>> [round(value, 2) for value in icc_2k(np.array(shrout_fleiss, float))]
        [0.62, 0.07, 0.93]
    """
    from scipy.special import fdtri

    n, k = matrix.shape
    mean = matrix.mean()
    of_clips, of_subjects = matrix.mean(axis=1), matrix.mean(axis=0)
    rows = k * ((of_clips - mean) ** 2).sum() / (n - 1)
    columns = n * ((of_subjects - mean) ** 2).sum() / (k - 1)
    rest = matrix - of_clips[:, None] - of_subjects[None, :] + mean
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    tiny = 1e-12 * max(float((matrix**2).mean()), 1e-300)
    if rows <= tiny:
        return None, None, None
    whole = _ratio(rows - error, rows + (columns - error) / n, rows + error)
    if whole is None:
        return None, None, None
    if error <= tiny:  # the subjects differ by constants only: there is no error to estimate
        return whole, None, None
    single = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    ratio = columns / error
    spread = n * (1 + (k - 1) * single) - k * single
    freedom = (
        (k - 1) * (n - 1) * (k * single * ratio + spread) ** 2
        / ((n - 1) * k**2 * single**2 * ratio**2 + spread**2)
    )  # fmt: skip
    tail = 1 - (1 - _CONFIDENCE) / 2
    below = fdtri(n - 1, freedom, tail)
    above = fdtri(freedom, n - 1, tail)
    low = _ratio(rows - below * error, rows + below * (columns - error) / n, rows + below * error)
    high = _ratio(above * rows - error, above * rows + (columns - error) / n, above * rows + error)
    return whole, low, high


def _ratio(above: float, below: float, size: float) -> float | None:
    """A ratio of estimated variances, or None unless the lower one is positive beyond rounding."""
    return float(above / below) if below > 1e-12 * size else None


def split_half(panel: Panel) -> float | None:
    """Mean correlation of the mean scores of random halves of the subjects, by Spearman-Brown.

    Halves are drawn 100 times, from a fixed seed. A negative correlation r becomes 2 r / (1 - r). With an odd
    number of subjects one half has one more; Spearman-Brown treats them as equal.

    Args:
        panel: The scores.

    Returns:
        None where no draw gives three clips that both halves rated, with variance in both.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> round(split_half(Ratings.from_matrix([[1, 2], [2, 1], [3, 3]]).panel()), 2)
        0.67
    """
    clip, subject, score = panel.cells()
    subjects, code = np.unique(subject, return_inverse=True)
    n, k = len(panel.clips), len(subjects)
    if k < 2:
        return None
    if len(score) == n * k:  # everybody rated everything: cells are in the order of the matrix
        scores, given = score.reshape(n, k), np.ones((1, k))
    else:
        scores, given = _sparse(clip, code, score, (n, k))
    generator = np.random.default_rng(_SEED)
    halves = np.zeros((k, _SPLITS))
    for draw in halves.T:
        draw[generator.permutation(k)[: k // 2]] = 1
    values = []
    for start in range(0, _SPLITS, size := max(1, _HELD // n)):
        part = halves[:, start : start + size]
        with np.errstate(invalid="ignore"):
            first = (scores @ part) / (given @ part)
            second = (scores @ (1 - part)) / (given @ (1 - part))
        both = np.isfinite(first) & np.isfinite(second)
        for x, y, rows in zip(first.T, second.T, both.T, strict=True):
            x, y = (x, y) if rows.all() else (x[rows], y[rows])  # noqa: PLW2901
            if len(x) >= 3 and np.ptp(x) > 1e-12 and np.ptp(y) > 1e-12:
                r = float(np.corrcoef(x, y)[0, 1])
                values.append(2 * r / (1 + abs(r)))
    return float(np.mean(values)) if values else None


def _sparse(clip: Codes, subject: Codes, score: Floats, shape: tuple[int, int]) -> Any:
    """Scores, and indicators of scores, as sparse matrices (clips, subjects)."""
    from scipy.sparse import csr_array

    ones = np.ones(len(score))
    return tuple(csr_array((values, (clip, subject)), shape=shape) for values in (score, ones))


def sos_exponent(ratings: Panel, low: float, high: float) -> float | None:
    """SOS exponent: least-squares fit of the clips' variances to ``a (mos - low) (high - mos)``.

    Args:
        ratings: The ratings.
        low: Lower end of the rating scale.
        high: Upper end of the rating scale.

    Returns:
        From 0 to 1; None where no clip with two ratings has a mean between the ends.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> round(sos_exponent(Ratings.from_matrix([[1, 2], [2, 4], [5, 5]]).panel(), 1, 5), 3)
        0.233
    """
    mean = ratings.clip_mean(ratings.score)
    variance = ratings.clip_mean((ratings.score - ratings.spread(mean)) ** 2)
    usable = ratings.counts >= 2
    possible = ((mean - low) * (high - mean))[usable]
    square = float(possible @ possible)
    return float(possible @ variance[usable]) / square if square > 0 else None
