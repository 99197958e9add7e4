"""A participant's next stage: consent, checks, training, sessions with breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .languages import language_names
from .prepared import PreparedStudy
from .sessions import Presentation
from .store import Participant, Store

PRELOADED: Final = 2
"""Number of presentations whose clips a browser loads in advance."""


def study_view(study: PreparedStudy) -> dict[str, Any]:
    """Properties of a study that its page needs; none of them concerns a clip."""
    plan = study.plan
    return {
        "kind": plan.kind,
        "name": plan.name,
        "consent": plan.consent,
        "question": plan.question,
        "instructions": plan.instructions,
        "language": plan.language,
        "languages": list(language_names()),
        "scale": plan.scale,
        "dimensions": list(plan.scored),
        "low": plan.score_range[0],
        "high": plan.score_range[1],
        "distortions": [
            {"id": kind.id, "name": kind.name}
            for kind in (study.taxonomy.types if study.taxonomy else ())
        ],
        "ask": list(plan.ask) if plan.kind == "sliders-and-marks" else [],
        "screen": {"width": plan.screen.width, "height": plan.screen.height},
        "phones": plan.screen.phones,
    }


def state_of(store: Store, participant: Participant | None, now: float) -> dict[str, Any]:
    """The stage of a participant, and what the page needs for it.

    Args:
        store: Database of the study.
        participant: Participant; None for a visitor who has not joined.
        now: Seconds since 1970.
    """
    if participant is None:
        return {"stage": "consent"}
    number = participant.number
    study = store.study
    if participant.screen is None:
        return {"stage": "screen"}
    if study.headphone_tests and not participant.headphones:
        test = study.headphone_tests[participant.headphone_test % len(study.headphone_tests)]
        failed = participant.headphone_test > 0
        return {"stage": "headphones", "sound": f"media/{test.name}", "failed": failed}
    current = store.current(number)
    counts = store.session_counts(number)
    if current is None:
        return {"stage": "done", "progress": _progress(counts, None)}
    progress = _progress(counts, current)
    upcoming = store.upcoming(number, current.position, 1 + PRELOADED)
    state = {
        "progress": progress,
        "preload": [
            f"media/{name}" for shown in upcoming for name in store.items[shown.item].media
        ],
    }  # fmt: skip
    if not store.session_begun(number, current.session):
        until = earliest_start(store, number, current.session, now)
        if until > now:
            return {"stage": "wait", "seconds": until - now, "progress": progress}
        return {"stage": "start", **state}
    return {"stage": "item", "item": item_view(store, number, current), **state}


def item_view(store: Store, number: int, shown: Presentation) -> dict[str, Any]:
    """A presentation in the form that the page needs; golden clips look like all others."""
    item = store.items[shown.item]
    last = store.last_answer(number, shown.position)
    view: dict[str, Any] = {
        "position": shown.position,
        "training": shown.role == "training",
        "trap": shown.wanted,
        "media": [f"media/{name}" for name in item.media],
        "still": None if item.still is None else f"media/{item.still}",
        "revision": 0 if last is None else last[0] + 1,
        "answer": None,
        "first": shown.position == 0
        or store.presentation(number, shown.position - 1).session != shown.session,  # type: ignore[union-attr]
    }
    if last is not None:
        answer = last[1]
        view["answer"] = {
            "scores": answer.scores,
            "distortions": list(answer.distortions),
            "marks": [list(mark) for mark in answer.marks],
            "text": answer.text,
            "choice": answer.choice,
        }
    return view


def earliest_start(store: Store, number: int, session: int, now: float) -> float:
    """Earliest start of a session that has not begun, in seconds since 1970.

    The break is counted from the end of the previous session; the number of sessions that begin on one day
    (UTC) is limited.
    """
    rules = store.study.plan.sessions
    start = now
    if session > 1:
        end = store.session_end(number, session - 1)
        if end is not None:
            start = max(start, end + 60.0 * rules.break_minutes)
    if session > 0:
        day = datetime.fromtimestamp(start, UTC).date()
        begun = [datetime.fromtimestamp(t, UTC).date() for t in store.session_starts(number)]
        if begun.count(day) >= rules.per_day:
            tomorrow = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
            start = max(start, tomorrow.timestamp())
    return start


def _progress(counts: list[tuple[int, int, int]], current: Presentation | None) -> dict[str, int]:
    sessions = [session for session, _, _ in counts if session > 0]
    session, total, done = next(
        (count for count in counts if current and count[0] == current.session), (0, 0, 0)
    )
    return {"session": session, "sessions": len(sessions), "done": done, "total": total}
