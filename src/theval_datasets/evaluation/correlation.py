"""Agreement of predicted scores with opinion scores: SRCC, PLCC, KRCC, RMSE.

Every function takes two sequences of equal length and returns None where the value is undefined
(fewer than two pairs, or one side without variance). Ties get average ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

Floats = npt.NDArray[np.float64]
MapName = Literal["none", "linear", "logistic4", "logistic5"]


@dataclass(frozen=True)
class Agreement:
    """SRCC, PLCC, KRCC and RMSE, and PLCC and RMSE after a fitted map; None where undefined.

    Attributes:
        srcc: Spearman's rank correlation, −1 to 1.
        plcc: Pearson's linear correlation, −1 to 1.
        krcc: Kendall's tau-b, −1 to 1.
        rmse: Root mean squared error of the predictions without a map.
        plcc_mapped: Pearson's linear correlation after the map.
        rmse_mapped: Root mean squared error after the map.
        mapping: Name of the map.
        n: Number of pairs.
    """

    srcc: float | None
    plcc: float | None
    krcc: float | None
    rmse: float | None
    plcc_mapped: float | None
    rmse_mapped: float | None
    mapping: MapName
    n: int


def agreement(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, mapping: MapName = "logistic4"
) -> Agreement:
    """SRCC, PLCC, KRCC and RMSE at once, as image and video quality papers report them.

    Args:
        predicted: (n,): values of a metric, finite.
        opinion: (n,): mean opinion scores, in the same order.
        mapping: Map that is fitted before `plcc_mapped` and `rmse_mapped`.

    Examples:
        >>> scores = agreement([0.1, 0.4, 0.5, 0.9], [1.0, 3.0, 2.0, 5.0], mapping="linear")
        >>> round(scores.srcc, 3), scores.n
        (0.8, 4)
    """
    return Agreement(
        srcc=srcc(predicted, opinion),
        plcc=plcc(predicted, opinion),
        krcc=krcc(predicted, opinion),
        rmse=rmse(predicted, opinion),
        plcc_mapped=plcc(predicted, opinion, mapping=mapping),
        rmse_mapped=rmse(predicted, opinion, mapping=mapping),
        mapping=mapping,
        n=len(np.asarray(predicted)),
    )


def srcc(predicted: npt.ArrayLike, opinion: npt.ArrayLike) -> float | None:
    """Spearman's rank correlation: Pearson's correlation of the average ranks.

    Reference: C. Spearman, "The Proof and Measurement of Association between Two Things", 1904.

    Args:
        predicted: (n,): values of a metric, finite.
        opinion: (n,): mean opinion scores, in the same order.

    Returns:
        −1 to 1; None if undefined.

    Examples:
        >>> srcc([1, 2, 3], [10, 20, 15])
        0.5
    """
    from scipy.stats import rankdata

    x, y = pair(predicted, opinion)
    return _pearson(rankdata(x), rankdata(y))


def plcc(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, mapping: MapName = "none"
) -> float | None:
    """Pearson's linear correlation, optionally after a fitted map.

    Args:
        predicted: (n,): values of a metric, finite.
        opinion: (n,): mean opinion scores, in the same order.
        mapping: Name of the map; see `theval_datasets.evaluation.logistic`.

    Returns:
        −1 to 1; None if undefined, as where the fitted map is a constant.

    Examples:
        >>> plcc([1, 2, 3], [2, 4, 6])
        1.0
        >>> plcc([1, 2, 3], [4, 4, 4]) is None  # one side does not vary
        True
    """
    x, y = pair(predicted, opinion)
    mapped = _mapped(x, y, mapping)
    if mapped is None or (mapping != "none" and _level(mapped, y)):
        return None
    return _pearson(mapped, y)


def krcc(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, variant: Literal["b", "c"] = "b"
) -> float | None:
    """Kendall's rank correlation, tau-b or tau-c (Stuart's, for tables that are not square).

    Reference: M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 1945.

    Args:
        predicted: (n,): values of a metric, finite.
        opinion: (n,): mean opinion scores, in the same order.
        variant: Tau-b or tau-c.

    Returns:
        −1 to 1; None if undefined.

    Examples:
        >>> round(krcc([1, 2, 3, 4], [10, 30, 20, 40]), 3)
        0.667
    """
    from scipy.stats import kendalltau

    x, y = pair(predicted, opinion)
    if len(x) < 2 or _constant(x) or _constant(y):
        return None
    return float(kendalltau(x, y, variant=variant).statistic)


def rmse(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, mapping: MapName = "none"
) -> float | None:
    """Root mean squared error, optionally after a fitted map.

    Args:
        predicted: (n,): values of a metric, finite, on the scale of the opinion scores unless a map is
            fitted.
        opinion: (n,): mean opinion scores, in the same order.
        mapping: Name of the map; see `theval_datasets.evaluation.logistic`.

    Returns:
        At least 0, on the scale of the opinion scores; None without pairs.

    Examples:
        >>> round(rmse([1.0, 2.0], [1.0, 4.0]), 3)
        1.414
    """
    x, y = pair(predicted, opinion)
    mapped = _mapped(x, y, mapping)
    if mapped is None or not len(y):
        return None
    return float(np.sqrt(((mapped - y) ** 2).mean()))


def pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Two finite one-dimensional arrays of equal length.

    Raises:
        InputError: If they are not.

    Examples:
        >>> pair([1, 2], [3, 4])[1].tolist()
        [3.0, 4.0]
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"expected two sequences of equal length, got {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("expected finite values; leave out pairs in which one is undefined")
    return x, y


def _mapped(x: Floats, y: Floats, mapping: MapName) -> Floats | None:
    if mapping == "none":
        return x
    from .logistic import fit_map

    fitted = fit_map(x, y, mapping)
    return None if fitted is None else fitted(x)


def _level(mapped: Floats, y: Floats) -> bool:
    """Whether a fitted map is a constant but for rounding, so that its correlation is one of noise."""
    return bool(np.ptp(mapped) <= 1e-9 * np.ptp(y) + 1e-14 * np.abs(y).max())


def _constant(values: Floats) -> bool:
    return bool(values.max() == values.min())


def _pearson(x: Floats, y: Floats) -> float | None:
    if len(x) < 2 or _constant(x) or _constant(y):
        return None
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(np.clip((x @ y) / scale, -1.0, 1.0)) if scale > 0 else None
