"""Instruction tuning with THQA-MT: questions about a clip, its score and its distortions as answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..base.builder import TableConfig
from ..base.fields import CLIP_ID, DOUBLE, INT, STRING, Field, list_of
from ..base.scored import ScoredRow
from ..tables.conversations import (
    AUDIO,
    VIDEO,
    messages,
    messages_field,
    these,
    videos_field,
    which_of,
)
from .columns import FOLDS

SCORE: Final = "score"
DISTORTIONS: Final = "distortions"
_HOW_GOOD: Final = f"{VIDEO}{AUDIO}Please rate the quality of the talking people in this video on a scale from 0 to 5."
INSTRUCT_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("task", STRING, "`score` or `distortions`.", origin="ratings", required=True),
    messages_field("ratings"),
    videos_field("ratings"),
    Field("audios", list_of("string"), "Names of the sound files that the question is about.",
          origin="ratings", required=True),
    Field("score", DOUBLE, "The mean opinion score; null where there is none.", "score 0-5", 0, 5,
          origin="ratings"),
    Field("distortions", list_of("string"), "Distortions that more than half of the subjects saw; null "
          "where there are no votes.", origin="votes"),
    Field("content_id", STRING, "Content of the clip; keep clips of one content in one fold.",
          required=True),
    Field("fold", INT, "One of five folds that share no content.", "", 0, FOLDS - 1,
          origin="folds"),
)  # fmt: skip
INSTRUCT_CONFIG: Final = TableConfig(
    name="instruct",
    description="Instruction tuning: questions about a clip, its score and its distortions as answers. "
    "The wording is this package's: the authors have published none.",
    key=("clip_id", "task"),
    reader="""\
question, answer = rows[0]["messages"]  # each with role and content
""",
)


def has_answer(row: ScoredRow) -> bool:
    """Whether a clip has a score or distortions.

    Examples:
        >>> has_answer(ScoredRow("a", "train", "a", {"mos": None, "distortions": ["Noise"]}))
        True
    """
    return row.values["mos"] is not None or row.values["distortions"] is not None


def conversations(row: ScoredRow, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The questions about a clip, and their answers.

    Args:
        row: Row of the clip.
        names: Names of all distortions.

    Examples:
        >>> row = ScoredRow("a", "train", "a", {"mos": 3.5, "distortions": None, "fold": 0})
        >>> [c["messages"][1]["content"] for c in conversations(row, ["Noise"])]
        ['The quality of the talking people in this video is 3.50.']
    """
    score, distortions = row.values["mos"], row.values["distortions"]
    asked = {}
    if score is not None:
        answer = f"The quality of the talking people in this video is {score:.2f}."
        asked[SCORE] = messages(_HOW_GOOD, answer)
    if distortions is not None:
        question = f"{VIDEO}{AUDIO}{which_of(names, 'talking people')}"
        asked[DISTORTIONS] = messages(question, these(distortions))
    for task in sorted(asked):
        yield {
            "clip_id": row.clip_id,
            "task": task,
            "messages": asked[task],
            "videos": [f"{row.clip_id}.mp4"],
            "audios": [f"{row.clip_id}.wav"],
            "score": score,
            "distortions": distortions,
            "content_id": row.content_id,
            "fold": row.values["fold"],
        }
