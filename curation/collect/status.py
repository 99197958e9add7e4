"""`collect status`: participants, progress, votes per clip, and agreement so far."""

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
    """Progress of a study.

    Attributes:
        name: Name of the study.
        kind: Kind of the study.
        time: Time of the report, ISO 8601 in UTC.
        participants: One mapping per participant: subject, joined, planned, answered, rated, and traps
            and golden clips, passed and shown.
        clips: One mapping per rated item: clips, planned, votes.
        agreement: Mean correlation between pairs of participants, or share of equal votes, by dimension
            (or ``preference``); None if no two participants rated enough of the same items.
        repeats: Mean absolute difference between first and second rating, or share of equal votes, by
            dimension; None without repeats.
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
        """Number of votes on rated items, without repeats."""
        return sum(clip["votes"] for clip in self.clips)

    def to_plain(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
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
    """Progress of a study.

    Args:
        store: Database of the study.
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
        participants=tuple(_participant(person, rows) for person in store.participants()),
        clips=tuple(clips),
        agreement={name: _agreement(name, rows) for name in _dimensions(store)},
        repeats={name: _repeats(name, rows) for name in _dimensions(store)},
    )


def _counts(shown: Presentation) -> bool:
    return shown.role == "rated" and shown.repetition == 1


def _dimensions(store: Store) -> tuple[str, ...]:
    return ("preference",) if store.study.plan.kind == "pairwise" else store.study.plan.scored


def _participant(person: Any, rows: list[AnswerRow]) -> dict[str, Any]:
    own = [row for row in rows if row.participant == person["number"]]
    checks = {
        role: [row.passed for row in own if row.presentation.role == role]
        for role in ("trap", "golden")
    }
    return {
        "subject": f"p{person['number']:04d}",
        "joined": datetime.fromtimestamp(person["joined"], UTC).isoformat(timespec="seconds"),
        "last_seen": datetime.fromtimestamp(person["seen"], UTC).isoformat(timespec="seconds"),
        "screen": person["screen"],
        "headphones": bool(person["headphones"]),
        "planned": person["planned"],
        "answered": person["answered"],
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
    for first, second in combinations(by_subject.values(), 2):
        shared = sorted(first.keys() & second.keys())
        a = np.array([first[item] for item in shared])
        b = np.array([second[item] for item in shared])
        if name == "preference" and shared:
            values.append(float((a == b).mean()))
        elif len(shared) >= 3 and np.ptp(a) > 0 and np.ptp(b) > 0:
            values.append(float(np.corrcoef(a, b)[0, 1]))
    return float(np.mean(values)) if values else None


def _repeats(name: str, rows: list[AnswerRow]) -> float | None:
    """Agreement of participants with themselves, over repeated presentations."""
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
        return float(np.mean([before == after for before, after in pairs]))
    return float(np.mean([abs(before - after) for before, after in pairs]))
