"""The base class of the formats that trainers read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from .examples import TRAIN, Example, Examples
from .media import ExportedMedia

ByPart = Mapping[tuple[str, str], Sequence[Example]]
"""Examples by config and part, such as ``("instruct_text", "train")``."""


def names_by_use(examples: ByPart) -> tuple[list[str], list[str]]:
    """Names of the files to train on, and of those to evaluate on, as ``CONFIG-PART``.

    Examples:
        >>> names_by_use({("instruct", "train"): [], ("instruct", "eval"): []})
        (['instruct-train'], ['instruct-eval'])
    """
    names: tuple[list[str], list[str]] = [], []
    for config, part in examples:
        names[part != TRAIN].append(f"{config}-{part}")
    return names


def asks_for_sound(examples: ByPart) -> bool:
    """Whether any question has a tag for sound.

    Examples:
        >>> asks_for_sound({})
        False
    """
    return any(row.asks_for_sound for rows in examples.values() for row in rows)


class TrainerFormat(ABC):
    """The files of one trainer."""

    sound_files: ClassVar[bool] = False
    """Whether sound is needed as separate files; else it is read from the videos."""

    def check(self, examples: Examples) -> None:  # noqa: B027  # most trainers read every dataset
        """Refuse a dataset that the trainer cannot use; nothing by default.

        Raises:
            InputError: The trainer cannot use the dataset.
        """

    @abstractmethod
    def write(self, out: Path, examples: ByPart, media: ExportedMedia) -> None:
        """Write the questions and answers.

        Args:
            out: Folder of the export.
            examples: Examples by config and part.
            media: Files of the clips.
        """

    def write_saliency(self, out: Path, examples: Examples) -> dict[str, int]:
        """Write stills and saliency maps; none by default.

        Returns:
            Number of pairs by part.
        """
        return {}

    @abstractmethod
    def advice(self, out: Path, examples: ByPart) -> list[str]:
        """Instructions for starting a training, as lines."""
