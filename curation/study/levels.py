"""Quality levels: five equal intervals between the smallest and the largest score of a set."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

LEVELS = ("bad", "poor", "fair", "good", "excellent")


def level_edges(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The six edges of the five intervals.

    Args:
        scores: Float array (n,), finite, not all equal.

    Returns:
        float64 (6,), ascending, on the scale of the scores.

    Raises:
        InputError: If all scores are equal, or one is not finite.

    Examples:
        >>> level_edges([0.0, 50.0, 100.0]).tolist()
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    values = np.asarray(scores, np.float64)
    if values.size == 0 or not np.isfinite(values).all() or values.min() == values.max():
        raise InputError("expected finite scores that are not all equal")
    low, high = float(values.min()), float(values.max())
    edges = low + (high - low) * np.arange(len(LEVELS) + 1) / len(LEVELS)
    edges[-1] = high
    return edges


def quality_levels(
    scores: npt.ArrayLike, *, mode: Literal["closed", "official"] = "closed"
) -> list[str | None]:
    """Quality level of each score.

    Level i is ``edge[i] < score <= edge[i+1]``. The smallest score is on the lowest edge.

    Args:
        scores: Float array (n,), finite, not all equal.
        mode: `closed` calls the smallest score "bad"; `official` gives it no level, as the files of
            the Gen3DHF release do (they write "None").

    Examples:
        >>> quality_levels([0.0, 50.0, 100.0])
        ['bad', 'fair', 'excellent']
    """
    values = np.asarray(scores, np.float64)
    edges = level_edges(values)
    index = np.searchsorted(edges, values, side="left") - 1
    first = LEVELS[0] if mode == "closed" else None
    return [LEVELS[i] if i >= 0 else first for i in index.tolist()]
