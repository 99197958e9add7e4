"""`collect status`: participants, progress, counts a clip, agreement so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np

from .sessions import Presentation
from .store import AnswerRow, Store


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """Where a study stands.

    Attributes:
        name: Of the study.
        kind: Kind of study.
        time: ISO 8601, UTC.
        participants: One mapping a participant: subject, joined, planned, answered, rated, traps and
            golden clips passed and shown.
        clips: One mapping an item that is rated: clips, planned, votes.
        agreement: Dimension (or ``preference``) to the mean correlation between pairs of
            participants, or their share of equal votes; None where no two rated the same.
        repeats: Dimension to the mean absolute difference between first and second rating, or the
            share of equal votes; None without repeats.
    """

    name: str
    kind: str
    time: str
    participants: tuple[dict[str, Any], ...]
    clips: tuple[dict[str, Any], ...]
    agreement: dict[str, float | None]
    repeats: dict[str, float | None]

    @property
    def n_votes(self) -> int:
        """Votes on rated items, repeats left out."""
        return sum(clip["votes"] for clip in self.clips)

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "time": self.time,
            "votes": self.n_votes,
            "participants": list(self.participants),
            "clips": list(self.clips),
            "agreement": self.agreement,
            "repeats": self.repeats,
        }


def study_status(store: Store, now: float) -> StudyStatus:
    """Where a study stands.

    Args:
        store: The database.
        now: Seconds since 1970.
    """
    rows = list(store.answers())
    planned = store.planned_counts(now)
    votes = Counter(
        row.presentation.item for row in rows if _counts(row.presentation)
    )  # fmt: skip
    clips = [
        {
            "clips": list(item.clips),
            "planned": planned.get(item.number, 0),
            "votes": votes[item.number],
        }
        for item in store.study.of_role("rated")
    ]
    return StudyStatus(
        name=store.study.plan.name,
        kind=store.study.plan.kind,
        time=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        participants=tuple(_participant(one, rows) for one in store.participants()),
        clips=tuple(clips),
        agreement={name: _agreement(name, rows) for name in _dimensions(store)},
        repeats={name: _repeats(name, rows) for name in _dimensions(store)},
    )


def _counts(shown: Presentation) -> bool:
    return shown.role == "rated" and shown.repetition == 1


def _dimensions(store: Store) -> tuple[str, ...]:
    return ("preference",) if store.study.plan.kind == "pairwise" else store.study.plan.scored


def _participant(one: Any, rows: list[AnswerRow]) -> dict[str, Any]:
    own = [row for row in rows if row.participant == one["number"]]
    checks = {
        role: [row.passed for row in own if row.presentation.role == role]
        for role in ("trap", "golden")
    }
    return {
        "subject": f"p{one['number']:04d}",
        "joined": datetime.fromtimestamp(one["joined"], UTC).isoformat(timespec="seconds"),
        "last_seen": datetime.fromtimestamp(one["seen"], UTC).isoformat(timespec="seconds"),
        "screen": one["screen"],
        "headphones": bool(one["headphones"]),
        "planned": one["planned"],
        "answered": one["answered"],
        "rated": sum(_counts(row.presentation) for row in own),
        "traps_passed": sum(bool(passed) for passed in checks["trap"]),
        "traps": len(checks["trap"]),
        "golden_passed": sum(bool(passed) for passed in checks["golden"]),
        "golden": len(checks["golden"]),
    }


def _value(name: str, row: AnswerRow) -> float:
    if name == "preference":
        return 1.0 if row.answer.choice == "left" else 0.0
    return row.answer.scores[name]


def _agreement(name: str, rows: list[AnswerRow]) -> float | None:
    """Mean over pairs of participants: Pearson's correlation, or the share of equal votes."""
    by_subject: dict[int, dict[int, float]] = {}
    for row in rows:
        if _counts(row.presentation):
            by_subject.setdefault(row.participant, {})[row.presentation.item] = _value(name, row)
    values = []
    for one, other in combinations(by_subject.values(), 2):
        shared = sorted(one.keys() & other.keys())
        a = np.array([one[item] for item in shared])
        b = np.array([other[item] for item in shared])
        if name == "preference" and shared:
            values.append(float((a == b).mean()))
        elif len(shared) >= 3 and np.ptp(a) > 0 and np.ptp(b) > 0:
            values.append(float(np.corrcoef(a, b)[0, 1]))
    return float(np.mean(values)) if values else None


def _repeats(name: str, rows: list[AnswerRow]) -> float | None:
    """How far participants agree with themselves."""
    first = {
        (row.participant, row.presentation.item): _value(name, row)
        for row in rows
        if _counts(row.presentation)
    }
    pairs = [
        (first[row.participant, row.presentation.item], _value(name, row))
        for row in rows
        if row.presentation.role == "rated" and row.presentation.repetition == 2
    ]
    if not pairs:
        return None
    if name == "preference":
        return float(np.mean([one == other for one, other in pairs]))
    return float(np.mean([abs(one - other) for one, other in pairs]))
