"""Clips and measurements as filters see them, made without any media."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from theval_datasets.curation.filters.base import Clip
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.manifest.rows import Source
from theval_datasets.media.facts import MediaFacts, SourcePicture

MEDIA = MediaFacts(
    duration=8.0, fps=25.0, width=1920, height=1080, n_frames=200, rotation=0, variable_rate=False,
    video_codec="h264", audio_codec="aac", audio_rate=48000, audio_channels=1, audio_start=0.0,
    audio_duration=8.0, n_bytes=1,
)  # fmt: skip
SOURCE = Source(kind="local", location="a.mp4")


def clip(name: str = "a", language: str | None = None, **media: Any) -> Clip:
    """A clip of 8 s in 1080p25; `media` replaces facts."""
    return Clip(name, replace(MEDIA, **media), replace(SOURCE, language=language))


def stored(**picture: Any) -> Clip:
    """A clip of a source whose pictures are stored in some way."""
    return dataclasses.replace(clip(), source_picture=SourcePicture(**picture))


def ok(missing=None, **values):
    arrays = {name: np.asarray(value) for name, value in values.items()}
    return Feature(Outcome("ok", missing=missing or {}), arrays)


def empty(reason):
    return Feature(Outcome("empty", reason))


def faces(people, samples=10, kinds=None, shots=1, n_subjects=None):
    """`people[i]`: the samples in which person i is, and their box in pixels of 1000 × 1000."""
    rows = [(s, i, box) for i, (where, box) in enumerate(people) for s in where]
    kinds = kinds or [0] * len(people)
    return ok(
        time=np.arange(samples) / 5,
        sample=np.array([s for s, _, _ in rows], np.int32),
        track=np.array([i for _, i, _ in rows], np.int32),
        track_person=np.arange(len(people), dtype=np.int32),
        track_kind=np.array(kinds, np.int8),
        box=np.array([b for _, _, b in rows], np.float32).reshape(-1, 4),
        n_subjects=kinds.count(0) if n_subjects is None else n_subjects,
        shot=np.arange(samples) * shots // samples,
        width=1000,
        height=1000,
    )


FACE = (400, 300, 600, 600)
ALL = range(10)
PICTURE = {
    "sharpness": [50.0], "brightness": [0.5], "contrast": [0.2], "motion": [2.0, 2.0],
    "bars": [0.0] * 4, "seams": 0, "text_share": 0.0,
}  # fmt: skip


def picture(**changed):
    return ok(**(PICTURE | changed))


def pose(yaw, pitch=0.0, roll=0.0, persons=1, n=10):
    angles = {"yaw": yaw, "pitch": pitch, "roll": roll}
    values = {k: np.broadcast_to(np.asarray(v, float), (n,)) for k, v in angles.items()}
    owner = ok(person=np.arange(n) * persons // n)
    return {"person_pose": ok(**values), "person_landmarks": owner}


def heard(language, probability):
    return {"spoken_language": ok(language=language, probability=probability)}


def speech(ratio=0.8, pause=1.0, snr=20.0):
    if isinstance(snr, str):
        return ok({"snr_db": snr}, speech_ratio=ratio, longest_pause=pause)
    return ok(speech_ratio=ratio, longest_pause=pause, snr_db=snr)


def levels(lufs=-20.0, clipped=0.0, silence=0.1):
    if lufs is None:
        return ok({"lufs": "too-quiet"}, clipped_share=clipped, silence_share=silence)
    return ok(lufs=lufs, clipped_share=clipped, silence_share=silence)


def sync(confidence=3.0, offset=3):
    return {"av_sync": ok(lse_c=confidence, av_offset=offset)}


def on_screen(visible=0.9, speaking_at_once=0.05):
    return {"active_speaker": ok(speaker_visible=visible, speaking_at_once=speaking_at_once)}


def nobody_speaks(reason):
    if reason == "no-speech":
        return {"active_speaker": ok({"speaker_visible": reason, "speaking_at_once": reason})}
    failed = reason in ("weights-missing", "extra-missing", "broken-media")
    return {"active_speaker": Feature(Outcome("failed" if failed else "empty", reason))}


ONE = {"faces": faces([(ALL, FACE)])}


def insets(n=0):
    return {"insets": ok(insets=n)}


def lettering(
    text: str = "TalkStudio",
    score: float = 0.8,
    middle: float = 0.9,
    still: float = 0.5,
    lines: int = 1,
) -> dict[str, Feature]:
    """Lines of text of one kind, and the height of their middle."""
    box = (0.1, middle - 0.04, 0.4, middle + 0.04)
    values = ok(
        text=np.array([text] * lines, "<U64"),
        score=np.array([score] * lines),
        text_box=np.array([box] * lines).reshape(-1, 4),
        still=np.array([still] * lines),
    )
    return {"lettering": values}


def unread(reason: str) -> dict[str, Feature]:
    """Text that could not be read."""
    return {"lettering": Feature(Outcome("failed", reason))}


def depicted(*people: Mapping[str, float], **one: float) -> dict[str, Feature]:
    """Probabilities of the kinds of depiction of each person; what is left of 1 is that of a drawing."""
    persons = people or (one,)
    columns: dict[str, list[float]] = {"photo": [], "drawing": [], "painting": [], "render": []}
    for person in persons:
        whole = {"drawing": 1 - sum(person.values())} | person
        for kind, values in columns.items():
            values.append(whole.get(kind, 0.0))
    return {"depiction": ok(person=np.arange(len(persons)), **columns)}


def not_looked_at(reason: str) -> dict[str, Feature]:
    """Kinds of depiction that could not be measured."""
    return {"depiction": Feature(Outcome("failed", reason))}


def drawn(*people: float) -> dict[str, Feature]:
    """The probability that each person is drawn."""
    return {"drawn": ok(person=np.arange(len(people)), drawn=np.array(people))}


def not_seen(reason: str) -> dict[str, Feature]:
    """Probabilities of a drawing that could not be measured."""
    return {"drawn": Feature(Outcome("failed", reason))}
