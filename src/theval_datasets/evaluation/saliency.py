"""Agreement of a predicted saliency map with human fixations.

Definitions follow Z. Bylinskii, T. Judd, A. Oliva, A. Torralba and F. Durand, "What do different
evaluation metrics tell us about saliency models?", TPAMI 2019. Where a distribution is needed, a map
with negative values is shifted to a minimum of 0, and a map that is 0 everywhere counts as uniform.
Undefined values are None, never 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

Map = npt.NDArray[Any]
Points = npt.NDArray[Any]
EPSILON = 2.2204e-16
"""Regularisation of the divergence where a map is 0; the value of the MIT benchmark's code."""


@dataclass(frozen=True)
class SaliencyScores:
    """All metrics of one picture; None where a metric is undefined.

    Attributes:
        auc: Tie-aware AUC against all pixels without fixation; None without fixations.
        auc_judd: AUC with thresholds at the fixated values only.
        auc_shuffled: AUC against fixations of other pictures; None without any.
        nss: Mean standardised saliency at the fixations; 0 for a map without variance.
        cc: Pearson's correlation of the two maps; None if one has no variance.
        sim: Histogram intersection of the two maps as distributions, in [0, 1].
        kld: Divergence of the prediction from the truth, in nats; 0 is best.
    """

    auc: float | None
    auc_judd: float | None
    auc_shuffled: float | None
    nss: float | None
    cc: float | None
    sim: float
    kld: float


def saliency_scores(
    predictions: Sequence[Map],
    truths: Sequence[Map],
    fixations: Sequence[Points],
    *,
    others: Sequence[Points] | None = None,
) -> list[SaliencyScores]:
    """All metrics of many pictures.

    Args:
        predictions: (height, width) each, any finite values; sizes may differ between pictures.
        truths: Ground-truth maps of the same sizes.
        fixations: (n, 2): row and column; n may be 0.
        others: Fixations of other pictures, for `auc_shuffled`; None leaves it out.

    Raises:
        InputError: If the sequences or sizes disagree.

    Examples:
        >>> truth = np.array([[0.0, 1.0], [0.0, 3.0]])
        >>> (scores,) = saliency_scores([truth], [truth], [np.array([[1, 1]])])
        >>> scores.auc, scores.sim, scores.cc
        (1.0, 1.0, 1.0)
    """
    pools = others if others is not None else [np.zeros((0, 2), np.int64)] * len(predictions)
    if not len(predictions) == len(truths) == len(fixations) == len(pools):
        raise InputError("expected as many predictions as truths, fixations and pools")
    scores = []
    for predicted, truth, points, pool in zip(predictions, truths, fixations, pools, strict=True):
        ranks = _Ranks(predicted)
        scores.append(
            SaliencyScores(
                auc=ranks.auc(points, negatives="unfixated"),
                auc_judd=auc_judd(predicted, points),
                auc_shuffled=auc_shuffled(predicted, points, pool),
                nss=nss(predicted, points),
                cc=cc(predicted, truth),
                sim=sim(predicted, truth),
                kld=kld(predicted, truth),
            )
        )
    return scores


def auc(
    predicted: Map, fixations: Points, *, negatives: Literal["unfixated", "all"] = "unfixated"
) -> float | None:
    """Probability that a fixated pixel is more salient than another; a tie counts a half.

    The Mann–Whitney statistic, so a monotone map of the values changes nothing.

    Args:
        predicted: (height, width): any finite values.
        fixations: (n, 2): row and column; a pixel may be repeated.
        negatives: Pixels without fixation, or every pixel (the "uniform" AUC).

    Returns:
        In [0, 1]; None without fixations or negatives.

    Examples:
        >>> auc(np.array([[0.1, 0.9], [0.2, 0.3]]), np.array([[0, 1]]))
        1.0
        >>> auc(np.zeros((2, 2)), np.array([[0, 1]]))
        0.5
    """
    return _Ranks(predicted).auc(fixations, negatives=negatives)


def auc_shuffled(predicted: Map, fixations: Points, pool: Points) -> float | None:
    """AUC against fixations of other pictures, which share the bias to the centre.

    Args:
        predicted: (height, width).
        fixations: (n, 2).
        pool: (m, 2): fixations of other pictures, in this one's pixels.

    Returns:
        In [0, 1]; None without fixations or pool.

    Examples:
        >>> auc_shuffled(np.array([[0.1, 0.9], [0.2, 0.3]]), np.array([[0, 1]]), np.array([[1, 1]]))
        1.0
    """
    values = _checked(predicted)
    positive = _at(values, fixations)
    negative = np.sort(_at(values, pool))
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, side="left")
    through = np.searchsorted(negative, positive, side="right")
    return float((below + through).mean() / (2 * len(negative)))


