"""Instruction tuning with Gen3DHF: a question about a video, its level or score as answer."""

from __future__ import annotations

from typing import Any, Final

import datasets

from ..base.builder import TableConfig
from ..base.fields import CLIP_ID, DOUBLE, STRING, Field, list_of
from ..base.scored import ScoredRow
from .labels import PublishedLabel, answer

INSTRUCT: Final = {"instruct_text": False, "instruct_numeric": True}
"""Whether the answers of a config contain the score, by config."""
_QUESTIONS: Final = {
    "quality": "<video>Please rate the quality of the human face in this video.",
    "authenticity": "<video>Please rate the authenticity of the human face in this video.",
}
_READER: Final = """\
question, answer = rows[0]["messages"]  # each with role and content; videos are names of files
"""
INSTRUCT_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("dimension", STRING, "`quality` or `authenticity`.", origin="scores", required=True),
    Field("messages", datasets.List({"role": STRING, "content": STRING}), "Question and answer.",
          origin="scores", required=True),
    Field("videos", list_of("string"), "Names of the videos that the question is about.",
          origin="scores", required=True),
    Field("level", STRING, "Level in the answer; null where the release has none.",
          origin="release"),
    Field("score", DOUBLE, "The mean opinion score.", "score", origin="scores", required=True),
    Field("official_split", STRING, "`train` or `eval`, as published.", origin="release"),
    Field("grouped_split", STRING, "`train` or `test`; no seed is in both.", origin="folds"),
)  # fmt: skip
INSTRUCT_CONFIGS: Final = tuple(
    TableConfig(
        name=name,
        description=f"Instruction tuning: a question about a video, {what} as answer.",
        key=("clip_id", "dimension"),
        reader=_READER,
    )
    for name, what in (("instruct_text", "the level"), ("instruct_numeric", "level and score"))
)


def conversation(
    row: ScoredRow, dimension: str, label: PublishedLabel | None, *, numeric: bool
) -> dict[str, Any]:
    """A question and its answer; those of the release if it has them.

    Args:
        row: Row of a video with a score in the dimension.
        dimension: Dimension: `quality` or `authenticity`.
        label: Label of the release; None if it has none for the video.
        numeric: Whether the answer contains the score.
    """
    score = row.values[f"{dimension}_mos"]
    level = row.values[f"{dimension}_level"] if label is None else label.level
    question = _QUESTIONS[dimension] if label is None else label.question
    sentence = answer(dimension, level, score if numeric else None)
    return {
        "clip_id": row.clip_id,
        "dimension": dimension,
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": sentence},
        ],
        "videos": [f"{row.clip_id}.mp4"],
        "level": level,
        "score": score,
        "official_split": row.values["official_split"],
        "grouped_split": row.values["grouped_split"],
    }
