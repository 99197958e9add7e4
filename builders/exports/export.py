"""Export of a built dataset for a trainer, written to a temporary folder and renamed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.utils.files import storage_errors, write_text

from ..release.place import check_place, put_in_place
from .examples import Example, Examples, read_examples
from .formats import TrainerFormat
from .llama_factory import LlamaFactory
from .lmme3dhf import Lmme3dhf
from .media import ExportedMedia, MediaPlace
from .ms_swift import MsSwift

EXPORT_NAME: Final = "export.json"
TRAINERS: Final[Mapping[str, TrainerFormat]] = {
    "ms-swift": MsSwift(),
    "llama-factory": LlamaFactory(),
    "lmme3dhf": Lmme3dhf(),
}
"""Trainers by name."""


@dataclass(frozen=True)
class Export:
    """A written export.

    Attributes:
        folder: Folder.
        dataset: Name and version of the dataset.
        trainer: One of `TRAINERS`.
        split: Name of the split.
        rows: Numbers of questions by config and part.
        saliency: Numbers of stills with a map by part.
        left_out: Clips that are left out, by reason; sorted.
        advice: Instructions for starting a training with it.
    """

    folder: Path
    dataset: str
    trainer: str
    split: str
    rows: Mapping[str, int]
    saliency: Mapping[str, int]
    left_out: Mapping[str, tuple[str, ...]]
    advice: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """What was written, apart from its place and the advice, as `export.json` lists it."""
        return {
            "dataset": self.dataset,
            "for": self.trainer,
            "split": self.split,
            "rows": dict(self.rows),
            "saliency": dict(self.saliency),
            "left_out": {reason: list(clips) for reason, clips in self.left_out.items()},
        }


def export_dataset(
    folder: Path,
    out: Path,
    trainer: str,
    *,
    media: Path | None = None,
    prefix: str | None = None,
    split: str | None = None,
) -> Export:
    """Write the questions and answers of a built dataset in the format of a trainer.

    Args:
        folder: Folder of the dataset.
        out: Folder to write to; an earlier export there is replaced.
        trainer: One of `TRAINERS`.
        media: Folder with the videos; None for those in the dataset.
        prefix: Text instead of the path of `media` in the files.
        split: One of `theval_datasets.builders.exports.examples.SPLITS`.

    Raises:
        InputError: The dataset cannot be exported, or `out` holds files that are not an export.
    """
    if trainer not in TRAINERS:
        raise UnknownNameError("trainer", trainer, TRAINERS)
    trainer_format = TRAINERS[trainer]
    given = read_examples(folder, split)
    trainer_format.check(given)
    _check_places(folder, out, media)
    with storage_errors(out), put_in_place(out, EXPORT_NAME) as part:
        place = MediaPlace(folder, given.info, media, out, part, prefix)
        files = _files(given, place, trainer_format.sound_files)
        kept: dict[tuple[str, str], list[Example]] = {}
        for example in given.rows:
            if example.clip_id not in files.reasons:
                kept.setdefault((example.config, example.part), []).append(example)
        if not kept:
            raise InputError(f"nothing to export: {_reasons_in_words(files)}")
        trainer_format.write(part, kept, files)
        saliency = trainer_format.write_saliency(part, given)
        left_out: dict[str, list[str]] = {}
        for clip, reason in sorted(files.reasons.items()):
            left_out.setdefault(reason, []).append(clip)
        made = Export(
            out,
            f"{given.info.dataset} {given.info.version}",
            trainer,
            given.split,
            {f"{config}/{name}": len(rows) for (config, name), rows in kept.items()},
            saliency,
            {reason: tuple(clips) for reason, clips in left_out.items()},
            (),
        )
        listed = json.dumps(made.to_plain(), indent=1, ensure_ascii=False)
        write_text(part / EXPORT_NAME, listed + "\n")
    return Export(**{**vars(made), "advice": tuple(trainer_format.advice(out.absolute(), kept))})


def _files(given: Examples, place: MediaPlace, sound_files: bool) -> ExportedMedia:
    """The files of all clips; a clip that lacks a file that its questions need has a reason."""
    clips = {example.clip_id for example in given.rows}
    with_sound = {example.clip_id for example in given.rows if example.asks_for_sound}
    files = place.files(sorted(clips), sound_too=bool(with_sound) and sound_files)
    for clip in sorted(with_sound):
        if clip not in files.audios if sound_files else clip in place.silent:
            files.reasons.setdefault(clip, "no-audio")
    return files


def _check_places(folder: Path, out: Path, media: Path | None) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"expected a folder outside of the dataset for the export, got {out}")
    if media is not None and media.resolve().is_relative_to(out.resolve()):
        raise InputError(f"-o {out} is replaced, and --media {media} lies in it: choose another -o")
    check_place(out, EXPORT_NAME)


def _reasons_in_words(files: ExportedMedia) -> str:
    counted = Counter(files.reasons.values())
    return ", ".join(f"{count} clips are left out as {reason}" for reason, count in counted.items())
