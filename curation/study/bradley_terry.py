"""Bradley–Terry strengths of pairwise votes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .pairwise import PairwiseVotes

Floats = npt.NDArray[np.float64]
_LIMIT = 200


@dataclass(frozen=True)
class Strength:
    """Strength of a model, with its confidence interval.

    Attributes:
        value: Natural logarithm of the strength, with mean 0 over the models.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class BradleyTerry:
    """Result of the fit.

    Attributes:
        strengths: Strength by model; None if undefined, with the reason in `reason`.
        reason: `not-connected`: some models never lost (or never won) against the rest, so that the
            likelihood has no maximum.
        loglikelihood: Log-likelihood summed over the votes; None without strengths.
    """

    strengths: Mapping[str, Strength] | None
    reason: str | None
    loglikelihood: float | None


def bradley_terry(votes: PairwiseVotes, *, prior: float = 0.0) -> BradleyTerry:
    """Fit ``P(i beats j) = exp(b_i) / (exp(b_i) + exp(b_j))`` by maximum likelihood.

    References: R. A. Bradley and M. E. Terry, "Rank Analysis of Incomplete Block Designs",
    Biometrika 1952; D. R. Hunter, "MM algorithms for generalized Bradley-Terry models", Annals of
    Statistics 2004 (when a maximum exists). Intervals are those of the normal approximation, from
    the inverse of the information of the strengths with mean 0.

    Args:
        votes: Votes; a tie is half a win for both.
        prior: Number of virtual wins of every model against every other; if positive, the maximum
            always exists.

    Examples:
        >>> from theval_datasets.curation.study.pairwise import make_votes
        >>> votes = make_votes(["a"] * 4, ["b"] * 4, ["a", "a", "a", "b"])
        >>> round(bradley_terry(votes).strengths["a"].value, 3)
        0.549
    """
    wins = votes.wins + prior * (1.0 - np.eye(len(votes.models)))
    if not _connected(wins):
        return BradleyTerry(None, "not-connected", None)
    beta = _maximise(wins)
    covariance = np.linalg.pinv(_information(wins, beta))
    half = 1.959963984540054 * np.sqrt(np.diag(covariance))
    strengths = {
        name: Strength(float(b), float(b - h), float(b + h))
        for name, b, h in zip(votes.models, beta, half, strict=True)
    }
    chance = 1.0 / (1.0 + np.exp(beta[None, :] - beta[:, None]))
    return BradleyTerry(strengths, None, float((votes.wins * np.log(chance)).sum()))


def _connected(wins: Floats) -> bool:
    """Whether every model can be reached from every other along wins."""
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for _ in range(max(1, int(np.ceil(np.log2(len(wins)))))):
        reach = (reach.astype(np.int64) @ reach.astype(np.int64)) > 0
    return bool(reach.all())


def _maximise(wins: Floats) -> Floats:
    """Newton's steps with halving, from zero; the mean is kept at zero."""
    beta = np.zeros(len(wins))
    for _ in range(_LIMIT):
        step = np.linalg.pinv(_information(wins, beta)) @ _gradient(wins, beta)
        size = 1.0
        while size > 1e-6 and _loglikelihood(wins, beta + size * step) < _loglikelihood(wins, beta):
            size /= 2
        beta = beta + size * step
        beta -= beta.mean()
        if np.abs(step).max() < 1e-12:
            break
    return beta


def _chances(beta: Floats) -> Floats:
    chance: Floats = 1.0 / (1.0 + np.exp(beta[None, :] - beta[:, None]))
    return chance


def _loglikelihood(wins: Floats, beta: Floats) -> float:
    return float((wins * np.log(_chances(beta))).sum())


def _gradient(wins: Floats, beta: Floats) -> Floats:
    gradient: Floats = (wins - (wins + wins.T) * _chances(beta)).sum(axis=1)
    return gradient


def _information(wins: Floats, beta: Floats) -> Floats:
    chance = _chances(beta)
    weight = (wins + wins.T) * chance * (1.0 - chance)
    np.fill_diagonal(weight, 0.0)
    information: Floats = np.diag(weight.sum(axis=1)) - weight
    return information
