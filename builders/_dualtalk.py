"""DualTalk's release: speech and FLAME motion of two speakers, and where they lie in their videos."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.archives import ReleaseFile, files_of
from theval_datasets.builders._csv import number, read_csv
from theval_datasets.errors import InputError, some_of

SPLITS: Final = ("train", "test", "ood")
_FILE: Final = re.compile(r"(.+)_speaker([12])")
_NAME: Final = re.compile(r"(.+)_sub_video_(\d+)(?:_(\d+))?")
_EXPRESSIONS: Final = 50
_POSE: Final = 6
_LARGEST: Final = 512 << 20
_BITS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

RELATIONSHIPS: Final[Mapping[str, tuple[bool, bool]]] = {
    "siblings": (True, True),
    "mother-son": (True, False),
    "couple": (False, True),
    "superior-subordinate": (False, False),
}
"""The paper's examples, one a cell: whether of one blood, and whether equal."""

Motion = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """One speaker of one conversation.

    Attributes:
        name: ``NAME_speakerN``.
        conversation: ``NAME``.
        speaker: 1 or 2.
        split: `train`, `test` or `ood`.
        speech: Its WAV; None if there is none.
        motion: Its NPZ; None if there is none.
    """

    name: str
    conversation: str
    speaker: int
    split: str
    speech: Path | None = None
    motion: Path | None = None

    @property
    def youtube_id(self) -> str | None:
        """The video that it is from; None for a name of another pattern."""
        match = _NAME.fullmatch(self.conversation)
        return match[1] if match else None


@dataclass(frozen=True)
class Span:
    """Where a recording lies in its video.

    Attributes:
        start: Seconds.
        end: Seconds; None to take the recording's own length.
        score: Of the match; None if unstated.
    """

    start: float
    end: float | None
    score: float | None


@dataclass(frozen=True)
class Relation:
    """How two speakers are related.

    Attributes:
        name: Such as `siblings`.
        blood: Whether of one blood; None if unknown.
        equal: Whether of equal standing; None if unknown.
    """

    name: str | None
    blood: bool | None
    equal: bool | None


def find_recordings(release: Path) -> dict[str, Recording]:
    """The recordings of a release by name.

    Raises:
        InputError: With names that are in two splits, or if there are none.
    """
    found: dict[str, Recording] = {}
    faults = []
    for split in SPLITS:
        folder = release / split
        for file in files_of(folder, (".wav", ".npz")) if folder.is_dir() else ():
            match = _FILE.fullmatch(file.stem)
            if match is None:
                faults.append(f"{split}/{file.name}: expected NAME_speaker1 or NAME_speaker2")
                continue
            old = found.get(file.stem)
            speech, motion = (None, None) if old is None else (old.speech, old.motion)
            is_speech = file.path.suffix.lower() == ".wav"
            if old is not None and (old.split != split or (speech if is_speech else motion)):
                faults.append(f"{file.stem} is there twice, in {old.split} and in {split}")
                continue
            speech, motion = (file.path, motion) if is_speech else (speech, file.path)
            found[file.stem] = Recording(file.stem, match[1], int(match[2]), split, speech, motion)
    if faults:
        raise InputError(some_of(faults))
    if not found:
        raise InputError(
            f"{release} holds no recordings: expected {', '.join(SPLITS)} with "
            "NAME_speaker1.wav, NAME_speaker1.npz and so on"
        )
    return found


