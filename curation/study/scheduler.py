"""Schedule of a pairwise study: balanced pairs, random common clips, random sides, from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from theval_datasets.errors import InputError


@dataclass(frozen=True)
class Trial:
    """One question to one subject.

    Attributes:
        index: Number of the trial, from 0, in the order of presentation.
        left: Model on the left.
        right: Model on the right.
        clip_id: Clip that both models show.
    """

    index: int
    left: str
    right: str
    clip_id: str


def schedule(clips: Mapping[str, Set[str]], n_trials: int, *, seed: int) -> list[Trial]:
    """Plan a pairwise study.

    The numbers of trials of any two pairs of models differ by at most one; the rounds are shuffled. The
    clip is drawn from those that both models show, without repetition for a pair until all were shown; the
    side is drawn for each trial. Equal arguments give equal plans.

    Args:
        clips: Clips by model; "real" may be a model.
        n_trials: Number of votes to plan.
        seed: Seed of the draws.

    Raises:
        InputError: If there are fewer than two models, or a pair has no clip in common.

    Examples:
        >>> plan = schedule({"a": {"1"}, "b": {"1"}, "c": {"1"}}, 6, seed=0)
        >>> sorted("".join(sorted(trial.left + trial.right)) for trial in plan)
        ['ab', 'ab', 'ac', 'ac', 'bc', 'bc']
    """
    if len(clips) < 2 or n_trials < 0:
        raise InputError(
            f"expected at least two models and no negative number of trials, got {len(clips)} and "
            f"{n_trials}"
        )
    pairs = list(combinations(sorted(clips), 2))
    common = {pair: sorted(clips[pair[0]] & clips[pair[1]]) for pair in pairs}
    lacking = [pair for pair, shared in common.items() if not shared]
    if lacking:
        raise InputError(f"{lacking[0][0]} and {lacking[0][1]} have no clip in common")
    rng = np.random.default_rng(seed)
    left_over: dict[tuple[str, str], list[str]] = {pair: [] for pair in pairs}
    trials: list[Trial] = []
    while len(trials) < n_trials:
        for number in rng.permutation(len(pairs))[: n_trials - len(trials)].tolist():
            pair = pairs[number]
            if not left_over[pair]:
                left_over[pair] = [common[pair][i] for i in rng.permutation(len(common[pair]))]
            first, second = pair if rng.random() < 0.5 else pair[::-1]
            trials.append(Trial(len(trials), first, second, left_over[pair].pop()))
    return trials
