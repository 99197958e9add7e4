"""Instruction tuning with Gen3DHF: a question about a video, its level, score or distortions as answer."""

from __future__ import annotations

from typing import Any, Final

from theval_datasets.curation.study.descriptions import CATEGORIES

from ..base.builder import TableConfig
from ..base.fields import CLIP_ID, DOUBLE, STRING, Field, list_of
from ..base.scored import ScoredRow
from ..tables.conversations import VIDEO, messages, messages_field, these, videos_field, which_of
from .labels import PublishedLabel, answer

INSTRUCT: Final = {"instruct_text": False, "instruct_numeric": True}
"""Whether the answers of a config contain the score, by config."""
DISTORTIONS: Final = "instruct_distortions"
_QUESTIONS: Final = {
    "quality": f"{VIDEO}Please rate the quality of the human face in this video.",
    "authenticity": f"{VIDEO}Please rate the authenticity of the human face in this video.",
}
_WHICH: Final = VIDEO + which_of(CATEGORIES, "a human face")
_READER: Final = """\
question, answer = rows[0]["messages"]  # each with role and content; videos are names of files
"""
_SPLITS: Final[tuple[Field, ...]] = (
    Field("official_split", STRING, "`train` or `eval`, as published.", origin="release"),
    Field("grouped_split", STRING, "`train` or `test`; no seed is in both.", origin="folds"),
)
INSTRUCT_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("dimension", STRING, "`quality` or `authenticity`.", origin="scores", required=True),
    messages_field("scores"),
    videos_field("scores"),
    Field("level", STRING, "Level in the answer; null where the release has none.",
          origin="release"),
    Field("score", DOUBLE, "The mean opinion score.", "score", origin="scores", required=True),
    *_SPLITS,
)  # fmt: skip
DISTORTION_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    messages_field("descriptions"),
    videos_field("descriptions"),
    Field("distortion_categories", list_of("string"), "Categories in the answer.",
          origin="descriptions", required=True),
    *_SPLITS,
)  # fmt: skip
INSTRUCT_CONFIGS: Final = (
    *(
        TableConfig(
            name=name,
            description=f"Instruction tuning: a question about a video, {what} as answer.",
            key=("clip_id", "dimension"),
            reader=_READER,
        )
        for name, what in (("instruct_text", "the level"), ("instruct_numeric", "level and score"))
    ),
    TableConfig(
        name=DISTORTIONS,
        description="Instruction tuning: a question about a video, its kinds of distortion as answer. "
        "The wording is this package's: the authors have published none.",
        reader=_READER,
    ),
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

    Examples:
        >>> values = {"quality_mos": 3.2, "quality_level": "good"}
        >>> values |= {"official_split": None, "grouped_split": "train"}
        >>> row = ScoredRow("a", "train", "a", values)
        >>> conversation(row, "quality", None, numeric=False)["messages"][1]["content"]
        'The quality of the human face in this video is good.'
    """
    score = row.values[f"{dimension}_mos"]
    level = row.values[f"{dimension}_level"] if label is None else label.level
    question = _QUESTIONS[dimension] if label is None else label.question
    return {
        "clip_id": row.clip_id,
        "dimension": dimension,
        "messages": messages(question, answer(dimension, level, score if numeric else None)),
        "level": level,
        "score": score,
        **_about(row),
    }


def distortions(row: ScoredRow) -> dict[str, Any]:
    """A question for the distortions of a video, and its answer.

    Args:
        row: Row of a video with `distortion_categories`.

    Examples:
        >>> values = {"distortion_categories": ["blur"]}
        >>> values |= {"official_split": None, "grouped_split": "train"}
        >>> distortions(ScoredRow("a", "train", "a", values))["messages"][1]["content"]
        'Distortions in this video: blur.'
    """
    categories = row.values["distortion_categories"]
    return {
        "clip_id": row.clip_id,
        "messages": messages(_WHICH, these(categories)),
        "distortion_categories": categories,
        **_about(row),
    }


def _about(row: ScoredRow) -> dict[str, Any]:
    return {
        "videos": [f"{row.clip_id}.mp4"],
        "official_split": row.values["official_split"],
        "grouped_split": row.values["grouped_split"],
    }
