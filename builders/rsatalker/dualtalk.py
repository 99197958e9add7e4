"""DualTalk's release: speech and FLAME motion of two speakers of a conversation."""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.utils.archives import files_of
from theval_datasets.utils.text import some_of

SPLITS: Final = ("train", "test", "ood")
_FILE: Final = re.compile(r"(.+)_speaker([12])")
_NAME: Final = re.compile(r"(.+)_sub_video_(\d+)(?:_(\d+))?")


@dataclass(frozen=True)
class DualtalkRecording:
    """One speaker of one conversation.

    Attributes:
        name: Name of the recording, ``NAME_speakerN``.
        conversation: Name of the conversation, ``NAME``.
        speaker: Number of the speaker: 1 or 2.
        split: Split: `train`, `test` or `ood`.
        speech: WAV file; None if there is none.
        motion: NPZ file; None if there is none.
    """

    name: str
    conversation: str
    speaker: int
    split: str
    speech: Path | None = None
    motion: Path | None = None

    @property
    def youtube_id(self) -> str | None:
        """Id of its video; None for a name of another pattern."""
        match = _NAME.fullmatch(self.conversation)
        return match[1] if match else None


def find_recordings(release: Path) -> dict[str, DualtalkRecording]:
    """The recordings of a release by name.

    Raises:
        InputError: For names in two splits, or if there are no recordings.

    Examples:
        >>> Path("train").mkdir()
        >>> Path("train/abc_speaker1.wav").touch()
        >>> find_recordings(Path())["abc_speaker1"].split
        'train'
    """
    recordings: dict[str, DualtalkRecording] = {}
    faults = []
    for split in SPLITS:
        folder = release / split
        for file in files_of(folder, (".wav", ".npz")) if folder.is_dir() else ():
            match = _FILE.fullmatch(file.stem)
            if match is None:
                faults.append(f"{split}/{file.name}: expected NAME_speaker1 or NAME_speaker2")
                continue
            old = recordings.get(file.stem)
            speech, motion = (None, None) if old is None else (old.speech, old.motion)
            is_speech = file.path.suffix.lower() == ".wav"
            if old is not None and (old.split != split or (speech if is_speech else motion)):
                faults.append(f"{file.stem} occurs twice, in {old.split} and in {split}")
                continue
            speech, motion = (file.path, motion) if is_speech else (speech, file.path)
            recordings[file.stem] = DualtalkRecording(
                file.stem, match[1], int(match[2]), split, speech, motion
            )
    if faults:
        raise InputError(some_of(faults))
    if not recordings:
        raise InputError(
            f"{release} holds no recordings: expected {', '.join(SPLITS)} with "
            "NAME_speaker1.wav, NAME_speaker1.npz and so on"
        )
    return recordings


def speech_seconds(path: Path) -> float:
    """Length of a WAV.

    Raises:
        InputError: If the file is not of that format.
    """
    try:
        with wave.open(str(path), "rb") as track:
            return track.getnframes() / track.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise InputError(f"{path.name} is not a WAV file: {error}") from None