def auc_judd(predicted: Map, fixations: Points) -> float | None:
    """Area under the curve whose thresholds are the values at the fixations (Judd), without jitter.

    Reference: T. Judd, F. Durand and A. Torralba, "A Benchmark of Computational Models of Saliency
    to Predict Human Fixations", 2012. Ties are kept, where the original adds noise.

    Args:
        predicted: (height, width): any finite values.
        fixations: (n, 2): row and column.

    Returns:
        In [0, 1]; None without fixations or pixels beside them.

    Examples:
        >>> auc_judd(np.array([[0.1, 0.9], [0.2, 0.3]]), np.array([[0, 1]]))
        1.0
    """
    values = _checked(predicted)
    at = _at(values, fixations)
    unfixated = np.ones(values.shape, bool)
    points = _points(fixations)
    unfixated[points[:, 0], points[:, 1]] = False
    negative = np.sort(values[unfixated])
    if not len(at) or not len(negative):
        return None
    positive = np.sort(at)
    thresholds = np.unique(at)[::-1]
    hits = len(at) - np.searchsorted(positive, thresholds, side="left")
    alarms = len(negative) - np.searchsorted(negative, thresholds, side="left")
    true_rate = np.concatenate([[0.0], hits / len(at), [1.0]])
    false_rate = np.concatenate([[0.0], alarms / len(negative), [1.0]])
    return float(np.diff(false_rate) @ (true_rate[1:] + true_rate[:-1]) / 2)


def nss(predicted: Map, fixations: Points) -> float | None:
    """Mean of ``(map - mean) / std`` at the fixations; 0 for a map without variance.

    Args:
        predicted: (height, width): any finite values.
        fixations: (n, 2): row and column.

    Returns:
        In standard deviations of the map; None without fixations.

    Examples:
        >>> round(nss(np.array([[0.0, 0.0], [0.0, 4.0]]), np.array([[1, 1]])), 3)
        1.732
        >>> nss(np.ones((2, 2)), np.array([[1, 1]]))
        0.0
    """
    values = _checked(predicted)
    at = _at(values, fixations)
    if not len(at):
        return None
    deviation = values.std()
    if _flat(values):
        return 0.0
    return float(((at - values.mean()) / deviation).mean())


def cc(predicted: Map, truth: Map) -> float | None:
    """Pearson's correlation of two maps.

    Args:
        predicted: (height, width): any finite values.
        truth: (height, width): ground-truth map.

    Returns:
        −1 to 1; None if one of the maps has no variance.

    Examples:
        >>> cc(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.0, 2.0], [4.0, 6.0]]))
        1.0
    """
    first, second = _pair(predicted, truth)
    if _flat(first) or _flat(second):
        return None
    first, second = (values - values.mean() for values in (first, second))
    first, second = (values / np.abs(values).max() for values in (first, second))  # no underflow
    r = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
    return float(np.clip(r, -1.0, 1.0))


def sim(predicted: Map, truth: Map) -> float:
    """Histogram intersection: the sum over the pixels of the smaller of two distributions.

    Args:
        predicted: (height, width): any finite values.
        truth: (height, width): ground-truth map.

    Returns:
        In [0, 1]; 1 for equal maps.

    Examples:
        >>> sim(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]))
        0.5
    """
    first, second = _pair(predicted, truth)
    return min(1.0, float(np.minimum(_distribution(first), _distribution(second)).sum()))


def kld(predicted: Map, truth: Map, *, epsilon: float = EPSILON) -> float:
    """Kullback–Leibler divergence of the prediction from the truth: ``sum t log(ε + t / (p + ε))``.

    Args:
        predicted: (height, width): any finite values.
        truth: (height, width): ground-truth map.
        epsilon: Regularisation, which keeps the value finite where a map is 0.

    Returns:
        In nats; 0 is best.

    Examples:
        >>> kld(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]]), epsilon=0.0)
        0.0
    """
    first, second = _pair(predicted, truth)
    p, t = _distribution(first), _distribution(second)
    return float((t * np.log(epsilon + t / (p + epsilon))).sum())


class _Ranks:
    """A map's values sorted once, for the AUC against many points."""

    def __init__(self, predicted: Map) -> None:
        self._values = _checked(predicted)
        self._ordered = np.sort(self._values, axis=None)

    def auc(self, fixations: Points, *, negatives: str) -> float | None:
        positive = _at(self._values, fixations)
        if not len(positive):
            return None
        below = np.searchsorted(self._ordered, positive, side="left").astype(np.float64)
        through = np.searchsorted(self._ordered, positive, side="right").astype(np.float64)
        n_negative = len(self._ordered)
        if negatives == "unfixated":
            distinct = np.sort(_at(self._values, np.unique(_points(fixations), axis=0)))
            below -= np.searchsorted(distinct, positive, side="left")
            through -= np.searchsorted(distinct, positive, side="right")
            n_negative -= len(distinct)
        if not n_negative:
            return None
        return float((below + through).mean() / (2 * n_negative))


def _checked(values: Map) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InputError(f"expected a finite map of (height, width), got shape {array.shape}")
    return array


def _points(fixations: Points) -> npt.NDArray[np.int64]:
    return np.asarray(fixations, np.int64).reshape(-1, 2)


def _at(values: npt.NDArray[np.float64], fixations: Points) -> npt.NDArray[np.float64]:
    points = _points(fixations)
    if len(points) and (points.min() < 0 or (points >= np.array(values.shape)).any()):
        raise InputError(f"a fixation lies outside the map of {values.shape}")
    at: npt.NDArray[np.float64] = values[points[:, 0], points[:, 1]]
    return at


def _pair(predicted: Map, truth: Map) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    first, second = _checked(predicted), _checked(truth)
    if first.shape != second.shape:
        raise InputError(f"the maps differ in size: {first.shape} and {second.shape}")
    return first, second


def _flat(values: npt.NDArray[np.float64]) -> bool:
    return bool(values.max() == values.min())


def _distribution(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = values - min(0.0, float(values.min()))
    total = shifted.sum()
    if total == 0:
        return np.full(values.shape, 1.0 / values.size)
    distribution: npt.NDArray[np.float64] = shifted / total
    return distribution
