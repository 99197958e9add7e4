"""Confidence intervals and permutation tests, vectorised and seeded.

A resample of n pairs is the same n pairs with whole-number weights, so the correlations of all
resamples are computed at once from a matrix of weights; ranks with ties follow from cumulative
weights along the sorted sample, without sorting again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError, UnknownNameError

from .correlation import krcc, pair, plcc, rmse, srcc

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float | None]
_CHUNK = 4_000_000
"""Weights held at once."""


@dataclass(frozen=True)
class Interval:
    """A statistic and its bootstrap interval.

    Attributes:
        value: Value of the sample itself; None if undefined.
        low: Lower bound; None if no resample is defined.
        high: Upper bound; None if no resample is defined.
        level: Confidence level, 0 to 1.
        n_resamples: Number of resamples drawn.
        n_undefined: Number of resamples without a value (one side has no variance), left out.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    n_resamples: int
    n_undefined: int


@dataclass(frozen=True)
class MeanInterval:
    """A mean of independent values and its interval.

    Attributes:
        mean: Mean of the values; None without values.
        low: Lower bound; None with fewer than two values.
        high: Upper bound; None with fewer than two values.
        level: Confidence level, 0 to 1.
        n: Number of values.
    """

    mean: float | None
    low: float | None
    high: float | None
    level: float
    n: int


