"""Files for every span: `.candidates/` beside the manifest, with an index of what they were cut from.

A run that was killed, or one with other thresholds, cuts nothing twice, and the funnel shows frames of
what was rejected. What is kept is one file with two names; what is no candidate any more is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from theval_datasets.errors import MediaError
from theval_datasets.manifest.rows import FileStamp
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.jsonl import line_of, read_journal, write_records
from theval_datasets.utils.progress import progress
from theval_datasets.utils.records import Record

from ..clips.adopt import stamp, tools
from ..clips.cut import SUFFIX, Encoding, Piece, cut
from ..recipes.recipe import Recipe
from ..segmentation.spans import Span
from .candidates import Candidate, Lost, Material

FOLDER: Final = ".candidates"
_INDEX: Final = "index.jsonl"


class _Entry(Record, frozen=True):
    """A line of the index."""

    clip_id: str
    source_sha256: str
    start: float
    end: float
    encoding: Encoding
    tools: dict[str, str | int]
    sha256: str
    stamp: FileStamp
    media: MediaFacts


def cut_all(
    spans: Sequence[tuple[str, Material, Span]], recipe: Recipe, output: Path, workers: int
) -> tuple[list[Candidate], list[Lost]]:
    """Cut every span that is not there yet."""
    folder = output / FOLDER
    known = _known(folder)
    found: list[Candidate] = []
    lost: list[Lost] = []
    todo = []
    for name, material, span in spans:
        entry = known.get(name)
        if entry is not None and _holds(entry, material, span, recipe.encoding, folder):
            path = folder / f"{name}{SUFFIX}"
            found.append(Candidate(name, material, span, path, entry.sha256, entry.media))
        else:
            todo.append((name, material, span))
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / _INDEX, (known[name] for name in sorted(known)))
    with (
        (folder / _INDEX).open("ab") as index,
        ThreadPoolExecutor(max(1, workers)) as pool,
        progress(len(todo), "cut") as bar,
    ):
        jobs = {pool.submit(_cut, *one, recipe.encoding, folder): one for one in todo}
        for done in as_completed(jobs):
            name, material, span = jobs[done]
            bar.update()
            try:
                entry = done.result()
            except MediaError as error:
                where = (span.start, span.end)
                lost.append(Lost(name, material, "cut", error.reason, str(error), where))
                continue
            index.write(line_of(entry))
            index.flush()
            path = folder / f"{name}{SUFFIX}"
            found.append(Candidate(name, material, span, path, entry.sha256, entry.media))
    return sorted(found, key=lambda one: one.clip_id), lost


def _cut(name: str, material: Material, span: Span, encoding: Encoding, folder: Path) -> _Entry:
    target = folder / f"{name}{SUFFIX}"
    facts = cut(material.found.path, Piece(span.start, span.end), target, encoding)
    # the source's own time, so that the same run gives the same manifest
    when = material.found.path.stat().st_mtime_ns
    os.utime(target, ns=(when, when))
    return _Entry(
        name,
        material.sha256,
        span.start,
        span.end,
        encoding,
        tools(),
        sha256_file(target),
        stamp(target),
        facts,
    )


def _holds(entry: _Entry, material: Material, span: Span, encoding: Encoding, folder: Path) -> bool:
    """Whether a candidate of an earlier run is what would be cut now."""
    same = (entry.source_sha256, entry.start, entry.end) == (material.sha256, span.start, span.end)
    if not same or entry.encoding != encoding or entry.tools != tools():
        return False
    try:
        return stamp(folder / f"{entry.clip_id}{SUFFIX}") == entry.stamp
    except OSError:
        return False


def _known(folder: Path) -> dict[str, _Entry]:
    """The index of earlier runs; the last line about a name counts."""
    return {entry.clip_id: entry for entry in read_journal(folder / _INDEX, _Entry)}


def forget_others(candidates: Iterable[Candidate], output: Path) -> None:
    """Remove the cuts of earlier runs that are no candidates of this one.

    Args:
        candidates: Of this run.
        output: The manifest's folder.
    """
    folder = output / FOLDER
    if not folder.is_dir():
        return
    names = {one.clip_id for one in candidates if one.span is not None}
    files = {folder / f"{name}{SUFFIX}" for name in names} | {folder / _INDEX}
    for path in folder.rglob("*"):
        if path.is_file() and path not in files:
            path.unlink()
    known = _known(folder)
    write_records(folder / _INDEX, (known[name] for name in sorted(names & known.keys())))
