"""Takedown of clips, which are removed, and must not be published or made again.

The order of steps lets a takedown be repeated if it was interrupted: first tombstones, so that nothing
is made again; then files, located by the rows and by their names; then rows.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    REJECTED_NAME,
    ManifestRow,
    read_manifest,
    read_rows,
    write_manifest,
)
from theval_datasets.manifest.tombstones import (
    TOMBSTONES_NAME,
    Tombstone,
    read_tombstones,
    write_tombstones,
)
from theval_datasets.utils.files import inside, remove_inside, safe_name
from theval_datasets.utils.jsonl import read_journal
from theval_datasets.utils.locks import locked
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from .clips.files import AUDIO, CLIPS, FRAMES
from .clips.turns import write_turns
from .pipeline.candidate_store import FOLDER, CandidateStore
from .pipeline.earlier import JOURNAL, files_of
from .sources.fetching.ledger import Ledger
from .sources.local import SUFFIXES

_log = logging.getLogger(__name__)

PAGES: Final = ("funnel.html", "funnel.png")
"""Pages about a run, which show frames of its clips."""


@dataclass(frozen=True, slots=True)
class TakedownReport(Report):
    """Result of a takedown.

    Attributes:
        tombstones: Path of the file of tombstones.
        taken: Ids with a new tombstone.
        known: Ids that already had a tombstone.
        unlisted: Ids that no row of the folder lists; they get a tombstone nevertheless.
        removed: Files that were removed, relative to the folder.
        unsafe: Files that rows list outside the folder; they are not touched.
        sources: Files in the folder that the clips were cut from; they are kept.
    """

    tombstones: Path
    taken: tuple[str, ...]
    known: tuple[str, ...]
    unlisted: tuple[str, ...]
    removed: tuple[str, ...]
    unsafe: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if an id is not listed and had no tombstone, since it may be misspelled; else 0."""
        return int(bool(set(self.unlisted) - set(self.known)))

    def table(self) -> list[dict[str, Any]]:
        """One row per clip."""
        return [
            {"clip_id": name, "new": name in self.taken, "listed": name not in self.unlisted}
            for name in sorted({*self.taken, *self.known})
        ]

    def to_text(self) -> str:
        """Human-readable summary."""
        lines = [f"{count_of(len(self.taken), 'clip')} taken down in {self.tombstones}"]
        lines += [f"  already had a tombstone: {name}" for name in self.known]
        lines += [
            f"  not listed in the manifest, but marked nevertheless: {name}"
            for name in self.unlisted
        ]
        lines += [f"  removed {name}" for name in self.removed]
        lines += [f"  not touched, outside the folder: {name}" for name in self.unsafe]
        lines += [f"  not removed, the recording it was cut from: {name}" for name in self.sources]
        lines.append(
            "curate, rebuild and build will leave these clips out. Build a new version and push it; "
            "older versions at the Hub still hold them, and push explains how to remove those"
        )
        return "\n".join(lines)


def take_down(clip_ids: Sequence[str], manifest: Path, date: str) -> TakedownReport:
    """Write tombstones beside a manifest, and remove the clips' files and rows.

    Args:
        clip_ids: Ids of the clips.
        manifest: Manifest, or its folder; locked meanwhile.
        date: Date of the takedown, YYYY-MM-DD.

    Raises:
        InputError: There is no manifest, a file of rows cannot be read, or an id or the date is invalid;
            nothing was changed.
    """
    folder = read_manifest(manifest).folder
    if manifest.is_file() and manifest.name != MANIFEST_NAME:
        raise InputError(f"expected a folder or its {MANIFEST_NAME}, got {manifest}")
    with locked(folder, "takedown"):
        return _take_down(dict.fromkeys(clip_ids), folder, date)