def mean_interval(
    values: npt.ArrayLike,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> MeanInterval:
    """Mean and confidence interval by Student's t distribution, as for a measure over folds.

    Folds share training clips, so for them the interval is an approximation that is too narrow.

    Args:
        values: (n,): finite values.
        level: Confidence level, 0 to 1.
        bounds: Range of the measure, beyond which the interval does not reach: a correlation is at most 1.

    Examples:
        >>> interval = mean_interval([1.0, 2.0, 3.0])
        >>> interval.mean, round(interval.high, 3)
        (2.0, 4.484)
        >>> mean_interval([0.9, 1.0], bounds=(-1, 1)).high
        1.0
    """
    from scipy.stats import t

    x, _ = pair(values, values)
    if not 0 < level < 1:
        raise InputError(f"expected a level in (0, 1), got {level}")
    if len(x) < 2:
        return MeanInterval(float(x[0]) if len(x) else None, None, None, level, len(x))
    mean = float(x.mean())
    half = float(t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    low, high = max(mean - half, bounds[0]), min(mean + half, bounds[1])
    return MeanInterval(mean, float(low), float(high), level, len(x))


def bootstrap(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    statistic: str | Statistic = "srcc",
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic of pairs (B. Efron, 1979).

    Args:
        x: (n,): finite values.
        y: (n,): finite values, in the same order.
        statistic: `srcc`, `plcc`, `krcc` (tau-b) or `rmse`, which are vectorised, or a function of
            the two resampled arrays, undefined where it returns None or no finite number.
        n_resamples: Number of resamples of the pairs, drawn with replacement.
        level: Confidence level, 0 to 1.
        seed: Seed of the resampling.

    Examples:
        >>> interval = bootstrap([1, 2, 3, 4, 5], [1, 2, 3, 5, 4], n_resamples=200)
        >>> round(interval.value, 3), interval.low < interval.value <= interval.high
        (0.9, True)
    """
    first, second = pair(x, y)
    if not 0 < level < 1 or n_resamples < 1:
        raise InputError(f"expected a level in (0, 1) and resamples, got {level}, {n_resamples}")
    values = _resampled(first, second, statistic, n_resamples, seed)
    defined = values[np.isfinite(values)]
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (None, None)
    return Interval(
        value=_single(statistic)(first, second),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        level=level,
        n_resamples=n_resamples,
        n_undefined=len(values) - len(defined),
    )


def permutation_p(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    statistic: str | Statistic = "srcc",
    *,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> float | None:
    """Two-sided p value of "no association", by permutation.

    ``(1 + #{|t*| >= |t|}) / (1 + permutations)`` (B. Phipson and G. K. Smyth, 2010), with a relative
    tolerance of 1e-12 for ties.

    Args:
        x: (n,): finite values.
        y: (n,): finite values, in the same order.
        statistic: `srcc`, `plcc`, `krcc` or a function, undefined where it returns None or no finite
            number; larger in size means more association.
        n_permutations: Number of shuffles.
        seed: Seed of the shuffling.

    Returns:
        p value, 0 to 1; None if the statistic is undefined.

    Examples:
        >>> permutation_p(list(range(10)), list(range(10)), n_permutations=999)
        0.001
    """
    first, second = pair(x, y)
    if statistic == "rmse":
        raise InputError("rmse measures no association: use srcc, plcc, krcc or a function")
    single = _single(statistic)
    observed = single(first, second)
    if observed is None:
        return None
    rng = np.random.default_rng(seed)
    extreme, done = 0, 0
    limit = abs(observed) * (1 - 1e-12)
    rows = max(1, _CHUNK // max(1, len(second)))
    while done < n_permutations:
        count = min(rows, n_permutations - done)
        shuffled = rng.permuted(np.tile(second, (count, 1)), axis=1)
        extreme += int((np.abs(_of_shuffled(first, shuffled, statistic)) >= limit).sum())
        done += count
    return (1 + extreme) / (1 + n_permutations)


def _single(statistic: str | Statistic) -> Statistic:
    known: dict[str, Statistic] = {"srcc": srcc, "plcc": plcc, "krcc": krcc, "rmse": rmse}
    if callable(statistic):
        given = statistic

        def defined(x: Floats, y: Floats) -> float | None:
            value = given(x, y)
            return value if value is not None and np.isfinite(value) else None

        return defined
    if statistic not in known:
        raise UnknownNameError("statistic", statistic, known)
    return known[statistic]


def _of_shuffled(x: Floats, shuffled: Floats, statistic: str | Statistic) -> Floats:
    if statistic in ("srcc", "plcc"):
        from scipy.stats import rankdata

        if statistic == "srcc":
            x, shuffled = rankdata(x), rankdata(shuffled, axis=1)
        x = x - x.mean()
        rows = shuffled - shuffled.mean(axis=1, keepdims=True)
        r: Floats = rows @ x / np.sqrt((x @ x) * (rows**2).sum(axis=1))
        return r
    single = _single(statistic)
    values = [single(x, row) for row in shuffled]
    return np.array([0.0 if value is None else value for value in values])


def _resampled(
    x: Floats, y: Floats, statistic: str | Statistic, n_resamples: int, seed: int
) -> Floats:
    n = len(x)
    if n == 0:
        return np.full(n_resamples, np.nan)
    rng = np.random.default_rng(seed)
    single = _single(statistic)
    rows = max(1, _CHUNK // n)
    parts = []
    done = 0
    while done < n_resamples:
        count = min(rows, n_resamples - done)
        chosen = rng.integers(0, n, (count, n))
        if callable(statistic):
            single_values = [single(x[row], y[row]) for row in chosen]
            parts.append(np.array([np.nan if v is None else v for v in single_values]))
        else:
            flat = (chosen + np.arange(count)[:, None] * n).ravel()
            weights = np.bincount(flat, minlength=count * n).reshape(count, n).astype(np.float64)
            parts.append(_weighted(x, y, weights, statistic))
        done += count
    return np.concatenate(parts)


def _weighted(x: Floats, y: Floats, weights: Floats, statistic: str) -> Floats:
    """The statistic of every resample at once; NaN where it is undefined."""
    if statistic == "rmse":
        mean: Floats = np.sqrt(weights @ ((x - y) ** 2) / weights.sum(axis=1))
        return mean
    if statistic == "krcc":
        return _weighted_kendall(x, y, weights)
    if statistic == "srcc":
        return _weighted_pearson(_weighted_ranks(x, weights), _weighted_ranks(y, weights), weights)
    return _weighted_pearson(x[None, :], y[None, :], weights)


def _weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Average rank of each value within each resample."""
    order = np.argsort(values, kind="stable")
    first = np.flatnonzero(np.concatenate([[True], values[order][1:] != values[order][:-1]]))
    group = np.add.reduceat(weights[:, order], first, axis=1)
    middle = np.cumsum(group, axis=1) - (group - 1) / 2
    lengths = np.diff(np.append(first, len(values)))
    ranks = np.empty_like(weights)
    ranks[:, order] = np.repeat(middle, lengths, axis=1)
    return ranks


def _weighted_pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    xx, yy = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    tiny = 1e-24 * np.abs(xx).max(initial=0.0) * np.abs(yy).max(initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r: Floats = np.where(
            xx * yy > tiny, (weights * x * y).sum(axis=1) / np.sqrt(xx * yy), np.nan
        )
    return np.clip(r, -1.0, 1.0)


def _weighted_kendall(x: Floats, y: Floats, weights: Floats) -> Floats:
    sx, sy = np.sign(x[:, None] - x[None, :]), np.sign(y[:, None] - y[None, :])

    def over_pairs(matrix: Floats) -> Floats:
        total: Floats = np.einsum("bi,bi->b", weights @ matrix, weights)
        return total

    agree, in_x, in_y = over_pairs(sx * sy), over_pairs(np.abs(sx)), over_pairs(np.abs(sy))
    with np.errstate(invalid="ignore", divide="ignore"):
        tau: Floats = np.where(in_x * in_y > 0, agree / np.sqrt(in_x * in_y), np.nan)
    return tau
