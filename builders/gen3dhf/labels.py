"""Reading and checking of the score files of Gen3DHF's code repository.

``{numerical,text}/{train,eval}_{quality,authenticity}.json`` each hold a list of conversations about one
video. The score is in the assistant's sentence; the video is named by a path on the author's machine, of
which only the file name is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.json_files import read_json
from theval_datasets.utils.text import some_of

DIMENSIONS: Final = ("quality", "authenticity")
PARTS: Final = ("train", "eval")
_NONE: Final = "None"
_VIDEO: Final = re.compile(r"[\w.-]{1,100}\.(?:mp4|mkv|webm|avi|mov)", re.ASCII)
_ANSWER: Final = re.compile(
    r"The (\w+) of the human face in this video is (\w+)\.(?: \((-?\d+(?:\.\d+)?(?:e-?\d+)?)\))?"
)
_LEVELS: Final = {"bad", "poor", "fair", "good", "excellent", _NONE}


@dataclass(frozen=True, slots=True)
class PublishedLabel:
    """The release's label of one video in one dimension.

    Attributes:
        part: `train` or `eval`.
        score: Mean opinion score.
        level: None where the release writes "None" (the lowest score).
        question: The user's question.
    """

    part: str
    score: float
    level: str | None
    question: str


PublishedLabels = Mapping[str, Mapping[str, PublishedLabel]]
"""Labels by video (without suffix) and dimension."""


def find_labels(folder: Path) -> Path | None:
    """The folder with `numerical` in it, below a checkout or download; None if there is none.

    Examples:
        >>> Path("datasets/numerical").mkdir(parents=True)
        >>> find_labels(Path()).name
        'datasets'
    """
    for below in ("", "datasets", "main/datasets"):
        if (folder / below / "numerical").is_dir():
            return folder / below
    return None


def read_labels(folder: Path) -> PublishedLabels:
    """Read all files, and check that they agree.

    Args:
        folder: Folder with `numerical` and, optionally, `text`.

    Raises:
        InputError: The message lists missing, duplicate, malformed and contradictory labels.
    """
    labels: dict[str, dict[str, PublishedLabel]] = {}
    faults: list[str] = []
    for dimension in DIMENSIONS:
        for part in PARTS:
            path = folder / "numerical" / f"{part}_{dimension}.json"
            for where, video, level, score, question in _entries(path, dimension, faults):
                known = labels.setdefault(video, {})
                if score is None or dimension in known:
                    faults.append(f"{where}: {video} has no score, or occurs twice")
                    continue
                known[dimension] = PublishedLabel(part, score, level, question)
    if (folder / "text").is_dir():
        _compare_text(folder / "text", labels, faults)
    for video, known in labels.items():
        parts = {label.part for label in known.values()}
        if len(parts) > 1:
            faults.append(f"{video} is in train for one dimension and in eval for another")
    if faults:
        raise InputError(f"the labels in {folder} cannot be used: {some_of(faults)}")
    if not labels:
        raise InputError(f"the label files in {folder} hold no video")
    return labels


def answer(dimension: str, level: str | None, score: float | None = None) -> str:
    """The assistant's sentence in the wording of the release; with a score, the numeric one.

    Examples:
        >>> answer("quality", "good")
        'The quality of the human face in this video is good.'
        >>> answer("quality", "good", 71.5)
        'The quality of the human face in this video is good. (71.5)'
    """
    sentence = f"The {dimension} of the human face in this video is {level or _NONE}."
    return sentence if score is None else f"{sentence} ({score!r})"


def _compare_text(
    folder: Path, labels: Mapping[str, Mapping[str, PublishedLabel]], faults: list[str]
) -> None:
    for dimension in DIMENSIONS:
        seen: set[str] = set()
        for part in PARTS:
            path = folder / f"{part}_{dimension}.json"
            for where, video, level, _, _ in _entries(path, dimension, faults):
                label = labels.get(video, {}).get(dimension)
                if label is None or (label.part, label.level) != (part, level) or video in seen:
                    faults.append(f"{where}: {video} differs from the numerical files")
                seen.add(video)
        lacking = sorted(v for v in labels if dimension in labels[v] and v not in seen)
        if lacking:
            faults.append(
                f"text/*_{dimension}.json lack {len(lacking)} videos, such as {lacking[0]}"
            )


def _entries(
    path: Path, dimension: str, faults: list[str]
) -> Iterator[tuple[str, str, str | None, float | None, str]]:
    for number, entry in enumerate(_load(path)):
        where = f"{path.parent.name}/{path.name}[{number}]"
        parsed = _parse(entry, dimension)
        if parsed is None:
            faults.append(f"{where}: not a question and an answer about the {dimension} of a video")
        else:
            yield (where, *parsed)


def _load(path: Path) -> list[Any]:
    plain = read_json(path)
    if not isinstance(plain, list):
        raise InputError(f"{path}: expected a list of conversations, got {repr(plain)[:80]}")
    return plain


def _parse(entry: Any, dimension: str) -> tuple[str, str | None, float | None, str] | None:
    try:
        user, assistant = entry["messages"]
        question, statement = user["content"], assistant["content"]
        video = entry["videos"]
    except (TypeError, KeyError, ValueError):
        return None
    if isinstance(video, list) and len(video) == 1:
        video = video[0]
    if not all(isinstance(text, str) for text in (question, statement, video)):
        return None
    name = video.replace("\\", "/").rpartition("/")[2]
    match = _ANSWER.fullmatch(statement)
    if (user.get("role"), assistant.get("role")) != ("user", "assistant") or match is None:
        return None
    if match[1] != dimension or match[2] not in _LEVELS or not _VIDEO.fullmatch(name):
        return None
    if "/home/" in question or len(question) > 2000:
        return None
    score = None if match[3] is None else float(match[3])
    if score is not None and not math.isfinite(score):
        return None
    level = None if match[2] == _NONE else match[2]
    return name.rpartition(".")[0], level, score, question
