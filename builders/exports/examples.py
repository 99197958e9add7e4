"""The questions and answers of a built dataset, each with its part (train or eval)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.info import Info, read_info
from theval_datasets.utils.files import inside, safe_name

from ..base.builder import JOINED_CONFIG

TRAIN, EVAL = "train", "eval"
_PARTS: Final = {"official": "official_split", "grouped": "grouped_split"}
_FOLDS: Final = tuple(f"fold-{n}" for n in range(5))
SPLITS: Final = (*_PARTS, *_FOLDS)
"""Ways to split: by the published parts, by parts without common seeds, or with one fold held out."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question about a clip, and its answer.

    Attributes:
        config: Config that holds the question.
        clip_id: Id of the clip.
        part: `train` or `eval`.
        topic: Topic of the question, such as `quality` or `distortions`.
        messages: Question and answer, each with role and content.
        score: Mean opinion score in that dimension; None if there is none.
    """

    config: str
    clip_id: str
    part: str
    topic: str
    messages: tuple[Mapping[str, str], ...]
    score: float | None

    @property
    def asks_for_sound(self) -> bool:
        """Whether the question has a tag for sound."""
        return any("<audio>" in message["content"] for message in self.messages)


@dataclass(frozen=True)
class Examples:
    """The examples of a built dataset.

    Attributes:
        folder: Folder of the dataset.
        info: Contents of its `info.json`.
        split: Name of the split, one of `SPLITS`.
        part_of: `train` or `eval` by clip, of all clips of the dataset.
        rows: Examples in the order of the configs and `clip_id`.
    """

    folder: Path
    info: Info
    split: str
    part_of: Mapping[str, str]
    rows: tuple[Example, ...]


def read_examples(folder: Path, split: str | None = None) -> Examples:
    """Read the questions and answers of a built dataset.

    Args:
        folder: Folder of the dataset.
        split: One of `SPLITS`; by default the first that gives every clip a part.

    Raises:
        InputError: The folder is not a built dataset or holds no questions, or the split does not assign
            every clip to a part.
    """
    info = read_info(folder)
    configs = [
        name
        for name, config in info.configs.items()
        if {"clip_id", "messages"} <= {column.name for column in config.columns}
    ]
    if not configs:
        raise InputError(
            f"{folder} holds no questions and answers: expected theval/gen3dhf, or theval/thqa-mt built "
            f"with ratings or votes, got {info.dataset} with the configs {', '.join(info.configs)}"
        )
    chosen, part_of = _parts(folder, info, split)
    rows = [
        Example(
            name,
            row["clip_id"],
            part_of[row["clip_id"]],
            str(row.get("dimension") or row.get("task") or "distortions"),
            tuple(row["messages"]),
            row.get("score"),
        )
        for name in configs
        for row in rows_of(folder, info, name)
    ]
    return Examples(folder, info, chosen, part_of, tuple(rows))


def rows_of(
    folder: Path,
    info: Info,
    config: str,
    columns: Sequence[str] | None = None,
    *,
    at_once: int = 1000,
) -> Iterator[dict[str, Any]]:
    """The rows of all splits of a config, read in batches."""
    for split in info.configs[config].splits.values():
        for name in split.files:
            with pq.ParquetFile(inside(folder, name)) as file:
                for batch in file.iter_batches(at_once, columns=columns):
                    yield from batch.to_pylist()


def file_names(clips: Collection[str]) -> dict[str, str]:
    """A unique file name without suffix for each clip.

    Examples:
        >>> file_names(["a/b", "a__b", "c"])
        {'a/b': 'a__b', 'a__b': 'a__b-2', 'c': 'c'}
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for clip in sorted(clips):
        name = first = safe_name(clip).replace("/", "__")
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{first}-{number}"
        taken.add(name.casefold())
        names[clip] = name
    return names


def _parts(folder: Path, info: Info, split: str | None) -> tuple[str, dict[str, str]]:
    """The name of the split, and the part of each clip."""
    if split is not None and split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    known = {column.name for column in info.configs[JOINED_CONFIG].columns}
    columns = [name for name in (*_PARTS.values(), "fold") if name in known]
    table = list(rows_of(folder, info, JOINED_CONFIG, ["clip_id", *columns]))
    possible = {}
    for name in SPLITS:
        column = _PARTS.get(name, "fold")
        if column in columns and all(row[column] is not None for row in table):
            possible[name] = {row["clip_id"]: _part(name, row[column]) for row in table}
    chosen = next(iter(possible), None) if split is None else split
    if chosen not in possible:
        raise InputError(
            f"{info.dataset} has no split {split or 'for every clip'} (of every clip the column "
            f"{' or '.join(_PARTS.values())} or fold is needed); it has "
            f"{', '.join(possible) or 'none: fold needs five different contents'}"
        )
    return chosen, possible[chosen]


def _part(split: str, value: str | int) -> str:
    held_out = split in _FOLDS and value == _FOLDS.index(split)
    return EVAL if held_out or value in ("eval", "test") else TRAIN
