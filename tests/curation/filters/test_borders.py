"""Every threshold of every filter of single clips at its border, by default and as a recipe may state it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from filter_clips import (
    ALL,
    FACE,
    clip,
    depicted,
    drawn,
    empty,
    faces,
    heard,
    insets,
    lettering,
    levels,
    nobody_speaks,
    ok,
    on_screen,
    picture,
    pose,
    speech,
    stored,
    sync,
)

from theval_datasets import catalog
from theval_datasets.curation.duplicates.matching import Prints
from theval_datasets.curation.duplicates.reference_index import ReferenceClip, ReferenceIndex
from theval_datasets.curation.filters.base import Features, Filter


@dataclasses.dataclass
class Border:
    """A threshold, and how to make a clip with any value of what it limits.

    `default` is None if there is no limit by default, or if no clip lies beyond the default. `slack` is
    the tolerance; `step` is the smallest change of the value that can be made.
    """

    filter: str
    parameter: str
    default: float | None
    other: float
    reason: str
    make: Callable[[float], tuple[Any, dict[str, Any]]]
    step: float | None = None
    slack: float = 0.0

    def __str__(self) -> str:
        return f"{self.filter}.{self.parameter}"


def shown(box_of, **facts):
    return lambda value: (clip(**facts), {"faces": faces([(ALL, box_of(value))])})


def seen(value, samples=200):
    """Faces of which the second is in a share of the samples."""
    return clip(), {
        "faces": faces([(range(samples), FACE), (range(round(value * samples)), FACE)], samples)
    }


def voices(value):
    turns = [(0.0, 8 * (1 - value)), (8 * (1 - value), 8.0)]
    return clip(), {"faces": faces([(ALL, FACE)]), "speakers": ok(turns=turns, speaker=[0, 1])}


def scene(**changed):
    return clip(), {"picture": picture(**changed), "faces": faces([(ALL, FACE)])} | insets()


BORDERS = [
    Border("brightness", "min_brightness", 0.12, 0.25, "dark", lambda v: scene(brightness=[v])),
    Border("brightness", "max_brightness", 0.92, 0.75, "overexposed", lambda v: scene(brightness=[v])),
    Border("brightness", "min_contrast", 0.05, 0.1, "flat", lambda v: scene(contrast=[v])),
    Border("duration", "min_seconds", 3.0, 5.0, "too-short", lambda v: (clip(duration=v), {}), slack=0.01),
    Border("duration", "max_seconds", None, 20.0, "too-long", lambda v: (clip(duration=v), {}), slack=0.01),
    Border("frame_rate", "min_fps", 20.0, 25.0, "low-frame-rate", lambda v: (clip(fps=v), {}), slack=0.01),
    Border("frame_rate", "max_fps", None, 60.0, "high-frame-rate", lambda v: (clip(fps=v), {}), slack=0.01),
    Border("resolution", "min_side", 512, 720, "low-resolution", lambda v: (clip(width=int(v)), {}), 1),
    Border("resolution", "min_side", 512, 720, "low-resolution", lambda v: (clip(height=int(v)), {}), 1),
    Border("face_presence", "min_ratio", 0.95, 0.5, "face-absent",
           lambda v: (clip(), {"faces": faces([(range(round(v * 20)), FACE)], 20)}), 0.05),
    Border("face_size", "min_height", 0.1, 0.25, "small-face", shown(lambda v: (400, 0, 600, 1000 * v)), 0.001),
    Border("face_size", "min_pixels", 64, 100, "small-face",
           lambda v: shown(lambda _: (400, 250, 600, 750), height=int(2 * v))(v), 0.5),
    Border("face_size", "max_height", None, 0.5, "large-face", shown(lambda v: (400, 0, 600, 1000 * v)), 0.001),
    Border("face_size", "min_margin", 0.0, -0.25, "cut-face", shown(lambda v: (250 * v, 250, 600, 500)), 0.01),
    Border("face_size", "min_margin", 0.0, -0.25, "cut-face", shown(lambda v: (400, 250 * v, 600, 250 + 250 * v)), 0.01),
    Border("frontal", "max_yaw", 30.0, 15.0, "not-frontal", lambda v: (clip(), pose(-v))),
    Border("frontal", "max_pitch", 30.0, 15.0, "not-frontal", lambda v: (clip(), pose(0, pitch=v))),
    Border("frontal", "max_roll", 25.0, 15.0, "not-frontal", lambda v: (clip(), pose(0, roll=-v))),
    Border("frontal", "min_frontal", 0.8, 0.5, "not-frontal",
           lambda v: (clip(), pose([0] * round(10 * v) + [90] * (10 - round(10 * v)))), 0.1),
    Border("in_sync", "min_confidence", 3.0, 5.0, "not-in-sync", lambda v: (clip(), sync(confidence=v))),
    Border("in_sync", "max_offset_ms", 120.0, 40.0, "sound-off", lambda v: (clip(), sync(offset=v / 40)), 40.0),
    Border("language", "min_probability", 0.5, 0.75, "?language-unsure", lambda v: (clip(), heard("en", v))),
    Border("loudness", "min_lufs", -45.0, -30.0, "too-quiet", lambda v: (clip(), {"audio_levels": levels(v)})),
    Border("loudness", "max_lufs", None, -10.0, "too-loud", lambda v: (clip(), {"audio_levels": levels(v)})),
    Border("loudness", "max_clipped", 0.01, 0.125, "clipped",
           lambda v: (clip(), {"audio_levels": levels(clipped=v)})),
    Border("motion", "min_motion", 0.25, 1.0, "static", lambda v: scene(motion=[v])),
    Border("motion", "min_moving", 0.5, 0.75, "static",
           lambda v: scene(motion=[9] * round(v * 4) + [0] * (4 - round(v * 4))), 0.25),
    Border("one_at_a_time", "max_at_once", 0.1, 0.25, "several-at-once",
           lambda v: (clip(), on_screen(speaking_at_once=v))),
    Border("not_drawn", "max_drawn", 0.15, 0.5, "drawn-face", lambda v: (clip(), drawn(0.0, v))),
    Border("overlays", "max_bars", 0.02, 0.25, "bars", lambda v: scene(bars=[v / 2, 0, v / 2, 0])),
    Border("overlays", "max_bars", 0.02, 0.25, "bars", lambda v: scene(bars=[0, v / 2, 0, v / 2])),
    Border("overlays", "max_text", 0.02, 0.125, "text", lambda v: scene(text_share=v)),
    Border("photographed", "min_photo", 0.2, 0.5, "drawn-face", lambda v: (clip(), depicted(photo=v))),
    Border("sharpness", "min_sharpness", 20.0, 8.0, "blurred", lambda v: scene(sharpness=[v])),
    Border("silence", "max_share", 0.5, 0.25, "silent", lambda v: (clip(), {"audio_levels": levels(silence=v)})),
    Border("single_speaker", "max_other", 0.05, 0.5, "several-people", seen, 0.005),
    Border("single_speaker", "max_voices", 0.1, 0.25, "several-voices", voices, 0.01),
    Border("speaker_visible", "min_visible", 0.5, 0.75, "speaker-not-visible",
           lambda v: (clip(), on_screen(visible=v))),
    Border("speech", "min_ratio", 0.5, 0.75, "little-speech", lambda v: (clip(), {"speech_stats": speech(v)})),
    Border("speech", "max_pause", None, 3.0, "long-pause", lambda v: (clip(), {"speech_stats": speech(pause=v)})),
    Border("speech", "min_snr_db", None, 5.0, "noisy", lambda v: (clip(), {"speech_stats": speech(snr=v)})),
    Border("subjects", "min_people", None, 3, "too-few-people",
           lambda v: (clip(), {"faces": faces([(ALL, FACE)] * int(v))}), 1),
    Border("subjects", "max_people", None, 3, "too-many-people",
           lambda v: (clip(), {"faces": faces([(ALL, FACE)] * int(v))}), 1),
    Border("subjects", "min_visible", 0.8, 0.5, "not-all-visible", seen, 0.005),
    Border("watermarks", "max_marks", 0, 2, "watermark", lambda v: (clip(), lettering(lines=int(v))), 1),
]  # fmt: skip


def verdict_of(name, parameters, made):
    one, features = made
    verdict = catalog.load("filter", name)(**parameters).judge(one, Features(features))
    if verdict.verdict == "keep":
        return None
    return verdict.reason if verdict.verdict == "reject" else f"?{verdict.reason}"


@pytest.mark.parametrize("border", BORDERS, ids=str)
def test_the_limit_itself_passes_and_what_lies_beyond_does_not(border):
    lower = border.parameter.startswith("min_")
    for limit, parameters in (
        (border.default, {}),
        (border.other, {border.parameter: border.other}),
    ):
        if limit is None:
            continue
        value = limit - border.slack if lower else limit + border.slack
        step = border.step or abs(math.nextafter(value, -math.inf if lower else math.inf) - value)
        beyond = value - step if lower else value + step
        assert verdict_of(border.filter, parameters, border.make(value)) is None, (limit, value)
        assert verdict_of(border.filter, parameters, border.make(beyond)) == border.reason, limit


def test_every_threshold_has_its_border_here():
    here = {str(border) for border in BORDERS}
    for name in catalog.names("filter"):
        kind = catalog.load("filter", name)
        if issubclass(kind, Filter):
            thresholds = {
                f"{name}.{f.name}"
                for f in dataclasses.fields(kind)
                if f.name.startswith(("min_", "max_"))
            }
            assert thresholds <= here, sorted(thresholds - here)


def test_a_clip_without_what_is_measured_reports_none_of_it():
    """The funnel draws these values beside the thresholds."""
    for name, feature, measured in (
        ("silence", {"audio_levels": empty("no-audio")}, {"silence": 1.0}),
        ("speech", {"speech_stats": empty("no-audio")}, {"speech_ratio": 0.0}),
        ("face_presence", {"faces": empty("no-face")}, {"ratio": 0.0}),
        ("subjects", {"faces": empty("no-face")}, {"subjects": 0}),
        ("single_speaker", {"faces": empty("no-face")}, {"subjects": 0}),
        ("one_at_a_time", {"active_speaker": empty("no-face")}, {"speaking_at_once": 0.0}),
        ("one_at_a_time", nobody_speaks("no-speech"), {"speaking_at_once": 0.0}),
        ("watermarks", lettering(lines=0), {"marks": 0, "mark": None, "score": None}),
        (
            "photographed",
            {"depiction": empty("no-face")},
            {"photo": None, "kind": None, "person": None},
        ),
        ("not_drawn", {"drawn": empty("no-face")}, {"drawn": None, "person": None}),
    ):
        judge = catalog.load("filter", name)()
        assert judge.judge(clip(), Features(feature)).measured == measured, name


def test_a_source_is_described_as_it_is_stored():
    judge = catalog.load("filter", "source_format")()
    plain = {"pixel_aspect": "1:1", "interlaced": False, "transfer": "SDR", "mirrored": False}
    assert judge.judge(stored(), Features({})).measured == plain
    odd = judge.judge(stored(pixel_aspect="64:45", transfer="PQ"), Features({})).measured
    assert odd == plain | {"pixel_aspect": "64:45", "transfer": "PQ"}


def test_a_mark_is_named():
    judge = catalog.load("filter", "watermarks")()
    verdict = judge.judge(clip(), Features(lettering("TalkStudio", score=0.9)))
    assert verdict.measured == {"marks": 1, "mark": "TalkStudio", "score": 0.9}


@pytest.mark.parametrize("kind", ["drawing", "painting", "render"])
def test_the_most_probable_kind_of_the_person_who_is_least_like_a_photograph_is_named(kind):
    judge = catalog.load("filter", "photographed")()
    second = {"photo": 0.1, kind: 0.7}
    verdict = judge.judge(clip(), Features(depicted({"photo": 0.6}, second, {"photo": 0.3})))
    assert verdict.measured == {"photo": 0.1, "kind": kind, "person": 1}
    everybody = depicted({"photo": 0.6, kind: 0.4}, {"photo": 0.9, kind: 0.1})
    kept = judge.judge(clip(), Features(everybody))
    assert kept.verdict == "keep"
    assert kept.measured == {"photo": 0.6, "kind": "photo", "person": 0}


def test_the_person_who_is_most_like_a_drawing_is_named():
    judge = catalog.load("filter", "not_drawn")(max_drawn=0.5)
    verdict = judge.judge(clip(), Features(drawn(0.1, 0.8, 0.6)))
    assert verdict.measured == {"drawn": 0.8, "person": 1}
    kept = judge.judge(clip(), Features(drawn(0.1, 0.3)))
    assert kept.measured == {"drawn": 0.3, "person": 1}


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (1000, 1000)])
@pytest.mark.parametrize("side", range(4))
def test_the_margin_is_in_face_heights_whatever_the_shape_of_the_frame(width, height, side):
    """A face of 200 × 250 px, 50 px beyond one border of the frame: by 0.2 of its height."""
    left, top = ((-50, 400), (400, -50), (width - 150, 400), (400, height - 200))[side]
    values = dict(faces([(ALL, (left, top, left + 200, top + 250))]).values)
    values |= {"width": np.array(width), "height": np.array(height)}
    verdict = catalog.load("filter", "face_size")(min_margin=-1).judge(
        clip(width=width, height=height), Features({"faces": ok(**values)})
    )
    assert verdict.measured["margin"] == pytest.approx(-0.2, abs=1e-6)


def person_at(cosine):
    """A clip of a person whose embedding has a cosine with the first axis."""
    at = np.array([[cosine, math.sqrt(1 - cosine**2)]], np.float32)
    return {"arcface": ok(person_embedding=at)}


@pytest.mark.parametrize(("parameters", "limit"), [({}, 0.4), ({"min_cosine": 0.5}, 0.5)])
def test_embeddings_of_one_person_have_the_smallest_cosine_or_more(parameters, limit):
    quota = catalog.load("filter", "identity_balance")(max_clips=1, **parameters)
    leakage = catalog.load("filter", "leakage")(**parameters)
    theirs = np.array([[1, 0]], np.float32)
    other = Prints(np.full(8, 2**63, np.uint64), np.zeros(0, np.uint32))
    reference = ReferenceIndex.of([ReferenceClip("theirs", other, theirs, "p")])
    own = ok({"audio_hash": "no-audio"}, frame_hash=np.arange(8, dtype=np.uint64) * 2**40 + 12345)
    for cosine, same in ((limit, True), (limit - 1e-4, False)):
        one = person_at(cosine)
        clips = [(clip("a"), Features(person_at(1.0))), (clip("b"), Features(one))]
        assert [v.reason for v in quota.judge(clips)] == [None, "identity-quota" if same else None]
        (verdict,) = leakage.judge([(clip(), Features(one | {"fingerprints": own}))], [reference])
        assert verdict.reason == ("leaked-person" if same else None)


def test_a_person_has_two_hundred_clips_by_default():
    judge = catalog.load("filter", "identity_balance")()
    clips = [(clip(f"{i:03}"), Features(person_at(1.0))) for i in range(201)]
    assert [v.verdict for v in judge.judge(clips)] == ["keep"] * 200 + ["reject"]


def test_unknown_people_are_kept_until_somebody_could_have_the_quota():
    judge = catalog.load("filter", "identity_balance")(max_clips=2)
    clips = [(clip(str(i)), Features(f)) for i, f in enumerate([person_at(1.0), {}, {}])]
    assert [v.verdict for v in judge.judge(clips)] == ["keep", "keep", "undecided"]


def test_the_clip_of_the_most_similar_person_of_all_references_is_named():
    judge = catalog.load("filter", "leakage")()
    elsewhere = Prints(np.full(8, 2**63, np.uint64), np.zeros(0, np.uint32))
    axes = np.eye(3, dtype=np.float32)
    references = [
        ReferenceIndex.of([ReferenceClip("x", elsewhere, axes[:1], "p")]),
        ReferenceIndex.of([ReferenceClip("y", elsewhere, axes[1:2], "p"),
                           ReferenceClip("z", elsewhere, axes[2:], "p")]),
    ]  # fmt: skip
    own = {
        "fingerprints": ok(
            {"audio_hash": "no-audio"}, frame_hash=np.full(8, 0x0F3C5A69C33CA55A, np.uint64)
        )
    }
    people = {
        "a": [(1, 0, 0), (0, 0.8, 0.6)],
        "b": [(0.1, 0.2, 0.97)],
        "c": [(0.3, 0.35, 0.2), (0, 0.8, 0.6)],
    }
    clips = []
    for name, rows in people.items():
        embeddings = np.array([np.array(row) / np.linalg.norm(row) for row in rows], np.float32)
        clips.append((clip(name), Features(own | {"arcface": ok(person_embedding=embeddings)})))
    verdicts = judge.judge(clips, references)
    assert [v.measured["of"] for v in verdicts] == ["x", "z", "y"]
    assert [round(v.measured["cosine"], 3) for v in verdicts] == [1.0, 0.974, 0.8]
