"""DualTalk's release: speech and FLAME motion of two speakers of a conversation."""

from __future__ import annotations

import io
import re
import wave
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.archives import ReleaseFile, files_of
from theval_datasets.errors import InputError, some_of

SPLITS: Final = ("train", "test", "ood")
_FILE: Final = re.compile(r"(.+)_speaker([12])")
_NAME: Final = re.compile(r"(.+)_sub_video_(\d+)(?:_(\d+))?")
_EXPRESSIONS: Final = 50
_POSE: Final = 6
_LARGEST: Final = 512 << 20

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


def _array(member: ReleaseFile, path: Path) -> Motion:
    try:
        array = np.load(io.BytesIO(member.read(_LARGEST)), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path.name}: {member.name} is not a plain array: {error}") from None
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{path.name}: {member.name} holds something else than finite numbers")
    numbers: Motion = array.astype(np.float32)
    return numbers
