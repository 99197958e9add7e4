"""Answers of participants: what a browser sends, checked against the study."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from theval_datasets.errors import InputError

from ..clips.head_views import STILL_SIZE
from .prepared import PreparedStudy, StudyItem
from .sessions import TRAP_TOLERANCE, Presentation

LEAST_SEEN: Final = 0.95
"""Share of each clip that has to have been played before an answer counts."""
_LONGEST_TEXT: Final = 2000
_MOST_MARKS: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a participant says of one presentation.

    Attributes:
        scores: Dimension to score.
        distortions: Ids of the distortions that were ticked.
        marks: Column and row of each mark, in pixels of the still.
        text: What was written.
        choice: The better side of a pair.
    """

    scores: dict[str, float] = field(default_factory=dict)
    distortions: tuple[str, ...] = ()
    marks: tuple[tuple[int, int], ...] = ()
    text: str = ""
    choice: Literal["left", "right"] | None = None


@dataclass(frozen=True, slots=True)
class Playback:
    """How the clips of a presentation were played.

    Attributes:
        seen: Share of each clip that was played, 0 to 1.
        plays: How often each clip was started.
        stalls: How often playback waited for data.
        stalled: Seconds that it waited.
        width: Pixels of the picture that the browser decoded.
    """

    seen: tuple[float, ...]
    plays: tuple[int, ...]
    stalls: int = 0
    stalled: float = 0.0
    width: int = 0


def check_answer(study: PreparedStudy, item: StudyItem, answer: Answer) -> None:
    """Do nothing if an answer says all that the study asks for, and no more.

    Raises:
        InputError: It does not.
    """
    plan = study.plan
    if set(answer.scores) != set(plan.scored):
        raise InputError(
            f"expected scores of {', '.join(plan.scored) or 'nothing'}, got "
            f"{', '.join(sorted(answer.scores)) or 'none'}"
        )
    low, high = plan.score_range
    for name, score in answer.scores.items():
        if not math.isfinite(score) or not low <= score <= high:
            raise InputError(f"{name}: expected a score from {low:g} to {high:g}, got {score}")
        if plan.scale == "acr5" and score != int(score):
            raise InputError(f"{name}: expected one of the five categories, got {score}")
    known = study.taxonomy.ids if study.taxonomy else ()
    unknown = sorted(set(answer.distortions) - set(known))
    if unknown or len(set(answer.distortions)) != len(answer.distortions):
        raise InputError(f"distortions: expected ids of the taxonomy, each once, got {unknown}")
    asked = plan.ask if plan.kind == "sliders-and-marks" else ()
    if answer.marks and ("marks" not in asked or item.still is None):
        raise InputError("marks: this study does not ask for marks")
    if len(answer.marks) > _MOST_MARKS:
        raise InputError(f"marks: expected at most {_MOST_MARKS}, got {len(answer.marks)}")
    for column, row in answer.marks:
        if not (0 <= column < STILL_SIZE[0] and 0 <= row < STILL_SIZE[1]):
            raise InputError(f"marks: {column}, {row} lies outside of the still")
    if answer.text and "text" not in asked:
        raise InputError("text: this study does not ask for a text")
    if len(answer.text) > _LONGEST_TEXT:
        raise InputError(f"text: expected at most {_LONGEST_TEXT} characters")
    if (answer.choice is not None) != (plan.kind == "pairwise"):
        raise InputError("choice: expected left or right in a pairwise study, and nowhere else")


def check_playback(item: StudyItem, playback: Playback, seconds: float, waited: float) -> None:
    """Do nothing if every clip was seen to its end.

    Args:
        item: What was shown.
        playback: What the browser reports.
        seconds: Length of its clips.
        waited: Seconds since they were shown, by the server's own clock.

    Raises:
        InputError: Less was seen than has to be.
    """
    enough = len(playback.seen) == len(playback.plays) == len(item.media)
    if (
        not enough
        or min(playback.seen, default=1.0) < LEAST_SEEN
        or min(playback.plays, default=1) < 1
    ):
        raise InputError(
            f"expected {LEAST_SEEN:.0%} of each clip to have been seen, got {list(playback.seen)}"
        )
    if playback.width < 1:
        raise InputError("expected clips with a picture; the browser showed none")
    if waited < LEAST_SEEN * seconds:
        raise InputError(
            f"the clips last {seconds:.1f} s, and the answer came after {waited:.1f} s"
        )


def passes(item: StudyItem, shown: Presentation, answer: Answer) -> bool | None:
    """Whether the answer to a trap or a golden clip is right; None for other presentations."""
    if shown.role == "trap":
        if isinstance(shown.wanted, str):
            return answer.choice == shown.wanted
        wanted = float(shown.wanted or 0.0)
        return all(abs(score - wanted) <= TRAP_TOLERANCE for score in answer.scores.values())
    if shown.role == "golden":
        if item.winner is not None:
            return answer.choice == item.winner
        low, high = item.low or 0.0, item.high if item.high is not None else math.inf
        return low <= next(iter(answer.scores.values())) <= high
    return None
