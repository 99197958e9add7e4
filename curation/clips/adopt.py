"""One whole file as a clip: linked, hashed, probed, with its audio track and reference frame."""

from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from theval_datasets import media
from theval_datasets.errors import InputError, MediaError, MissingMediaError
from theval_datasets.manifest.rows import FileStamp, Judgement, ManifestRow
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import sha256_file

from ..recipes.recipe import Recipe
from ..sources.base import SourceFailure, SourceFile
from .audio_tracks import write_mono
from .reference_frame import middle, write_frame

CLIPS: Final = "clips"
AUDIO: Final = "audio"
FRAMES: Final = "frames"
UNREADABLE: Final = "unreadable"
"""Reason of a file that the system would not let us read: a failure, not a verdict."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file that is to become a clip.

    Attributes:
        clip_id: The clip's name.
        found: The file.
        recipe: How to go about it.
        output: The manifest's folder.
    """

    clip_id: str
    found: SourceFile
    recipe: Recipe
    output: Path


def adopt(job: Job) -> ManifestRow:
    """Make the clip and its row; a file that cannot be a clip gets a row with the reason."""
    try:
        return _adopt(job)
    except MediaError as error:
        return _rejected(job, error.reason, str(error))
    except OSError as error:
        return _rejected(job, UNREADABLE, error.strerror or str(error))


def gone_row(clip_id: str, gone: SourceFailure, recipe: Recipe) -> ManifestRow:
    """The row of something that a source names but could not give."""
    verdict = Judgement("source", "reject", gone.reason, {"detail": gone.detail})
    return ManifestRow(
        clip_id=clip_id,
        path=None,
        source=gone.origin,
        sha256=None,
        judgements=(verdict,),
        reason=gone.reason,
        recipe=recipe.identity,
    )


def still_good(row: ManifestRow, job: Job) -> bool:
    """Whether the row of an earlier run still holds: same file, same recipe, all outputs there."""
    if row.recipe != job.recipe.identity or row.tools != tools() or row.stamp is None:
        return False
    try:
        if row.stamp != stamp(job.found.path):
            return False
        if row.path is None:
            return row.reason not in (None, UNREADABLE)
        clip = job.output / row.path
        outputs = [name for name in (row.audio, row.reference_frame) if name is not None]
        return stamp(clip) == row.stamp and all((job.output / name).is_file() for name in outputs)
    except OSError:
        return False


def stamp(path: Path) -> FileStamp:
    """Size and time of a file."""
    status = path.stat()
    return FileStamp(status.st_size, status.st_mtime_ns)


@functools.cache
def tools() -> dict[str, str | int]:
    """What the outputs' bytes depend on besides the recipe.

    Raises:
        InputError: `THEVAL_FFMPEG` names no program.
    """
    named = media.ffmpeg_binary()
    binary = shutil.which(named)
    if binary is None:
        raise InputError(f"There is no program {named}; unset THEVAL_FFMPEG or correct it.")
    return {"decoder": media.decoder_version(), "ffmpeg_sha256": sha256_file(Path(binary))}


def _adopt(job: Job) -> ManifestRow:
    source = job.found.path
    if not source.is_file():
        raise MissingMediaError(f"There is no file {source.name}")
    facts = media.probe(source)
    relative = f"{CLIPS}/{job.clip_id}{source.suffix.lower()}"
    place(source, job.output / relative)
    seconds, picture = middle(source)
    frame = f"{FRAMES}/{job.clip_id}.jpg"
    write_frame(job.output / frame, picture)
    origin = job.found.origin
    digest = sha256_file(source)
    return ManifestRow(
        clip_id=job.clip_id,
        path=relative,
        source=replace(origin, location=origin.location or relative, sha256=digest),
        sha256=digest,
        media=facts,
        reference_frame=frame,
        reference_time=seconds,
        audio=_audio_track(job, facts) if job.recipe.audio_track else None,
        tools=tools(),
        recipe=job.recipe.identity,
        stamp=stamp(source),
    )


def _rejected(job: Job, reason: str, detail: str) -> ManifestRow:
    source = job.found.path
    origin = job.found.origin
    readable = reason != UNREADABLE and source.is_file()
    return ManifestRow(
        clip_id=job.clip_id,
        path=None,
        source=replace(origin, location=origin.location or job.found.name),
        sha256=None,
        judgements=(Judgement("media", "reject", reason, {"detail": detail}),),
        reason=reason,
        tools=tools(),
        recipe=job.recipe.identity,
        stamp=stamp(source) if readable else None,
    )


def place(source: Path, target: Path) -> None:
    """Put a file at `target`, whole or not at all: a hard link where that works, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:80]}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        try:
            part.hardlink_to(source.resolve())
        except OSError:
            shutil.copy2(source, part)
        if target.exists() and target.samefile(part):
            return  # renaming one link of a file over another leaves both
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _audio_track(job: Job, facts: MediaFacts) -> str | None:
    """The sound as 16 kHz mono WAV from the clip's second 0; None if there is nothing to hear."""
    if facts.audio_codec is None:
        return None
    relative = f"{AUDIO}/{job.clip_id}.wav"
    return relative if write_mono(job.found.path, job.output / relative) else None
