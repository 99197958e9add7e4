"""Selection, order and sessions of the clips that a participant sees."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from .plan import SessionRules, StudyPlan
from .prepared import PreparedStudy, StudyItem

Role = Literal["rated", "training", "golden", "trap"]
TRAP_TOLERANCE: Final = 0.25
"""Maximum deviation of the answer to a trap from the requested score."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """One showing of an item to a participant.

    Attributes:
        position: Position over all sessions, from 0.
        session: Number of the session, from 1; 0 for the training.
        item: Number of the item.
        role: Role; a trap shows a training item and states the answer to give.
        repetition: 1, or 2 if the participant has rated the item before.
        wanted: Answer that a trap requests: a score, or a side.
    """

    position: int
    session: int
    item: int
    role: Role
    repetition: int = 1
    wanted: float | str | None = None


def plan_presentations(
    study: PreparedStudy, shown: Mapping[int, int], participant: int
) -> list[Presentation]:
    """Plan all presentations of a participant.

    Items that were planned least often come first, so that their counts differ by at most one; ties are
    broken at random. The same content is never shown twice in a row: an item that cannot be placed so is
    left for the next participant.

    Args:
        study: Study.
        shown: Number of times that each item was planned, by its number.
        participant: Number of the participant; with the plan's seed it determines all random choices.
    """
    plan = study.plan
    text = f"{plan.seed}:{participant}".encode()
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:8], "little"))
    training = list(study.of_role("training"))
    planned = [
        Presentation(number, 0, item.number, "training") for number, item in enumerate(training)
    ]
    rated = list(study.of_role("rated"))
    order = [rated[i] for i in rng.permutation(len(rated))]
    order.sort(key=lambda item: shown.get(item.number, 0))
    pool = order[: plan.clips_per_participant]
    items = {item.number: item for item in study.items}
    before = training[-1].content if training else None
    sizes = session_sizes(len(pool), plan.sessions, golden=bool(study.of_role("golden")))
    for session, size in enumerate(sizes, 1):
        chosen, pool = pool[:size], pool[size:]
        shown_items = [*_rated(chosen, plan.sessions, rng), *_checks(study, len(chosen), rng)]
        placed, left_over = spaced(shown_items, items, before, rng)
        for presentation in placed:
            planned.append(replace(presentation, position=len(planned), session=session))
        if placed:
            before = items[placed[-1].item].content
        pool += [items[p.item] for p in left_over if p.role == "rated" and p.repetition == 1]
    return planned


def session_sizes(n: int, rules: SessionRules, *, golden: bool) -> list[int]:
    """Number of rated clips in each session, as even as possible.

    Args:
        n: Number of clips to rate.
        rules: Rules.
        golden: Whether there are golden clips.

    Example:
        >>> session_sizes(400, SessionRules(), golden=True)
        [134, 133, 133]
    """

    def total(rated: int) -> int:
        repeats, traps, golden_clips = _extras(rated, rules)
        return rated + repeats + traps + (golden_clips if golden else 0)

    largest = next(
        (rated for rated in range(rules.max_clips, 0, -1) if total(rated) <= rules.max_clips), 1
    )
    if n == 0:
        return []
    sessions = math.ceil(n / largest)
    return [n // sessions + (number < n % sessions) for number in range(sessions)]


def _extras(rated: int, rules: SessionRules) -> tuple[int, int, int]:
    """Numbers of repeats, traps and golden clips for a number of rated clips."""
    traps = rated // rules.trap_every if rules.trap_every else 0
    golden = rated // rules.golden_every if rules.golden_every else 0
    return round(rules.repeat_share * rated), traps, golden


def _rated(
    chosen: Sequence[StudyItem], rules: SessionRules, rng: np.random.Generator
) -> list[Presentation]:
    shuffled = [chosen[i].number for i in rng.permutation(len(chosen))]
    n_repeats = _extras(len(chosen), rules)[0]
    again = rng.choice(len(shuffled), n_repeats, replace=False) if n_repeats else ()
    return [
        *(Presentation(0, 0, number, "rated") for number in shuffled),
        *(Presentation(0, 0, shuffled[int(i)], "rated", 2) for i in again),
    ]


def _checks(study: PreparedStudy, n_rated: int, rng: np.random.Generator) -> list[Presentation]:
    _, n_traps, n_golden = _extras(n_rated, study.plan.sessions)
    checks = []
    training, golden = study.of_role("training"), study.of_role("golden")
    if study.plan.scored or study.plan.kind == "pairwise":
        for _ in range(n_traps):
            item = training[int(rng.integers(len(training)))]
            checks.append(
                Presentation(0, 0, item.number, "trap", wanted=_trap_answer(study.plan, rng))
            )
    for _ in range(n_golden if golden else 0):
        item = golden[int(rng.integers(len(golden)))]
        checks.append(Presentation(0, 0, item.number, "golden"))
    return checks


def _trap_answer(plan: StudyPlan, rng: np.random.Generator) -> float | str:
    if plan.kind == "pairwise":
        return "left" if rng.random() < 0.5 else "right"
    low, high = plan.score_range
    return float(rng.integers(int(low), int(high) + 1))


def spaced(
    presentations: Sequence[Presentation],
    items: Mapping[int, StudyItem],
    before: str | None,
    rng: np.random.Generator,
) -> tuple[list[Presentation], list[Presentation]]:
    """Order presentations so that no content is shown twice in a row.

    Args:
        presentations: Presentations; those of one content keep their order.
        items: Items by number.
        before: Content that is shown just before; None for none.
        rng: Random generator that chooses among the contents that may follow.

    Returns:
        The ordered presentations, and those that could not be placed.

    Examples:
        >>> items = {n: StudyItem(n, "rated", c, (c,), (None,), ()) for n, c in enumerate("aab")}
        >>> presentations = [Presentation(0, 0, n, "rated") for n in items]
        >>> placed, left_over = spaced(presentations, items, None, np.random.default_rng(0))
        >>> [items[p.item].content for p in placed], left_over
        (['a', 'b', 'a'], [])
    """
    queues: dict[str, list[Presentation]] = {}
    for presentation in presentations:
        queues.setdefault(items[presentation.item].content, []).append(presentation)
    left = Counter({content: len(queue) for content, queue in queues.items()})
    left_out = []
    while left:
        total = left.total()
        most = max(left, key=lambda content: (2 * left[content] + (content == before), content))
        if 2 * left[most] + (most == before) <= total + 1:
            break
        left_out.append(queues[most].pop())
        left[most] -= 1
        left += Counter()
    placed: list[Presentation] = []
    while left:
        others = sorted(content for content in left if content != before)
        most = max(others, key=lambda content: left[content])
        if 2 * left[most] > left.total():
            content = most
        else:
            weights = np.array([left[content] for content in others], float)
            content = others[int(rng.choice(len(others), p=weights / weights.sum()))]
        placed.append(queues[content].pop(0))
        left[content] -= 1
        left += Counter()
        before = content
    return placed, left_out
