"""A prepared study: the items to show, and their files with opaque names and recorded hashes."""

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
    """A file that is sent to browsers.

    Attributes:
        name: Opaque file name.
        sha256: Hexadecimal SHA-256 of the file.
        seconds: Length in seconds; 0 for a still.
        size: Width and height in pixels; (0, 0) for sound.
        sound: Whether it has sound.
    """

    name: str
    sha256: str
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    sound: bool = False


Role = Literal["rated", "training", "golden"]


@dataclass(frozen=True, slots=True)
class StudyItem:
    """An item that participants rate: a clip, or a pair of clips of one content.

    Attributes:
        number: Number of the item, from 0.
        role: `rated`, `training`, or `golden` if the correct rating is known.
        content: Content; it is never shown twice in a row.
        clips: Id of the clip, or of the left and the right clip.
        models: Model of each clip; None if the id names none.
        media: Opaque name of each clip's file.
        still: Opaque name of the still on which participants mark faults; None without one.
        low: Lowest score that passes, for a golden clip.
        high: Highest score that passes, for a golden clip.
        winner: Side that should win, for a golden pair.
    """

    number: int
    role: Role
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
        digits: Number of tones in each group, one digit each.
    """

    name: str
    digits: str


@dataclass(frozen=True, slots=True)
class PreparedStudy:
    """The study that `prepare` writes to a folder.

    Attributes:
        format_version: Version of this format.
        plan: Plan.
        taxonomy: Distortions to tick; None if participants tick none.
        token: Secret part of the address of the participants' page.
        curator_token: Secret part of the address of the curator's page.
        media: Files.
        items: Items to show.
        headphone_tests: Tests to choose from; empty if headphones are not checked.
        tools: Versions and parameters that determine the bytes of the media.
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
        """Playing time of an item in seconds; the clips of a pair play one after the other."""
        lengths = {file.name: file.seconds for file in self.media}
        return sum(lengths[name] for name in item.media)

    def of_role(self, role: str) -> tuple[StudyItem, ...]:
        """Items of a role, in their order."""
        return tuple(item for item in self.items if item.role == role)


def write_prepared(folder: Path, study: PreparedStudy) -> None:
    """Write `study.json` atomically."""
    text = json.dumps(to_plain(study), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / STUDY_NAME, text + "\n")


def read_prepared(folder: Path) -> PreparedStudy:
    """Read a prepared study.

    Raises:
        InputError: The folder holds no prepared study, or one of another format.
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
    """Compare every media file with its recorded hash.

    Raises:
        InputError: A file is missing or differs: ratings of another file would be attributed to the clip.
    """
    for file in study.media:
        path = inside(folder / MEDIA_FOLDER, file.name)
        if not path.is_file():
            raise InputError(f"{path} is missing: prepare the study again, in a new folder")
        if sha256_file(path) != file.sha256:
            raise InputError(
                f"{path} is not the file that was prepared (its hash differs): prepare the study "
                "again, in a new folder"
            )