def read_motion(path: Path) -> tuple[Motion, Motion, Motion]:
    """Expression (T, ≥ 50), head pose (T, 3) and jaw (T, 3) of an NPZ; nothing in it is unpickled.

    Raises:
        InputError: If it is not such a file.
    """
    arrays: dict[str, Motion] = {}
    for member in files_of(path, (".npy",)):
        key = PurePosixPath(member.name).stem
        if key in ("exp", "pose"):
            arrays[key] = _array(member, path)
    lacking = {"exp", "pose"} - arrays.keys()
    if lacking:
        raise InputError(f"{path.name}: expected the arrays exp and pose, missing {lacking}")
    expression, pose = arrays["exp"], arrays["pose"]
    if (
        expression.ndim != 2
        or expression.shape[1] < _EXPRESSIONS
        or pose.shape != (len(expression), _POSE)
        or not len(expression)
    ):
        raise InputError(
            f"{path.name}: expected exp of (T, {_EXPRESSIONS} or more) and pose of (T, {_POSE}), "
            f"got {expression.shape} and {pose.shape}"
        )
    return expression, pose[:, :3], pose[:, 3:]


def speech_seconds(path: Path) -> float:
    """Length of a WAV.

    Raises:
        InputError: If it is none.
    """
    try:
        with wave.open(str(path), "rb") as track:
            return track.getnframes() / track.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise InputError(f"{path.name} is not a WAV file: {error}") from None


def read_spans(path: Path) -> dict[str, Span]:
    """Where recordings lie: what ``theval-data locate --json`` says, or a CSV.

    The CSV has `clip_id, start` and perhaps `end, match_score`; `clip_id` is a recording or its
    conversation.

    Raises:
        InputError: For what is neither, a recording there twice, or a span that ends before it
            begins.
    """
    found: dict[str, Span] = {}
    entries: list[tuple[str, str, Span]] = []
    if path.suffix.lower() == ".json":
        try:
            plain: Any = json.loads(path.read_text(encoding="utf-8"))
            entries = [
                (path.name, PurePosixPath(one["short"]).stem,
                 Span(float(one["start"]), None, float(one["score"])))
                for one in plain["found"] if one["reason"] is None
            ]  # fmt: skip
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path.name} is not what `locate --json` writes: {error}") from None
    else:
        for where, row in read_csv(path, ("clip_id", "start")):
            end, score = (
                number(row, name, where) if (row.get(name) or "").strip() else None
                for name in ("end", "match_score")
            )
            entries.append(
                (where, row["clip_id"].strip(), Span(number(row, "start", where), end, score))
            )
    for where, name, span in entries:
        if not name or name in found:
            raise InputError(f"{where}: {name!r} is empty or there twice")
        if span.start < 0 or (span.end is not None and span.end <= span.start):
            raise InputError(f"{where}: expected 0 <= start < end, got {span.start} and {span.end}")
        found[name] = span
    return found


def read_relations(path: Path) -> dict[str, Relation]:
    """Relations by `youtube_id` or conversation: CSV with `id, relationship` and perhaps `blood, equal`.

    Raises:
        InputError: With rows that are there twice, unreadable, or contradict what the name means.
    """
    found: dict[str, Relation] = {}
    faults = []
    for where, row in read_csv(path, ("id", "relationship")):
        key = row["id"].strip()
        name = row["relationship"].strip().lower().replace("–", "-").replace(" ", "-") or None
        meant = RELATIONSHIPS.get(name or "", (None, None))
        bits: list[bool | None] = []
        for column, usual in zip(("blood", "equal"), meant, strict=True):
            cell = (row.get(column) or "").strip().lower()
            bit = _BITS.get(cell) if cell else usual
            if (cell and cell not in _BITS) or (usual is not None and bit != usual):
                faults.append(f"{where}: {column} = {cell!r} does not go with {name!r}")
            bits.append(bit)
        if not key or key in found:
            faults.append(f"{where}: {key!r} is empty or there twice")
        found[key] = Relation(name, bits[0], bits[1])
    if faults:
        raise InputError(some_of(faults))
    return found


def _array(member: ReleaseFile, path: Path) -> Motion:
    try:
        array = np.load(io.BytesIO(member.read(_LARGEST)), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path.name}: {member.name} is not a plain array: {error}") from None
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{path.name}: {member.name} holds something else than finite numbers")
    numbers: Motion = array.astype(np.float32)
    return numbers
