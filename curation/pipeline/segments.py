"""Segments of source files, and the candidates that are made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from msgspec.structs import replace as replace_record

from theval_datasets import media
from theval_datasets.engines.base import Engine
from theval_datasets.errors import MissingMediaError
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.extraction.measure import compute
from theval_datasets.extraction.outcomes import Feature
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.active_speaker import ActiveSpeaker, Turn, turns
from theval_datasets.features.face_scan import FaceScan
from theval_datasets.features.faces import Faces
from theval_datasets.features.shots import Shots
from theval_datasets.features.vad import Vad
from theval_datasets.media.facts import MediaFacts, SourcePicture
from theval_datasets.utils.files import sha256_file

from ..clips.cut import Piece
from ..recipes.recipe import Recipe
from ..segmentation.people import PersonCut, people_of
from ..segmentation.spans import find_spans
from ..sources.base import SourceFile
from ..tasks import Failure

_MIN_SECONDS: Final = 0.01  # length below which a rejected span gets no row


@dataclass(frozen=True, slots=True)
class Segment:
    """A source file, or a span of a source file, that may become a clip.

    Attributes:
        source_id: Unique name of the file within the run.
        source: Source file; its origin holds the file's hash once it is known.
        start: Start in seconds since the source's first frame.
        end: End in seconds; None for the whole file.
        person: The person whom it shows, whose times are those of a scene; None for the whole picture.
    """

    source_id: str
    source: SourceFile
    start: float = 0.0
    end: float | None = None
    person: PersonCut | None = None

    @property
    def clip_id(self) -> str:
        """Id of its clip: the source's id, with start and end in milliseconds, and the person."""
        if self.end is None:
            return self.source_id
        whose = "" if self.person is None else f"-person{self.person.person}"
        return f"{self.source_id}-{round(self.start * 1000)}-{round(self.end * 1000)}{whose}"

    @property
    def whole(self) -> bool:
        """Whether it is the whole file, neither cut nor encoded again."""
        return self.end is None

    @property
    def source_sha256(self) -> str:
        """Hash of the source file.

        Raises:
            ValueError: It has not been computed.
        """
        if self.source.origin.sha256 is None:
            raise ValueError(f"the source of {self.clip_id} has not been hashed")
        return self.source.origin.sha256

    @property
    def piece(self) -> Piece:
        """Part of the source that the clip consists of.

        Raises:
            ValueError: The segment is a whole file.
        """
        if self.end is None:
            raise ValueError(f"{self.clip_id} is not a span of its source")
        if self.person is None:
            return Piece(self.start, self.end)
        region, audible = self.person.region, self.person.audible
        return Piece(self.start, self.end, region=region, audible=audible)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment with its clip file, which is measured and judged.

    Attributes:
        segment: The segment.
        path: Path of the clip file.
        sha256: SHA-256 of the clip file.
        media: Measured facts of the clip file.
        source_picture: Storage format of the source's pictures.
    """

    segment: Segment
    path: Path
    sha256: str
    media: MediaFacts
    source_picture: SourcePicture

    @property
    def clip_id(self) -> str:
        """Id of the clip."""
        return self.segment.clip_id


@dataclass(frozen=True, slots=True)
class Rejection:
    """A segment that does not become a candidate.

    Attributes:
        segment: The segment.
        stage: Stage: `media`, `segment`, `people` or `cut`.
        failure: Reason.
    """

    segment: Segment
    stage: str
    failure: Failure


def hashed(segment: Segment) -> Segment:
    """The segment with the current hash of its source file."""
    source = segment.source
    if not source.path.is_file():
        raise MissingMediaError(f"there is no file {source.path.name}")
    origin = replace_record(source.origin, sha256=sha256_file(source.path))
    return replace(segment, source=replace(source, origin=origin))


def whole_file(segment: Segment) -> Candidate:
    """The candidate of an unchanged source file.

    Raises:
        MediaError: It is not a video or a picture.
    """
    path = segment.source.path
    facts = media.probe(path)
    return Candidate(segment, path, segment.source_sha256, facts, facts.picture)


def scan(
    segments: Sequence[Segment], recipe: Recipe, cache: str, engine: Engine
) -> Iterator[Segment | Rejection]:
    """Spans of source files that may become clips, and rejections of the other spans.

    Args:
        segments: Whole files, hashed.
        recipe: Recipe with the segment rule.
        cache: Path or URL of the feature cache.
        engine: Engine that measures them.
    """
    extractors = (Shots(), FaceScan(recipe.segment.fps), Vad())
    store = FeatureStore(extractors, cache)
    jobs = jobs_of(
        (segment.clip_id, segment.source.path, segment.source_sha256) for segment in segments
    )
    compute(store, jobs, engine, "scan")
    for segment in segments:
        shots, faces, vad = (
            store.find(extractor, segment.source_sha256) for extractor in extractors
        )
        measured = (shots, faces, vad)
        bad = next((f for f in measured if f is None or f.outcome.status == "failed"), None)
        if shots is None or faces is None or vad is None or bad or shots.outcome.status != "ok":
            why = bad or shots
            reason = (why.outcome.reason if why else None) or "not-measured"
            detail = (why.outcome.detail if why else None) or ""
            yield Rejection(segment, "media", Failure(reason, detail))
            continue
        spans, refused = find_spans(shots.values, faces, vad, recipe.segment)
        yield from (replace(segment, start=span.start, end=span.end) for span in spans)
        reported = [span for span in refused if span.end - span.start > _MIN_SECONDS]
        for span in reported:
            part = replace(segment, start=span.start, end=span.end)
            yield Rejection(part, "segment", Failure(span.reason, ""))
        if not (spans or reported):
            reason = "still" if len(shots.values["time"]) == 1 else "short-shot"
            yield Rejection(segment, "segment", Failure(reason, ""))


def split_people(
    scenes: Sequence[Candidate], recipe: Recipe, cache: str, engine: Engine
) -> Iterator[Segment | Rejection]:
    """The people of scenes, and those who do not become clips.

    Args:
        scenes: Scenes that were cut out of their sources.
        recipe: Recipe with the rule for people.
        cache: Path or URL of the feature cache.
        engine: Engine that measures the scenes.
    """
    store = FeatureStore(scene_extractors(recipe), cache)
    jobs = jobs_of(((scene.clip_id, scene.path, scene.sha256) for scene in scenes), made_here=True)
    compute(store, jobs, engine, "people")
    for scene in scenes:
        segment, end = scene.segment, scene.segment.end
        faces = store.find(Faces(), scene.sha256)
        if faces is None or end is None or faces.outcome.status != "ok":
            yield Rejection(segment, "people", _failure(faces))
            continue
        speakers = store.find(ActiveSpeaker(), scene.sha256) if recipe.person.listens else None
        spoken = _turns(speakers)
        people = people_of(faces.values, spoken, end - segment.start, recipe.person)
        for person in people:
            start, stop = (round(segment.start + at, 6) for at in (person.start, person.end))
            part = replace(segment, start=start, end=stop, person=person)
            if person.refused is None:
                yield part
            elif person.refused == "turns-unknown":
                yield Rejection(part, "people", _failure(speakers))
            else:
                seen = f"seen for {person.end - person.start:.2f} s"
                yield Rejection(part, "people", Failure(person.refused, seen))


def scene_extractors(recipe: Recipe) -> tuple[Extractor, ...]:
    """Extractors by which the people of scenes are cut out; none for a recipe that keeps scenes whole."""
    if recipe.cut != "people":
        return ()
    return (Faces(), ActiveSpeaker()) if recipe.person.listens else (Faces(),)


def _turns(speakers: Feature | None) -> list[Turn] | None:
    """Turns of speech; none without sound; None if they are unknown."""
    if speakers is None or speakers.outcome.status == "failed":
        return None
    return turns(speakers.values) if speakers.outcome.status == "ok" else []


def _failure(feature: Feature | None) -> Failure:
    outcome = None if feature is None else feature.outcome
    reason = (outcome.reason if outcome else None) or "not-measured"
    return Failure(reason, (outcome.detail if outcome else None) or "")
