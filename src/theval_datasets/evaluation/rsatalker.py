"""The totals of RSATalker's user study: nine sub-criteria in three groups, from 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from theval_datasets.errors import InputError

CRITERIA: Mapping[str, tuple[str, ...]] = {
    "realism": ("lip_sync", "expr_naturalness", "visual_realism"),
    "fluency": ("motion_smoothness", "temporal_consistency", "long_term_stability"),
    "social_relationship": ("role_consistency", "emotional_tone", "interaction_dynamics"),
}
"""The sub-criteria of each group."""
WEIGHTS: Mapping[str, float] = {"realism": 0.25, "fluency": 0.25, "social_relationship": 0.5}
"""Weight of each group in the total."""


@dataclass(frozen=True)
class UserStudyScore:
    """Scores of RSATalker's user study.

    Attributes:
        groups: Mean of each group's sub-criteria, 0–100.
        total: Weighted mean of the groups, 0–100.
    """

    groups: Mapping[str, float]
    total: float


def user_study_score(criteria: Mapping[str, float]) -> UserStudyScore:
    """``0.25 realism + 0.25 fluency + 0.5 social-relationship accuracy``, each a plain mean.

    Args:
        criteria: The nine sub-criteria, 0–100.

    Raises:
        InputError: If one is missing or out of range.

    Examples:
        >>> criteria = {name: 80.0 for names in CRITERIA.values() for name in names}
        >>> user_study_score(criteria | {"lip_sync": 50.0}).total
        77.5
    """
    groups = {}
    for group, names in CRITERIA.items():
        lacking = [name for name in names if name not in criteria]
        if lacking:
            raise InputError(f"missing the sub-criteria {', '.join(lacking)}")
        for name in names:
            if not 0 <= criteria[name] <= 100:
                raise InputError(f"expected {name} between 0 and 100, got {criteria[name]}")
        groups[group] = sum(criteria[name] for name in names) / len(names)
    return UserStudyScore(groups, sum(WEIGHTS[group] * value for group, value in groups.items()))
