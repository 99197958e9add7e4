"""Rating scales, as declared, or as suggested by the scores.

Tables mark missing ratings by an empty cell, or by a number that is not a rating, such as -1 or 99. Such a
number would silently distort averages. Scores outside the scale of all others are therefore refused until
the scale or the missing code is declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from theval_datasets.errors import RatingsError

from .panel import Codes, Flags, Floats

STANDARD_SCALES: Final = (
    (1.0, 5.0), (0.0, 5.0), (1.0, 7.0), (1.0, 9.0), (0.0, 10.0), (1.0, 10.0), (0.0, 100.0),
    (1.0, 100.0), (-2.0, 2.0), (-3.0, 3.0),
)  # fmt: skip
"""Scales of ITU-R BT.500, ITU-T P.910 and common practice, the narrowest of those that fit first."""
_CODES: Final = frozenset(
    {
        -1.0,
        -2.0,
        -7.0,
        -8.0,
        -9.0,
        -77.0,
        -88.0,
        -99.0,
        -999.0,
        -9999.0,
        77.0,
        88.0,
        99.0,
        999.0,
        9999.0,
    }
)
"""Numbers that tables use for "not rated"."""
_WEAK_CODES: Final = frozenset({8.0, 9.0})
"""Numbers that tables use for "not rated", and that are grades of common scales too."""
_WEAK_FROM: Final = 10  # ratings that tell an isolated weak code from a grade
_ISOLATED: Final = 3.0  # smallest distance of an isolated number from all others
_ISOLATED_OF_FEW: Final = 4.0  # the same where there are few others
_FEW: Final = 15  # ratings that are no longer few
_GAPS: Final = 2.0  # smallest ratio of that distance to the largest gap between the others
_SHARES: Final = (0.0, 1.0)
"""A scale of shares, which is looked at where scores have fractions."""
_AROUND_ZERO: Final = (
    20  # ratings without 0 that tell a negative code from a grade of a scale around 0
)
_SEVERAL: Final = 12  # ratings that tell a mistake beyond all scales of grades
_STRAY: Final = 0.05  # share of scores up to which any number off the scale is a mistake
_STRAY_GRADE: Final = 50  # ratings for each of some mistakes that may be grades of a wider scale
_MOSTLY: Final = 0.5  # share of scores up to which a weak code is a missing code
_USED: Final = 0.1  # share of the scale at both ends within which ratings show that it is the scale
_GRADES: Final = 10.0  # width of the widest scale of grades
_FEWEST_SCORES: Final = 3  # of a subject whose grades may be those of a wider scale
_FEWEST_NAMES: Final = 5  # of a table in which one name can be off the scale of the others
_APART: Final = 1.0  # distance from the end of the scale beyond which a number is off the scale


@dataclass(frozen=True)
class Scale:
    """The ends of a rating scale.

    Attributes:
        low: Smallest possible rating.
        high: Largest possible rating.
        declared: Whether the scale was declared; otherwise it is inferred from the scores.
    """

    low: float
    high: float
    declared: bool

    def to_text(self) -> str:
        """Text such as ``1 … 5 (apparent)``.

        Examples:
            >>> Scale(1, 5, declared=False).to_text()
            '1 … 5 (apparent)'
        """
        return f"{self.low:g} … {self.high:g}" + ("" if self.declared else " (apparent)")


def apparent_scale(scores: Floats) -> Scale:
    """The narrowest standard scale that holds all scores, else from the smallest to the largest.

    Scales around 0 hold negative scores only. A scale from 0 to 1 is one of scores with fractions.

    Args:
        scores: float64 (n,), n at least 1, finite.

    Examples:
        >>> apparent_scale(np.array([2.0, 4.0])).to_text()
        '1 … 5 (apparent)'
    """
    low, high = float(scores.min()), float(scores.max())
    scales = _scales_of(np.unique(scores))
    fitting = [
        ends for ends in scales if ends[0] <= low and high <= ends[1] and (low < 0 or ends[0] >= 0)
    ]
    low, high = min(fitting, key=lambda ends: ends[1] - ends[0], default=(low, high))
    return Scale(low, high, declared=False)


def off_scale(scores: Floats) -> tuple[Scale, Flags] | None:
    """Scores off the scale of all others.

    These are more than one grade and a tenth of the scale beyond its end, and either usual missing
    codes, however many, or other numbers in up to 5 % of the scores (one in small tables). The latter
    need evidence for the scale: the others reach both of its ends or are at least twelve, and where all
    scores fit a scale of at most ten grades the others reach both ends and are 50 for each. Of 8 and 9, which are
    missing codes too, up to half of the scores are off the scale of ten others if they are at least three
    grades (four where the others are fewer than fifteen), and two of the widest gaps of the others, away from them. Negative
    codes that fit a scale around 0 need 20 others, none of them 0, or outnumber the others.

    Args:
        scores: float64 (n,), finite.

    Returns:
        The scale of the others, and bool (n,): the scores off it; None if there are none.

    Examples:
        >>> scale, apart = off_scale(np.array([1.0, 3.0, 5.0, 4.0, -1.0]))
        >>> scale.to_text(), apart.tolist()
        ('1 … 5 (apparent)', [False, False, False, False, True])
    """
    values, counts = np.unique(scores, return_counts=True)
    for scale in _scales_of(values):
        outside = (values < scale[0]) | (values > scale[1])
        if not outside.any():
            return None
        distance = np.maximum(scale[0] - values, values - scale[1])
        margin = max(_APART, (scale[1] - scale[0]) / 10)
        below_zero = (values < 0) & (scale[0] >= 0)
        apart = outside & ((distance > margin) | below_zero)
        if (apart == outside).all() and not outside.all():
            strays = outside & ~np.isin(values, list(_CODES))
            if scale != _SHARES and _are_ambiguous(values, counts, outside):
                continue
            if not strays.any() or _are_mistakes(values, counts, outside, strays, scale):
                return Scale(*scale, declared=False), np.isin(scores, values[outside])
    return None


def _scales_of(values: Floats) -> list[tuple[float, float]]:
    """The scales to compare some scores with, the narrowest first."""
    scales = sorted(STANDARD_SCALES, key=lambda ends: ends[1] - ends[0])
    plain = values[~np.isin(values, list(_CODES))]
    shares = len(plain) and plain.min() >= 0 and plain.max() <= 1 and (plain % 1 != 0).any()
    return [_SHARES, *scales] if shares else scales


def _are_ambiguous(values: Floats, counts: Codes, outside: Flags) -> bool:
    """Whether negative codes may be grades of a scale around 0."""
    if values[0] >= 0 or not any(
        low < 0 and low <= values[0] and values[-1] <= high for low, high in STANDARD_SCALES
    ):
        return False
    n_others, n_codes = counts[~outside].sum(), counts[outside].sum()
    return bool(n_codes <= n_others and (0.0 in values or n_others < _AROUND_ZERO))


def _are_mistakes(
    values: Floats, counts: Codes, outside: Flags, strays: Flags, scale: tuple[float, float]
) -> bool:
    """Whether numbers off a scale that are no usual missing codes are mistakes, not a wider scale.

    Args:
        values: float64 (n,): the distinct scores.
        counts: int64 (n,): how often each occurs.
        outside: bool (n,): those off the scale.
        strays: bool (n,): those of them that are no usual missing codes.
        scale: The ends of the scale.
    """
    n_others, n_strays = int(counts[~outside].sum()), int(counts[strays].sum())
    n, graded = n_others + n_strays, _are_grades(values[~outside | strays])
    weak = n_others >= _WEAK_FROM and np.isin(values[strays], list(_WEAK_CODES)).all()
    if weak and _are_isolated(values[strays], values[~outside], n_others):
        return n_strays <= _MOSTLY * n
    if not _is_used(values[~outside], scale) and (graded or n_others < _SEVERAL):
        return False
    if n_strays > max(1, int(_STRAY * n)):
        return False
    return not graded or n_others >= _STRAY_GRADE * n_strays


def _are_isolated(strays: Floats, others: Floats, n_others: int) -> bool:
    """Whether numbers above all others are so far from them that grades of a wider scale are unlikely.

    In simulated studies of 25 ratings from 1 to 5 a missing code 9 is isolated in all but one of a thousand, an
    8 in all but four of a hundred; on scales to 9 or 10, eight studies of a thousand are refused.

    Args:
        strays: float64 (m,): the numbers, m of at least 1, sorted.
        others: float64 (n,): the distinct others, n of at least 1, sorted.
        n_others: Number of ratings among the others.
    """
    distance = float(strays[0] - others[-1])
    widest = float(np.diff(others).max(initial=0))
    least = _ISOLATED_OF_FEW if n_others < _FEW else _ISOLATED
    return distance >= max(least, _GAPS * widest)


def _is_used(scores: Floats, scale: tuple[float, float]) -> bool:
    """Whether scores reach both ends of a scale."""
    slack = _USED * (scale[1] - scale[0])
    return bool(scores.min() <= scale[0] + slack and scores.max() >= scale[1] - slack)


def _are_grades(scores: Floats) -> bool:
    """Whether all scores fit a standard scale of at most ten grades."""
    low, high = scores.min(), scores.max()
    return any(
        ends[0] <= low and high <= ends[1] and ends[1] - ends[0] <= _GRADES
        for ends in STANDARD_SCALES
    )


def names_off_scale(
    scores: Floats, codes: Codes, n_names: int, *, people: bool = False
) -> tuple[Scale, Codes] | None:
    """Subjects, or clips, whose scores are all off the scale of the scores of all others.

    Such a name is likely a column of facts, such as an age. Looked at are tables of at least five
    names, up to a fifth of which may be off the scale by more than one grade and a tenth of it. Where all
    scores fit a scale of at most ten grades, a clip may simply be better than the others; only a subject
    with three scores is off the scale then.

    Args:
        scores: float64 (n,), finite.
        codes: int64 (n,): the name of each score, 0 to ``n_names - 1``.
        n_names: Number of names.
        people: Whether they name subjects, who rate the same clips; otherwise they name clips.

    Returns:
        The scale of the others, and int64 (m,): the names off it, m of at least 1; None if there are
        none.

    Examples:
        >>> scores, codes = np.array([1.0, 5, 4, 2, 1, 31, 28]), np.array([0, 1, 2, 3, 4, 5, 5])
        >>> scale, names = names_off_scale(scores, codes, 6)
        >>> scale.to_text(), names.tolist()
        ('1 … 5 (apparent)', [5])
    """
    if n_names < _FEWEST_NAMES:
        return None
    low, high = np.full(n_names, np.inf), np.full(n_names, -np.inf)
    np.minimum.at(low, codes, scores)
    np.maximum.at(high, codes, scores)
    graded, counts = _are_grades(scores), np.bincount(codes, minlength=n_names)
    for n_apart in range(1, n_names // _FEWEST_NAMES + 1):
        for apart in (np.argsort(-low, kind="stable"), np.argsort(high, kind="stable")):
            names = apart[:n_apart]
            if graded and not (people and counts[names].min() >= _FEWEST_SCORES):
                continue
            scale = apparent_scale(scores[~np.isin(codes, names)])
            margin = max(_APART, (scale.high - scale.low) / 10)
            if (np.maximum(scale.low - high[names], low[names] - scale.high) > margin).all():
                return scale, np.sort(names)
    return None


def check_names(scores: Floats, codes: Codes, names: Sequence[str], noun: str, where: str) -> None:
    """Check that no subject, or clip, has scores of another scale; see `names_off_scale`.

    Args:
        scores: float64 (n,), finite.
        codes: int64 (n,): index of the name of each score.
        names: Names of the subjects or clips.
        noun: Kind of the names, `subject` or `clip`.
        where: Name of the table for messages.

    Raises:
        RatingsError: Some have scores of another scale.
    """
    off = names_off_scale(scores, codes, len(names), people=noun == "subject")
    if off is None:
        return
    scale, apart = off
    first = scores[codes == apart[0]]
    raise RatingsError(
        f"{where}: every score of {', '.join(repr(names[i]) for i in apart[:3])} is off the scale "
        f"{scale.low:g} … {scale.high:g} of all other {noun}s, from {first.min():g} to "
        f"{first.max():g}. If such a {noun} is none, remove it (study --ignore COLUMN); if these are "
        "ratings, declare the scale (study --scale LOW HIGH; `scale: [LOW, HIGH]` in the protocol of a "
        "build)"
    )


def check_scale(
    scores: Floats, rows: Sequence[int], declared: tuple[float, float] | None, where: str
) -> Scale:
    """The scale of some scores, after checking that no score is off it.

    Args:
        scores: float64 (n,), finite.
        rows: Row of each score in its table, from 1.
        declared: Declared ends of the scale; None for the apparent scale.
        where: Name of the table for messages.

    Raises:
        RatingsError: For scores off the scale; the message explains how to declare scale or missing code.

    Examples:
        >>> check_scale(np.array([2.0, 4.0]), [1, 2], (1, 9), "votes.csv").to_text()
        '1 … 9'
    """
    if declared is not None:
        scale = Scale(*declared, declared=True)
        outside = (scores < scale.low) | (scores > scale.high)
        if not outside.any():
            return scale
        kind = "declared"
    else:
        off = off_scale(scores)
        if off is None:
            return apparent_scale(scores)
        scale, outside = off
        kind = "apparent"
    shown = ", ".join(f"{scores[i]:g} in row {rows[i]}" for i in np.flatnonzero(outside)[:3])
    first = f"{scores[np.flatnonzero(outside)[0]]:g}"
    raise RatingsError(
        f"{where}: {int(outside.sum())} of {len(scores)} scores are off the {kind} scale "
        f"{scale.low:g} … {scale.high:g}, the first: {shown}. If such a number means 'not rated', "
        f"declare it (study --missing-code {first}; `missing_codes: [{first}]` in the protocol of "
        "a build) or empty those cells; if it is a rating, declare the scale (study --scale LOW "
        "HIGH; `scale: [LOW, HIGH]` in the protocol)"
    )
