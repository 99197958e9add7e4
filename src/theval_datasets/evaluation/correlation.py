"""How well predicted scores agree with opinion scores: SRCC, PLCC, KRCC, RMSE.

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
FittedBefore = Literal["none", "linear", "logistic4", "logistic5"]


@dataclass(frozen=True)
class Agreement:
    """The usual four, and PLCC and RMSE after a fitted map; None where undefined.

    Attributes:
        srcc: Spearman's.
        plcc: Pearson's.
        krcc: Kendall's tau-b.
        rmse: Root mean squared error of the predictions as they are.
        plcc_mapped: Pearson's after the map.
        rmse_mapped: After the map.
        mapping: Which one.
        n: How many pairs.
    """

    srcc: float | None
    plcc: float | None
    krcc: float | None
    rmse: float | None
    plcc_mapped: float | None
    rmse_mapped: float | None
    mapping: FittedBefore
    n: int


def agreement(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, mapping: FittedBefore = "logistic4"
) -> Agreement:
    """All four at once, as image and video quality papers report them.

    Args:
        predicted: A metric's values.
        opinion: Mean opinion scores, in the same order.
        mapping: What is fitted before `plcc_mapped` and `rmse_mapped`.
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
    """Spearman's rank correlation: Pearson's of the average ranks.

    Reference: C. Spearman, "The Proof and Measurement of Association between Two Things", 1904.

    >>> srcc([1, 2, 3], [10, 20, 15])
    0.5
    """
    from scipy.stats import rankdata

    x, y = pair(predicted, opinion)
    return _pearson(rankdata(x), rankdata(y))


def plcc(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, mapping: FittedBefore = "none"
) -> float | None:
    """Pearson's linear correlation, if wanted after a fitted map.

    Args:
        predicted: A metric's values.
        opinion: Mean opinion scores.
        mapping: See `theval_datasets.evaluation.logistic`.
    """
    x, y = pair(predicted, opinion)
    mapped = _mapped(x, y, mapping)
    return None if mapped is None else _pearson(mapped, y)


def krcc(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, variant: Literal["b", "c"] = "b"
) -> float | None:
    """Kendall's rank correlation, tau-b or tau-c (Stuart's, for tables that are not square).

    Reference: M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 1945.
    """
    from scipy.stats import kendalltau

    x, y = pair(predicted, opinion)
    if len(x) < 2 or _constant(x) or _constant(y):
        return None
    return float(kendalltau(x, y, variant=variant).statistic)


def rmse(
    predicted: npt.ArrayLike, opinion: npt.ArrayLike, *, mapping: FittedBefore = "none"
) -> float | None:
    """Root of the mean squared error, if wanted after a fitted map; None without pairs."""
    x, y = pair(predicted, opinion)
    mapped = _mapped(x, y, mapping)
    if mapped is None or not len(y):
        return None
    return float(np.sqrt(((mapped - y) ** 2).mean()))


def pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Two finite one-dimensional arrays of equal length.

    Raises:
        InputError: If they are not.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"expected two sequences of equal length, got {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("expected finite values; leave out pairs in which one is undefined")
    return x, y


def _mapped(x: Floats, y: Floats, mapping: FittedBefore) -> Floats | None:
    if mapping == "none":
        return x
    from .logistic import fit_map

    fitted = fit_map(x, y, mapping)
    return None if fitted is None else fitted(x)


def _constant(values: Floats) -> bool:
    return bool(values.max() == values.min())


def _pearson(x: Floats, y: Floats) -> float | None:
    if len(x) < 2 or _constant(x) or _constant(y):
        return None
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(np.clip((x @ y) / scale, -1.0, 1.0)) if scale > 0 else None
