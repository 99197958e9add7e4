"""Evaluation of quality metrics: correlation with opinion scores, folds, saliency, leaderboards.

Everything public can be imported from here; each name loads its module when it is first used, so
that ``import theval_datasets.evaluation`` costs nothing.

>>> from theval_datasets.evaluation import srcc
>>> srcc([1, 2, 3], [10, 20, 15])
0.5
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_WHERE = {
    "answers": ("answer_agreement", "named_labels"),
    "correlation": ("agreement", "krcc", "plcc", "rmse", "srcc"),
    "folds": ("content_groups", "grouped_folds", "plain_folds"),
    "frechet": (
        "frechet_distance",
        "frechet_of_moments",
        "motion_scores",
        "paired_frechet_distance",
    ),
    "leaks": ("leak_report",),
    "logistic": ("FitBoundWarning", "fit_map"),
    "preference": ("preference_correlation",),
    "resampling": ("bootstrap", "mean_interval", "permutation_p"),
    "rsatalker": ("user_study_score",),
    "saliency": (
        "auc",
        "auc_judd",
        "auc_shuffled",
        "cc",
        "kld",
        "nss",
        "saliency_scores",
        "sim",
    ),
    "theval": (
        "combine",
        "leaderboard",
        "normalised_score",
        "published_finals",
        "published_leaderboard",
        "published_reference",
        "rank_of",
        "read_reference",
        "score",
    ),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

if TYPE_CHECKING:
    from .answers import answer_agreement, named_labels
    from .correlation import agreement, krcc, plcc, rmse, srcc
    from .folds import content_groups, grouped_folds, plain_folds
    from .frechet import (
        frechet_distance,
        frechet_of_moments,
        motion_scores,
        paired_frechet_distance,
    )
    from .leaks import leak_report
    from .logistic import FitBoundWarning, fit_map
    from .preference import preference_correlation
    from .resampling import bootstrap, mean_interval, permutation_p
    from .rsatalker import user_study_score
    from .saliency import auc, auc_judd, auc_shuffled, cc, kld, nss, saliency_scores, sim
    from .theval import (
        combine,
        leaderboard,
        normalised_score,
        published_finals,
        published_leaderboard,
        published_reference,
        rank_of,
        read_reference,
        score,
    )

__all__ = [
    "FitBoundWarning",
    "agreement",
    "answer_agreement",
    "auc",
    "auc_judd",
    "auc_shuffled",
    "bootstrap",
    "cc",
    "combine",
    "content_groups",
    "fit_map",
    "frechet_distance",
    "frechet_of_moments",
    "grouped_folds",
    "kld",
    "krcc",
    "leaderboard",
    "leak_report",
    "mean_interval",
    "motion_scores",
    "named_labels",
    "normalised_score",
    "nss",
    "paired_frechet_distance",
    "permutation_p",
    "plain_folds",
    "plcc",
    "preference_correlation",
    "published_finals",
    "published_leaderboard",
    "published_reference",
    "rank_of",
    "read_reference",
    "rmse",
    "saliency_scores",
    "score",
    "sim",
    "srcc",
    "user_study_score",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
