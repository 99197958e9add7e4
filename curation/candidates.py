"""From sources to candidates: what is scanned, where it is cut, and files for every span.

Candidates lie in `.candidates/` beside the manifest, with an index of what they were cut from, so that
a run that was killed, or one with other thresholds, cuts nothing twice.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets import media
from theval_datasets.curation.adopt import place, stamp, tools
from theval_datasets.curation.cut import SUFFIX, Encoding, Piece, cut
from theval_datasets.curation.measured import Store
from theval_datasets.curation.recipe import Recipe
from theval_datasets.curation.segment import Refusal, Span, find_spans
from theval_datasets.curation.sources._base import Found
from theval_datasets.errors import InputError, MediaError
from theval_datasets.features.face_scan import FaceScan
from theval_datasets.features.shots import Shots
from theval_datasets.features.vad import Vad
from theval_datasets.files import atomic_write, canonical_json, sha256_file
from theval_datasets.manifest import FileStamp
from theval_datasets.progress import progress
from theval_datasets.records import from_plain, to_plain
from theval_datasets.schema import MediaFacts

_log = logging.getLogger(__name__)

FOLDER: Final = ".candidates"
_INDEX: Final = "index.jsonl"


@dataclass(frozen=True, slots=True)
class Material:
    """A source on this disk.

    Attributes:
        name: What its clips are named after.
        found: The file, and where it comes from.
        sha256: Of the file.
    """

    name: str
    found: Found
    sha256: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that is to be judged.

    Attributes:
        clip_id: Its name.
        material: What it is of.
        span: The part of it; None for all.
        path: The clip's file.
        sha256: Of the clip.
        media: What was probed of it.
    """

    clip_id: str
    material: Material
    span: Span | None
    path: Path
    sha256: str
    media: MediaFacts


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that did not even become a candidate.

    Attributes:
        clip_id: Its name.
        material: What it is of.
        stage: `media`, `segment` or `cut`.
        reason: Slug.
        detail: For people.
        span: Seconds of it; None for all.
    """

    clip_id: str
    material: Material
    stage: str
    reason: str
    detail: str = ""
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
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


def whole_files(materials: Iterable[Material]) -> tuple[list[Candidate], list[Lost]]:
    """Every source as one candidate, as it is."""
    found: list[Candidate] = []
    lost: list[Lost] = []
    for material in materials:
        path = material.found.path
        try:
            facts = media.probe(path)
        except MediaError as error:
            lost.append(Lost(material.name, material, "media", error.reason, str(error)))
            continue
        found.append(Candidate(material.name, material, None, path, material.sha256, facts))
    return found, lost


def scan(
    materials: Sequence[Material], recipe: Recipe, cache: str, workers: int
) -> tuple[list[tuple[str, Material, Span]], list[Lost]]:
    """Where the sources may be cut.

    Returns:
        Name, source and span of each candidate; and what holds none, with the reason.
    """
    wanted = (Shots(), FaceScan(recipe.segment.fps), Vad())
    store = Store(wanted, cache, workers)
    store.measure([(m.name, m.found.path, m.sha256) for m in materials], "scan")
    spans: list[tuple[str, Material, Span]] = []
    lost: list[Lost] = []
    for material in materials:
        seen = {extractor.name: store.read(extractor.name, material.sha256) for extractor in wanted}
        shots, faces, vad = (seen[extractor.name] for extractor in wanted)
        bad = next(
            (f for f in (shots, faces, vad) if f is None or f.outcome.status == "failed"), None
        )
        if shots is None or faces is None or vad is None or bad or shots.outcome.status != "ok":
            why = bad or shots
            outcome = why.outcome if why else None
            reason = (outcome.reason if outcome else None) or "not-measured"
            detail = (outcome.detail if outcome else None) or ""
            lost.append(Lost(material.name, material, "media", reason, detail))
            continue
        found, refused = find_spans(shots.values, faces, vad, recipe.segment)
        spans += [(_named(material.name, s.start, s.end), material, s) for s in found]
        lost += [_refused(material, one) for one in refused if one.end - one.start > 0.01]
    return spans, lost


def _refused(material: Material, one: Refusal) -> Lost:
    name = _named(material.name, one.start, one.end)
    return Lost(name, material, "segment", one.reason, "", (one.start, one.end))


def _named(name: str, start: float, end: float) -> str:
    return f"{name}-{round(start * 1000)}-{round(end * 1000)}"


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
    with (
        (folder / _INDEX).open("a", encoding="utf-8") as index,
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
            index.write(canonical_json(to_plain(entry)) + "\n")
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
    """The index of earlier runs; lines that are none are passed over, the last about a name counts."""
    try:
        lines = (folder / _INDEX).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    found: dict[str, _Entry] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = from_plain(_Entry, json.loads(line), f"{_INDEX}:{number}")
        except (ValueError, RecursionError, InputError) as error:
            _log.info("passed over: %s", error)
            continue
        found[entry.clip_id] = entry
    whole = "".join(canonical_json(to_plain(found[name])) + "\n" for name in sorted(found))
    with atomic_write(folder / _INDEX) as stream:
        stream.write(whole.encode())
    return found


def keep_source(material: Material, output: Path) -> str:
    """Put a source that lies nowhere in particular beside the manifest, for `rebuild`.

    Returns:
        Its place, relative to the manifest.
    """
    relative = f"sources/{material.name}{material.found.path.suffix.lower()}"
    target = output / relative
    if not target.exists() or sha256_file(target) != material.sha256:
        place(material.found.path, target)
    return relative
