"""Conversations about a clip for instruction tuning: a question and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import datasets

from ..base.fields import STRING, Field, list_of

VIDEO: Final = "<video>"
AUDIO: Final = "<audio>"
"""Tags in a question for the clip's pictures and its sound, as trainers read them."""
NOTHING: Final = "none"


def messages_field(origin: str) -> Field:
    """The column of the conversation.

    Examples:
        >>> messages_field("ratings").required
        True
    """
    return Field("messages", datasets.List({"role": STRING, "content": STRING}),
                 "Question and answer.", origin=origin, required=True)  # fmt: skip


def videos_field(origin: str) -> Field:
    """The column of the videos.

    Examples:
        >>> videos_field("scores").name
        'videos'
    """
    return Field("videos", list_of("string"), "Names of the videos that the question is about.",
                 origin=origin, required=True)  # fmt: skip


def messages(question: str, answer: str) -> list[dict[str, str]]:
    """A question and its answer.

    Examples:
        >>> [message["role"] for message in messages("<video>How good is it?", "Good.")]
        ['user', 'assistant']
    """
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def which_of(names: Sequence[str], what: str) -> str:
    """A question for the distortions in a clip. The wording is ours.

    Args:
        names: Distortions to choose from.
        what: What the clip shows, such as ``talking people``.

    Examples:
        >>> which_of(["Noise", "Blur"], "a face")
        'Which of these distortions are there in this video of a face? Noise; Blur.'
    """
    return f"Which of these distortions are there in this video of {what}? {'; '.join(names)}."


def these(names: Sequence[str]) -> str:
    """The answer to `which_of`, which `theval_datasets.evaluation.named_labels` reads.

    Examples:
        >>> these(["Noise", "Blur"]), these([])
        ('Distortions in this video: Noise; Blur.', 'Distortions in this video: none.')
    """
    return f"Distortions in this video: {'; '.join(names) or NOTHING}."
