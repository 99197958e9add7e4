"""Finishing of kept clips: clip file, audio tracks, reference frame and manifest row."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace as replace_record

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.store import FeatureStore, values_of
from theval_datasets.manifest.rows import Judgement, ManifestRow
from theval_datasets.media.frames import Audio
from theval_datasets.utils.files import digest, inside, link_or_copy, remove_inside, sha256_file
from theval_datasets.utils.records import to_plain

from ..clips.anonymise import anonymised
from ..clips.audio_tracks import merge_files, speaker_files, write_mono, write_original
from ..clips.difficulty import DifficultyRule
from ..clips.files import AUDIO, CLIPS, FRAMES, stamp, tools
from ..clips.reference_frame import choose, middle, write_frame
from ..clips.subjects import difficulty_of, people_facts
from ..duplicates.matching import prints_in_hex
from ..recipes.recipe import Recipe
from ..sources.fetching.fetch import FETCHED
from .earlier import files_hold
from .segments import Candidate, Segment, hashed, whole_file

_RULE: Final = DifficultyRule()


@dataclass(frozen=True, slots=True)
class Finisher:
    """Task for worker processes that finishes kept clips.

    Attributes:
        recipe: Recipe of the run.
        output: Folder of the manifest.
        extractors: Extractors of the run; none for a recipe that takes files unchanged.
        cache: Path or URL of the feature cache.
        anonymise: Whether faces are blurred in reference frames.
    """

    recipe: Recipe
    output: Path
    extractors: tuple[Extractor, ...] = ()
    cache: str | None = None
    anonymise: bool = False

    def __call__(self, kept: tuple[Candidate, tuple[Judgement, ...]]) -> ManifestRow:
        """Write the files of a candidate, and return its row."""
        candidate, judgements = kept
        features = _store(self.extractors, self.cache).clip(candidate.sha256)
        return self._finish(candidate, judgements, values_of(features))

    def as_is(self, segment: Segment) -> ManifestRow:
        """Finish a source file that is not judged: a task of its own.

        Raises:
            MediaError: The file cannot be a clip.
        """
        return self._finish(whole_file(hashed(segment)), (), {})

    def tools(self, segment: Segment) -> dict[str, str | int]:
        """Versions that the bytes of a clip and its row depend on."""
        versions = tools()
        if not segment.whole:
            versions = versions | self.recipe.encoding.facts()
        if self.recipe.people:
            versions = versions | {"difficulty_rule": digest(to_plain(_RULE))[:16]}
        return versions | ({"anonymised": 1} if self.anonymise else {})

    def holds(
        self, row: ManifestRow, candidate: Candidate, judgements: Sequence[Judgement]
    ) -> bool:
        """Whether the row of an earlier run equals the row that would be made now."""
        same = row.reason is None and row.sha256 == candidate.sha256
        if not same or row.recipe != self.recipe.identity:
            return False
        if row.tools != self.tools(candidate.segment):
            return False
        if not candidate.segment.whole and row.source_picture != candidate.source_picture:
            return False
        person = candidate.segment.person
        if (row.person, row.turns) != ((person.person, person.turns) if person else (None, ())):
            return False
        judged = to_plain(row.judgements) == to_plain(judgements)
        return judged and files_hold(row, self.output)

    def _finish(
        self, candidate: Candidate, judgements: tuple[Judgement, ...], values: Mapping[str, Values]
    ) -> ManifestRow:
        name = candidate.clip_id
        files = {
            "path": f"{CLIPS}/{name}{candidate.path.suffix.lower()}",
            "frame": f"{FRAMES}/{name}.jpg",
            "mono": f"{AUDIO}/{name}.wav",
            "original": f"{AUDIO}/{name}.flac",
            "merged": f"{AUDIO}/{name}.merged.wav",
        }
        try:
            return self._row(candidate, judgements, values, files)
        except BaseException:
            for file in files.values():  # a clip that fails leaves no files
                remove_inside(self.output, file)
            raise

    def _row(
        self,
        candidate: Candidate,
        judgements: tuple[Judgement, ...],
        values: Mapping[str, Values],
        files: Mapping[str, str],
    ) -> ManifestRow:
        recipe, segment = self.recipe, candidate.segment
        origin = segment.source.origin
        clip = inside(self.output, files["path"])
        link_or_copy(candidate.path, clip)
        facts = people_facts(values) if recipe.people else ()
        best = recipe.reference_frame == "best"
        path = candidate.path
        ours = not candidate.segment.whole
        seconds, picture = (
            choose(path, values, made_here=ours) if best else middle(path, made_here=ours)
        )
        shown = anonymised(picture, _boxes(values, seconds)) if self.anonymise else picture
        write_frame(inside(self.output, files["frame"]), shown)
        location = origin.location
        if not location:
            location = files["path"] if segment.whole else _keep_source(segment, self.output)
        phash, audio_print = prints_in_hex(values.get("fingerprints"))
        audio, original, track = (
            self._sound(candidate, files) if recipe.audio_track else (None, None, None)
        )
        return ManifestRow(
            clip_id=candidate.clip_id,
            path=files["path"],
            source=replace_record(
                origin, location=location, language=_language(origin.language, values)
            ),
            sha256=candidate.sha256,
            start=segment.start,
            end=segment.end,
            phash=phash,
            audio_print=audio_print,
            media=candidate.media,
            source_picture=None if segment.whole else candidate.source_picture,
            reference_frame=files["frame"],
            reference_time=round(seconds, 6) if self.extractors else seconds,
            audio=audio,
            audio_original=original,
            audio_channel=None if track is None else track.channel,
            tracks=facts,
            difficulty=difficulty_of(facts, picture, _RULE),
            judgements=judgements,
            tools=self.tools(segment),
            recipe=recipe.identity,
            stamp=stamp(clip),
            region=None if segment.person is None else segment.person.region,
            person=None if segment.person is None else segment.person.person,
            turns=() if segment.person is None else segment.person.turns,
            audible=None if segment.person is None else segment.person.audible,
            audio_gain=None if track is None else _decibels(track.gain),
        )

    def _sound(
        self, candidate: Candidate, files: Mapping[str, str]
    ) -> tuple[str | None, str | None, Audio | None]:
        """Write the 16 kHz track and, for measured clips, the original sound.

        If a whole file has tracks of single speakers beside it, the original sound is their merger.

        Returns:
            Both, relative to the output, and the sound that the first one holds; None for a merger.
        """
        segment = candidate.segment
        source = segment.source.path
        mono, original, merged = (
            inside(self.output, files[kind]) for kind in ("mono", "original", "merged")
        )
        speakers = speaker_files(source) if self.extractors and segment.whole else []
        if speakers:
            merge_files(speakers, merged)
            write_mono(merged, mono)
            return files["mono"], files["merged"], None
        track = write_mono(candidate.path, mono)
        if track is None:
            return None, None, None
        if not self.extractors:
            return files["mono"], None, track
        end = segment.end if segment.end is not None else candidate.media.duration
        audible = None if segment.person is None else segment.person.audible
        write_original(source, segment.start, end, original, audible)
        return files["mono"], files["original"], track


def _decibels(gain: float) -> float | None:
    """A gain as the manifest states it; None without one."""
    return None if gain == 1 else round(20 * math.log10(gain), 2)


@functools.lru_cache(maxsize=2)
def _store(extractors: tuple[Extractor, ...], cache: str | None) -> FeatureStore:
    return FeatureStore(extractors, cache)


def _keep_source(segment: Segment, output: Path) -> str:
    """Put a source without a root beside the manifest, for `rebuild`; returns its relative path."""
    path = segment.source.path
    relative = f"{FETCHED}/{segment.source_id}{path.suffix.lower()}"
    target = inside(output, relative)
    if not target.exists() or sha256_file(target) != segment.source_sha256:
        link_or_copy(path, target)
    return relative


def _language(declared: str | None, values: Mapping[str, Values]) -> str | None:
    """The declared language, or else the detected one."""
    if declared is not None or "spoken_language" not in values:
        return declared
    return str(values["spoken_language"]["language"])


def _boxes(values: Mapping[str, Values], seconds: float) -> npt.NDArray[np.float32] | None:
    """Measured faces of the reference frame; None if nothing was measured.

    Returns:
        (n, 4): left, top, right, bottom in pixels.
    """
    faces = values.get("faces")
    if faces is None:
        return None
    sample = int(np.argmin(np.abs(faces["time"] - seconds)))
    boxes: npt.NDArray[np.float32] = faces["box"][faces["sample"] == sample]
    return boxes if abs(float(faces["time"][sample]) - seconds) < 1e-3 else None
