"""From sources to candidates: what is scanned, and which spans of it are to be cut and judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets import media
from theval_datasets.errors import MediaError
from theval_datasets.extraction.engines.local import LocalEngine
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.face_scan import FaceScan
from theval_datasets.features.shots import Shots
from theval_datasets.features.vad import Vad
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import sha256_file

from ..clips.adopt import place
from ..recipes.recipe import Recipe
from ..segmentation.spans import Refusal, Span, find_spans
from ..sources.base import SourceFile

_TELLING: Final = 0.01  # seconds of a stretch from which it is worth a row


@dataclass(frozen=True, slots=True)
class Material:
    """A source on this disk.

    Attributes:
        name: What its clips are named after.
        found: The file, and where it comes from.
        sha256: Of the file.
    """

    name: str
    found: SourceFile
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
    store = FeatureStore(wanted, cache)
    jobs = jobs_of((m.name, m.found.path, m.sha256) for m in materials)
    store.compute(jobs, LocalEngine(workers), "scan")
    spans: list[tuple[str, Material, Span]] = []
    lost: list[Lost] = []
    for material in materials:
        seen = {extractor.name: store.find(extractor, material.sha256) for extractor in wanted}
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
        told = [_refused(material, one) for one in refused if one.end - one.start > _TELLING]
        if not (found or told):
            reason = "still" if len(shots.values["time"]) == 1 else "short-shot"
            told = [Lost(material.name, material, "segment", reason)]
        lost += told
    return spans, lost


def _refused(material: Material, one: Refusal) -> Lost:
    name = _named(material.name, one.start, one.end)
    return Lost(name, material, "segment", one.reason, "", (one.start, one.end))


def _named(name: str, start: float, end: float) -> str:
    return f"{name}-{round(start * 1000)}-{round(end * 1000)}"


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
