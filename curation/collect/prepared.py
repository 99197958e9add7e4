"""A prepared study: what is shown, under opaque names, with frozen hashes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from theval_datasets.errors import InputError
from theval_datasets.utils.files import inside, sha256_file, write_text
from theval_datasets.utils.records import from_json, to_plain

from ..study.taxonomy import Taxonomy
from .plan import StudyPlan

STUDY_NAME: Final = "study.json"
DATABASE_NAME: Final = "study.sqlite"
MEDIA_FOLDER: Final = "media"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file that browsers are given.

    Attributes:
        name: Opaque file name.
        sha256: Of the file.
        seconds: Length; 0 for a still.
        size: Width and height in pixels; (0, 0) for sound.
        sound: Whether it has sound.
    """

    name: str
    sha256: str
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    sound: bool = False


@dataclass(frozen=True, slots=True)
class StudyItem:
    """Something that is rated: a clip, or a pair of clips of one content.

    Attributes:
        number: From 0.
        role: `rated`, `training`, or `golden` for a rating that is known.
        content: What it shows; neighbours never share it.
        clips: Id of the clip, or of the left and the right one.
        models: Model of each clip; None where the id names none.
        media: Opaque name of each clip's file.
        still: Opaque name of the still that is marked; None without one.
        low: Lowest score that passes, of a golden clip.
        high: Highest one.
        winner: The side that should win, of a golden pair.
    """

    number: int
    role: Literal["rated", "training", "golden"]
    content: str
    clips: tuple[str, ...]
    models: tuple[str | None, ...]
    media: tuple[str, ...]
    still: str | None = None
    low: float | None = None
    high: float | None = None
    winner: Literal["left", "right"] | None = None


@dataclass(frozen=True, slots=True)
class HeadphoneTest:
    """Three groups of tones, each in one ear.

    Attributes:
        name: Opaque name of the sound file.
        digits: How many tones each group has.
    """

    name: str
    digits: str


@dataclass(frozen=True, slots=True)
class PreparedStudy:
    """What `prepare` leaves in a folder.

    Attributes:
        format_version: Of this file.
        plan: The plan.
        taxonomy: The distortions that are asked for; None where none are.
        token: Secret part of the address that participants get.
        curator_token: Secret part of the address of the curator's page.
        media: The files.
        items: What is shown.
        headphone_tests: Empty if headphones are not checked.
        tools: Versions and parameters that the bytes of the media depend on.
    """

    format_version: int
    plan: StudyPlan
    taxonomy: Taxonomy | None
    token: str
    curator_token: str
    media: tuple[MediaFile, ...]
    items: tuple[StudyItem, ...]
    headphone_tests: tuple[HeadphoneTest, ...] = ()
    tools: dict[str, str | int] | None = None

    def seconds_of(self, item: StudyItem) -> float:
        """Seconds that an item plays: both clips of a pair, one after the other."""
        lengths = {file.name: file.seconds for file in self.media}
        return sum(lengths[name] for name in item.media)

    def of_role(self, role: str) -> tuple[StudyItem, ...]:
        """Items of a role, in their order."""
        return tuple(item for item in self.items if item.role == role)


def write_prepared(folder: Path, study: PreparedStudy) -> None:
    """Write `study.json`, whole or not at all."""
    text = json.dumps(to_plain(study), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / STUDY_NAME, text + "\n")


def read_prepared(folder: Path) -> PreparedStudy:
    """Read a prepared study.

    Raises:
        InputError: There is none in the folder, or it is of another format.
    """
    file = folder / STUDY_NAME
    if not file.is_file():
        raise InputError(
            f"there is no prepared study in {folder}: `theval-data collect prepare PLAN MANIFEST -o "
            f"{folder}` makes one"
        )
    study = from_json(PreparedStudy, file.read_bytes(), STUDY_NAME)
    if study.format_version != FORMAT_VERSION:
        raise InputError(
            f"{file} has format {study.format_version}, this version reads {FORMAT_VERSION}: prepare "
            "the study again"
        )
    return study


def check_media(folder: Path, study: PreparedStudy) -> None:
    """Compare every media file with its frozen hash.

    Raises:
        InputError: A file is gone or differs; ratings of another file would count for the clip.
    """
    for file in study.media:
        path = inside(folder / MEDIA_FOLDER, file.name)
        if not path.is_file():
            raise InputError(f"{path} is gone: prepare the study again, into a new folder")
        if sha256_file(path) != file.sha256:
            raise InputError(
                f"{path} is not the file that was prepared (its hash differs): prepare the study "
                "again, into a new folder"
            )
