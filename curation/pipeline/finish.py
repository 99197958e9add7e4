"""A kept clip with everything that lies beside it, and its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from theval_datasets.extraction.outcomes import Feature, Values
from theval_datasets.extraction.store import values_of
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.files import digest
from theval_datasets.utils.records import to_plain

from ..clips.adopt import AUDIO, CLIPS, FRAMES, place, stamp, tools
from ..clips.anonymise import anonymised
from ..clips.audio_tracks import merge_files, speaker_files, write_mono, write_original
from ..clips.difficulty import DifficultyRule
from ..clips.reference_frame import choose, middle, write_frame
from ..clips.subjects import difficulty_of, people_facts
from ..duplicates.matching import prints_in_hex
from ..recipes.recipe import Recipe
from .candidates import Candidate, keep_source
from .judge import Judged

_RULE: Final = DifficultyRule()


@dataclass(frozen=True, slots=True)
class Finishing:
    """What kept clips are finished by.

    Attributes:
        recipe: The run's.
        output: The manifest's folder.
        anonymise: Whether faces are blurred in reference frames.
    """

    recipe: Recipe
    output: Path
    anonymise: bool

    def tools(self, one: Candidate) -> dict[str, str | int]:
        """What the bytes of a clip and its row depend on."""
        found = tools()
        if one.span is not None:
            found = found | self.recipe.encoding.facts()
        if self.recipe.people:
            found = found | {"difficulty_rule": digest(to_plain(_RULE))[:16]}
        return found | ({"anonymised": 1} if self.anonymise else {})

    def holds(self, old: ManifestRow, one: Candidate, judged: Judged) -> bool:
        """Whether the row of an earlier run still says all there is to say."""
        same = old.reason is None and old.sha256 == one.sha256 and old.path is not None
        if not same or old.recipe != self.recipe.identity or old.tools != self.tools(one):
            return False
        if to_plain(old.judgements) != to_plain(judged.judgements):
            return False
        files = (old.path, old.audio, old.audio_original, old.reference_frame)
        there = all((self.output / name).is_file() for name in files if name is not None)
        return there and old.stamp == stamp(self.output / str(old.path))


def finish(
    one: Candidate, judged: Judged, features: Mapping[str, Feature], how: Finishing
) -> ManifestRow:
    """Put a clip, its sound and its reference frame in place, and make its row.

    Args:
        one: The clip.
        judged: What filters said.
        features: What was measured of it.
        how: Recipe and folder.
    """
    output, recipe = how.output, how.recipe
    material = one.material
    relative = f"{CLIPS}/{one.clip_id}{one.path.suffix.lower()}"
    place(one.path, output / relative)
    values = values_of(features)
    facts = people_facts(values) if recipe.people else ()
    best = recipe.reference_frame == "best"
    seconds, picture = choose(one.path, values) if best else middle(one.path)
    shown = picture
    if how.anonymise:
        shown = anonymised(picture, _boxes(values, seconds))
    frame = f"{FRAMES}/{one.clip_id}.jpg"
    write_frame(output / frame, shown)
    location = material.found.origin.location
    if not location:
        location = relative if one.span is None else keep_source(material, output)
    phash, audio_print = prints_in_hex(values.get("fingerprints"))
    audio, original = _sound(one, how) if recipe.audio_track else (None, None)
    return ManifestRow(
        clip_id=one.clip_id,
        path=relative,
        source=replace(
            material.found.origin,
            location=location,
            sha256=material.sha256,
            language=_language(material.found.origin.language, values),
        ),
        sha256=one.sha256,
        start=one.span.start if one.span else 0.0,
        end=one.span.end if one.span else None,
        phash=phash,
        audio_print=audio_print,
        media=one.media,
        reference_frame=frame,
        reference_time=round(seconds, 6),
        audio=audio,
        audio_original=original,
        tracks=facts,
        difficulty=difficulty_of(facts, picture, _RULE),
        judgements=judged.judgements,
        tools=how.tools(one),
        recipe=recipe.identity,
        stamp=stamp(output / relative),
    )


def _sound(one: Candidate, how: Finishing) -> tuple[str | None, str | None]:
    """The 16 kHz track and the original; merged ones where speakers' own tracks are given."""
    source = one.material.found.path
    mono, original = f"{AUDIO}/{one.clip_id}.wav", f"{AUDIO}/{one.clip_id}.flac"
    speakers = speaker_files(source) if one.span is None else []
    if speakers:
        merged = f"{AUDIO}/{one.clip_id}.merged.wav"
        merge_files(speakers, how.output / merged)
        write_mono(how.output / merged, how.output / mono)
        return mono, merged
    if not write_mono(one.path, how.output / mono):
        return None, None
    start, end = (one.span.start, one.span.end) if one.span else (0.0, one.media.duration)
    write_original(source, start, end, how.output / original)
    return mono, original


def _language(declared: str | None, values: Mapping[str, Values]) -> str | None:
    """What is spoken, as declared, or else as heard."""
    if declared is not None or "spoken_language" not in values:
        return declared
    return str(values["spoken_language"]["language"])


def _boxes(values: Mapping[str, Values], seconds: float) -> npt.NDArray[np.float32] | None:
    """Faces in the reference frame as measured there; None where nothing was."""
    faces = values.get("faces")
    if faces is None:
        return None
    sample = int(np.argmin(np.abs(faces["time"] - seconds)))
    boxes: npt.NDArray[np.float32] = faces["box"][faces["sample"] == sample]
    return boxes if abs(float(faces["time"][sample]) - seconds) < 1e-3 else None
