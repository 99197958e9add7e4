"""Answers of participants, as browsers send them, and their validation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from theval_datasets.errors import InputError

from ..clips.head_views import STILL_SIZE
from .prepared import PreparedStudy, StudyItem
from .sessions import TRAP_TOLERANCE, Presentation

MIN_SEEN: Final = 0.95
"""Minimum share of each clip that has to be played before an answer counts."""
_MAX_TEXT: Final = 2000
_MAX_MARKS: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of a participant to a presentation.

    Attributes:
        scores: Scores by dimension.
        distortions: Ids of the ticked distortions.
        marks: Column and row of each mark, in pixels of the still.
        text: Free text.
        choice: Better side of a pair.
    """

    scores: dict[str, float] = field(default_factory=dict)
    distortions: tuple[str, ...] = ()
    marks: tuple[tuple[int, int], ...] = ()
    text: str = ""
    choice: Literal["left", "right"] | None = None


@dataclass(frozen=True, slots=True)
class Playback:
    """Playback of a presentation's clips, as the browser reports it.

    Attributes:
        seen: Share of each clip that was played, 0 to 1.
        plays: Number of times that each clip was started.
        stalls: Number of times that playback waited for data.
        stalled: Total waiting time in seconds.
        width: Width of the decoded picture in pixels; 0 if none was decoded.
    """

    seen: tuple[float, ...]
    plays: tuple[int, ...]
    stalls: int = 0
    stalled: float = 0.0
    width: int = 0


def check_answer(study: PreparedStudy, item: StudyItem, answer: Answer) -> None:
    """Check that an answer holds exactly what the study asks for.

    Raises:
        InputError: Something is missing, superfluous or out of range.
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
    if len(answer.marks) > _MAX_MARKS:
        raise InputError(f"marks: expected at most {_MAX_MARKS}, got {len(answer.marks)}")
    for column, row in answer.marks:
        if not (0 <= column < STILL_SIZE[0] and 0 <= row < STILL_SIZE[1]):
            raise InputError(f"marks: expected points within the still, got {column}, {row}")
    if answer.text and "text" not in asked:
        raise InputError("text: this study does not ask for a text")
    if len(answer.text) > _MAX_TEXT:
        raise InputError(f"text: expected at most {_MAX_TEXT} characters")
    if (answer.choice is not None) != (plan.kind == "pairwise"):
        raise InputError("choice: expected left or right in a pairwise study, and nowhere else")


def check_playback(item: StudyItem, playback: Playback, seconds: float, waited: float) -> None:
    """Check that every clip was seen to its end.

    Args:
        item: Item.
        playback: Playback as the browser reports it.
        seconds: Total length of the clips in seconds.
        waited: Seconds since the clips were shown, by the server's clock.

    Raises:
        InputError: Too little was seen.
    """
    enough = len(playback.seen) == len(playback.plays) == len(item.media)
    if (
        not enough
        or min(playback.seen, default=1.0) < MIN_SEEN
        or min(playback.plays, default=1) < 1
    ):
        raise InputError(
            f"expected {MIN_SEEN:.0%} of each clip to have been seen, got {list(playback.seen)}"
        )
    if playback.width < 1:
        raise InputError("expected a decoded picture, but the browser showed none")
    if waited < MIN_SEEN * seconds:
        raise InputError(
            f"the clips last {seconds:.1f} s, but the answer was sent after {waited:.1f} s"
        )


def passes(item: StudyItem, shown: Presentation, answer: Answer) -> bool | None:
    """Whether the answer to a trap or a golden clip is correct; None for other presentations.

    Examples:
        >>> item = StudyItem(0, "golden", "c", ("c",), (None,), ("c.mp4",), low=3, high=5)
        >>> passes(item, Presentation(0, 1, 0, "golden"), Answer({"quality": 2.0}))
        False
    """
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