def _take_down(clip_ids: Mapping[str, None], folder: Path, date: str) -> TakedownReport:
    kept_rows = list(read_manifest(folder).rows)
    rejected = folder / REJECTED_NAME
    rejected_rows = list(read_rows(rejected)) if rejected.is_file() else []
    journal = list(read_journal(folder / JOURNAL, ManifestRow))
    rows = [*kept_rows, *rejected_rows, *journal]
    own = [row for row in rows if row.clip_id in clip_ids]
    others = {name for row in rows if row.clip_id not in clip_ids for name in files_of(row)}
    files = dict.fromkeys(name for row in own for name in files_of(row))
    files |= dict.fromkeys(
        name for clip_id in clip_ids for name in files_named(clip_id, folder) if name not in others
    )
    store = CandidateStore(folder)
    scenes = {name for row in own for name in store.scenes_of(row)}
    files |= dict.fromkeys(f"{FOLDER}/{name}.mp4" for name in sorted(scenes))
    unsafe = [name for name in files if not _is_safe(folder, name)]
    path = folder / TOMBSTONES_NAME
    stones = {stone.clip_id: stone for stone in read_tombstones(path)}
    taken = [name for name in clip_ids if name not in stones]
    new = {name: Tombstone(clip_id=name, date=date) for name in taken}

    write_tombstones(path, (stones | new).values())
    removed = [name for name in files if name not in unsafe and remove_inside(folder, name)]
    removed += _remove_pages(clip_ids, folder)
    write_turns(folder, _without(clip_ids, kept_rows))
    store.forget((*clip_ids, *scenes))
    if any(row.clip_id in clip_ids for row in kept_rows):
        write_manifest(folder / MANIFEST_NAME, _without(clip_ids, kept_rows))
    if any(row.clip_id in clip_ids for row in rejected_rows):
        write_manifest(rejected, _without(clip_ids, rejected_rows))
    if any(row.clip_id in clip_ids for row in journal):
        write_manifest(folder / JOURNAL, _without(clip_ids, journal))

    listed = {row.clip_id for row in own}
    return TakedownReport(
        path,
        tuple(taken),
        tuple(name for name in clip_ids if name not in new),
        tuple(name for name in clip_ids if name not in listed),
        tuple(removed),
        tuple(unsafe),
        tuple(sorted(set(_sources(own, folder)))),
    )


def _without(clip_ids: Collection[str], rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    return [row for row in rows if row.clip_id not in clip_ids]


def files_named(clip_id: str, folder: Path) -> Iterator[str]:
    """The files that commands make of a clip, by its id, whether a row lists them or not.

    Examples:
        >>> list(files_named("talk", Path()))[1:3]
        ['audio/talk.wav', 'audio/talk.flac']
    """
    for name in dict.fromkeys((clip_id, safe_name(clip_id))):
        if not _is_safe(folder, f"{CLIPS}/{name}"):
            continue
        below = PurePosixPath(CLIPS, name)
        for path in (folder / below.parent).glob("*"):
            if path.stem == below.name and path.suffix.lower() in SUFFIXES:
                yield (below.parent / path.name).as_posix()
        yield f"{FOLDER}/{name}.mp4"
        yield from (f"{AUDIO}/{name}{end}" for end in (".wav", ".flac", ".merged.wav"))
        yield f"{FRAMES}/{name}.jpg"


def _is_safe(folder: Path, name: str) -> bool:
    """Whether a path is in the folder; a link that leads out is, since the link itself is removed."""
    try:
        inside(folder, str(Path(name).parent))
    except (UnsafePathError, OSError):
        return False
    return bool(Path(name).name) and ".." not in Path(name).parts and "\0" not in name


def _remove_pages(clip_ids: Collection[str], folder: Path) -> list[str]:
    """Remove the page of a run that shows one of the clips."""
    try:
        text = (folder / PAGES[0]).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    if not any(html.escape(name) in text for name in clip_ids):
        return []
    return [name for name in PAGES if remove_inside(folder, name)]


def _sources(rows: Iterable[ManifestRow], folder: Path) -> Iterator[str]:
    """Files in the folder that clips were cut from."""
    ledger = Ledger(folder)
    for row in rows:
        name: str | None = row.source.location
        if row.source.kind == "url":
            entry = ledger.find(row.source.location)
            name = None if entry is None else entry.file
        try:
            if name and inside(folder, name).is_file():
                yield name
        except (InputError, OSError):
            _log.info("%s: its source %r is outside the folder", row.clip_id, name)
