"""A leaderboard against human preference, as in THEval's user study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from theval_datasets.errors import InputError

from .resampling import Interval, bootstrap, permutation_p

REFERENCE = "GT"
"""Usual name of the row of real videos."""


@dataclass(frozen=True)
class PreferenceCorrelation:
    """Spearman's correlation of a metric with people's preference between models.

    Attributes:
        interval: Correlation, −1 to 1, and its bootstrap interval over the models.
        p_value: Two-sided p value by permutation, 0 to 1; None if undefined.
        models: Models with a value and a preference, sorted.
    """

    interval: Interval
    p_value: float | None
    models: tuple[str, ...]


def preference_correlation(
    values: Mapping[str, float | None],
    preference: Mapping[str, float],
    *,
    reference: str | None = REFERENCE,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, PreferenceCorrelation]:
    """Correlate a metric with win rates (or Bradley–Terry strengths), with and without real videos.

    Real videos win nearly always and score best by construction, so that their row inflates the
    correlation of every metric: both figures are given.

    Args:
        values: Model to a metric or the final score; None is left out.
        preference: Model to win rate, 0 to 1, or strength.
        reference: Name of the row of real videos.
        n_resamples: Number of bootstrap resamples, and of permutations of the test.
        seed: Seed of both.

    Returns:
        `without` the reference, and `with` it if both sides have it.

    Raises:
        InputError: If fewer than three models are common to both.

    Examples:
        >>> values = {"A": 0.9, "B": 0.7, "C": 0.5, "D": 0.2}
        >>> preference = {"A": 0.8, "B": 0.6, "C": 0.4, "D": 0.1}
        >>> correlation = preference_correlation(values, preference, n_resamples=100)
        >>> round(correlation["without"].interval.value, 3)
        1.0
    """
    common = sorted(
        name for name, value in values.items() if value is not None and name in preference
    )
    models = [name for name in common if name != reference]
    if len(models) < 3:
        raise InputError(
            f"expected at least three models with a value and a preference, got {len(models)}: "
            f"{', '.join(models) or 'none'}; do both sides use the same names?"
        )
    out = {"without": _correlate(values, preference, models, n_resamples, seed)}
    if reference in common:
        out["with"] = _correlate(values, preference, common, n_resamples, seed)
    return out


def _correlate(
    values: Mapping[str, float | None],
    preference: Mapping[str, float],
    models: list[str],
    n_resamples: int,
    seed: int,
) -> PreferenceCorrelation:
    x = [values[name] or 0.0 for name in models]
    y = [preference[name] for name in models]
    return PreferenceCorrelation(
        interval=bootstrap(x, y, "srcc", n_resamples=n_resamples, seed=seed),
        p_value=permutation_p(x, y, "srcc", n_permutations=n_resamples, seed=seed),
        models=tuple(models),
    )
