"""Each filter on hand-written measurements, on both sides of each threshold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from filter_clips import (
    ALL,
    FACE,
    ONE,
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
    not_looked_at,
    not_seen,
    ok,
    on_screen,
    picture,
    pose,
    speech,
    stored,
    sync,
    unread,
)

from theval_datasets import catalog
from theval_datasets.curation.duplicates.matching import Prints
from theval_datasets.curation.duplicates.reference_index import ReferenceClip, ReferenceIndex
from theval_datasets.curation.filters.base import Features, Filter, UndecidedError
from theval_datasets.extraction.outcomes import Feature, Outcome

CASES = [
    ("resolution", {"min_side": 1080}, clip(), {}, None),
    ("resolution", {"min_side": 1080}, clip(width=1080, height=1920), {}, None),
    ("resolution", {"min_side": 1080}, clip(height=1079), {}, "low-resolution"),
    ("duration", {"min_seconds": 8}, clip(), {}, None),
    ("duration", {"min_seconds": 8.1}, clip(), {}, "too-short"),
    ("duration", {"min_seconds": 1, "max_seconds": 7.9}, clip(), {}, "too-long"),
    ("frame_rate", {"min_fps": 25}, clip(), {}, None),
    ("frame_rate", {"min_fps": 25.1}, clip(), {}, "low-frame-rate"),
    ("frame_rate", {"max_fps": 24}, clip(), {}, "high-frame-rate"),
    ("frame_rate", {"variable": False}, clip(variable_rate=True), {}, "variable-frame-rate"),
    ("frame_rate", {"variable": False}, clip(), {}, None),
    ("frame_rate", {}, clip(variable_rate=True), {}, None),
    ("frame_rate", {}, clip(fps=None), {}, "?single-frame"),
    ("source_format", {}, stored(), {}, None),
    ("source_format", {}, clip(), {}, "?source-not-measured"),
    ("source_format", {}, stored(pixel_aspect="64:45"), {}, "anamorphic"),
    ("source_format", {"anamorphic": True}, stored(pixel_aspect="64:45"), {}, None),
    ("source_format", {}, stored(interlaced=True), {}, "interlaced"),
    ("source_format", {"interlaced": True}, stored(interlaced=True), {}, None),
    ("source_format", {}, stored(transfer="PQ"), {}, "hdr"),
    ("source_format", {"hdr": True}, stored(transfer="PQ"), {}, None),
    ("source_format", {}, stored(mirrored=True, rotation=90), {}, None),
    ("source_format", {"mirrored": False}, stored(mirrored=True), {}, "mirrored"),
    ("source_format", {"mirrored": False}, stored(rotation=90), {}, None),
    ("single_speaker", {}, clip(), ONE, None),
    ("single_speaker", {}, clip(), {"faces": empty("no-face")}, "no-face"),
    ("single_speaker", {}, clip(), {}, "?faces:not-measured"),
    ("single_speaker", {}, clip(), {"faces": faces([(ALL, FACE), (range(5), FACE)])}, "several-people"),
    ("single_speaker", {"max_other": 0.5}, clip(), {"faces": faces([(ALL, FACE), (range(5), FACE)])}, None),
    ("single_speaker", {}, clip(), {"faces": faces([(ALL, FACE), (ALL, FACE)], kinds=[0, 1])}, None),
    ("single_speaker", {}, clip(), {"faces": faces([(ALL, FACE)], shots=2)}, "several-shots"),
    ("single_speaker", {}, clip(), ONE | {"speakers": ok(turns=[(0, 4.0), (4.0, 6.0)], speaker=[0, 1])}, "several-voices"),
    ("single_speaker", {"max_voices": 0.4}, clip(), ONE | {"speakers": ok(turns=[(0, 4.0), (4.0, 6.0)], speaker=[0, 1])}, None),
    ("subjects", {"min_people": 2}, clip(), {"faces": faces([(ALL, FACE), (ALL, FACE)])}, None),
    ("subjects", {"min_people": 2}, clip(), ONE, "too-few-people"),
    ("subjects", {"max_people": 1}, clip(), {"faces": faces([(ALL, FACE), (ALL, FACE)])}, "too-many-people"),
    ("subjects", {"min_visible": 0.8}, clip(), {"faces": faces([(ALL, FACE), (range(8), FACE)])}, None),
    ("subjects", {"min_visible": 0.8}, clip(), {"faces": faces([(ALL, FACE), (range(7), FACE)])}, "not-all-visible"),
    ("subjects", {}, clip(), {"faces": empty("no-face")}, "no-face"),
    ("frontal", {"max_yaw": 30}, clip(), pose(29), None),
    ("frontal", {"max_yaw": 30}, clip(), pose(-31), "not-frontal"),
    ("frontal", {"max_pitch": 20}, clip(), pose(0, pitch=21), "not-frontal"),
    ("frontal", {"max_roll": 20}, clip(), pose(0, roll=-21), "not-frontal"),
    ("frontal", {"min_frontal": 0.7}, clip(), pose([0] * 7 + [90] * 3), None),
    ("frontal", {"min_frontal": 0.8}, clip(), pose([0] * 7 + [90] * 3), "not-frontal"),
    ("frontal", {}, clip(), pose([0] * 5 + [90] * 5, persons=2), "not-frontal"),
    ("frontal", {}, clip(), {"person_pose": empty("no-face")}, "no-face"),
    ("face_size", {"min_height": 0.3}, clip(), ONE, None),
    ("face_size", {"min_height": 0.31}, clip(), ONE, "small-face"),
    ("face_size", {"min_pixels": 325}, clip(), ONE, "small-face"),
    ("face_size", {"max_height": 0.29}, clip(), ONE, "large-face"),
    ("face_size", {"min_margin": 0.0}, clip(), {"faces": faces([(ALL, (-10, 300, 200, 600))])}, "cut-face"),
    ("face_size", {"min_margin": -0.1}, clip(), {"faces": faces([(ALL, (-10, 300, 200, 600))])}, None),
    ("face_size", {}, clip(), {"faces": empty("no-face")}, "no-face"),
    ("face_presence", {"min_ratio": 0.9}, clip(), {"faces": faces([(range(9), FACE)])}, None),
    ("face_presence", {"min_ratio": 0.91}, clip(), {"faces": faces([(range(9), FACE)])}, "face-absent"),
    ("face_presence", {}, clip(), {"faces": empty("no-face")}, "no-face"),
    ("sharpness", {"min_sharpness": 50}, clip(), {"picture": picture()}, None),
    ("sharpness", {"min_sharpness": 51}, clip(), {"picture": picture()}, "blurred"),
    ("sharpness", {}, clip(), {"picture": Feature(Outcome("failed", "truncated"))}, "?picture:truncated"),
    ("brightness", {"min_brightness": 0.5}, clip(), {"picture": picture()}, None),
    ("brightness", {"min_brightness": 0.51}, clip(), {"picture": picture()}, "dark"),
    ("brightness", {"max_brightness": 0.49}, clip(), {"picture": picture()}, "overexposed"),
    ("brightness", {"min_contrast": 0.21}, clip(), {"picture": picture()}, "flat"),
    ("speaker_visible", {"min_visible": 0.9}, clip(), on_screen(), None),
    ("speaker_visible", {"min_visible": 0.91}, clip(), on_screen(), "speaker-not-visible"),
    ("speaker_visible", {}, clip(), on_screen(visible=0.5), None),
    ("speaker_visible", {}, clip(), on_screen(visible=0.49), "speaker-not-visible"),
    ("speaker_visible", {}, clip(), nobody_speaks("no-face"), "no-face"),
    ("speaker_visible", {}, clip(), nobody_speaks("no-audio"), "no-audio"),
    ("speaker_visible", {}, clip(), nobody_speaks("digital-silence"), "digital-silence"),
    ("speaker_visible", {}, clip(), nobody_speaks("no-speech"), "no-speech"),
    ("speaker_visible", {}, clip(), nobody_speaks("weights-missing"), "?active_speaker:weights-missing"),
    ("speaker_visible", {"required": False}, clip(), nobody_speaks("weights-missing"), None),
    ("speaker_visible", {"required": False}, clip(), nobody_speaks("extra-missing"), None),
    ("speaker_visible", {"required": False}, clip(), nobody_speaks("broken-media"), "?active_speaker:broken-media"),
    ("speaker_visible", {"required": False}, clip(), {}, "?active_speaker:not-measured"),
    ("speaker_visible", {"required": False}, clip(), on_screen(visible=0.1), "speaker-not-visible"),
    ("one_at_a_time", {"max_at_once": 0.05}, clip(), on_screen(), None),
    ("one_at_a_time", {"max_at_once": 0.04}, clip(), on_screen(), "several-at-once"),
    ("one_at_a_time", {}, clip(), on_screen(speaking_at_once=0.1), None),
    ("one_at_a_time", {}, clip(), on_screen(speaking_at_once=0.11), "several-at-once"),
    ("one_at_a_time", {}, clip(), nobody_speaks("no-face"), None),
    ("one_at_a_time", {}, clip(), nobody_speaks("no-speech"), None),
    ("one_at_a_time", {}, clip(), nobody_speaks("weights-missing"), "?active_speaker:weights-missing"),
    ("speech", {"min_ratio": 0.8}, clip(), {"speech_stats": speech()}, None),
    ("speech", {"min_ratio": 0.81}, clip(), {"speech_stats": speech()}, "little-speech"),
    ("speech", {"max_pause": 0.9}, clip(), {"speech_stats": speech()}, "long-pause"),
    ("speech", {"min_snr_db": 20}, clip(), {"speech_stats": speech()}, None),
    ("speech", {"min_snr_db": 21}, clip(), {"speech_stats": speech()}, "noisy"),
    ("speech", {"min_snr_db": 21}, clip(), {"speech_stats": speech(snr="noiseless")}, None),
    ("speech", {"min_snr_db": 21}, clip(), {"speech_stats": speech(snr="no-signal")}, "noisy"),
    ("speech", {}, clip(), {"speech_stats": empty("no-audio")}, "no-audio"),
    ("silence", {"max_share": 0.1}, clip(), {"audio_levels": levels()}, None),
    ("silence", {"max_share": 0.09}, clip(), {"audio_levels": levels()}, "silent"),
    ("silence", {}, clip(), {"audio_levels": empty("digital-silence")}, "digital-silence"),
    ("loudness", {"min_lufs": -20}, clip(), {"audio_levels": levels()}, None),
    ("loudness", {"min_lufs": -19}, clip(), {"audio_levels": levels()}, "too-quiet"),
    ("loudness", {"max_lufs": -21}, clip(), {"audio_levels": levels()}, "too-loud"),
    ("loudness", {}, clip(), {"audio_levels": levels(clipped=0.011)}, "clipped"),
    ("loudness", {}, clip(), {"audio_levels": levels(lufs=None)}, "too-quiet"),
    ("loudness", {}, clip(), {"audio_levels": empty("no-audio")}, "no-audio"),
    ("overlays", {}, clip(), {"picture": picture()} | ONE | insets(), None),
    ("overlays", {"max_bars": 0.2}, clip(), {"picture": picture(bars=[0.1, 0, 0.1, 0])} | ONE | insets(), None),
    ("overlays", {"max_bars": 0.19}, clip(), {"picture": picture(bars=[0.1, 0, 0.1, 0])} | ONE | insets(), "bars"),
    ("overlays", {}, clip(), {"picture": picture(seams=1)} | ONE | insets(), "panels"),
    ("overlays", {"panels": True}, clip(), {"picture": picture(seams=1)} | ONE, None),
    ("overlays", {}, clip(), {"picture": picture(), "faces": faces([(ALL, FACE)] * 2, kinds=[0, 2])} | insets(), "panels"),
    ("overlays", {}, clip(), {"picture": picture(text_share=0.03)} | ONE | insets(), "text"),
    ("overlays", {}, clip(), {"picture": picture()} | ONE | insets(1), "panels"),
    ("overlays", {"panels": True}, clip(), {"picture": picture()} | ONE, None),
    ("overlays", {}, clip(), {"picture": picture()} | ONE, "?insets:not-measured"),
    ("overlays", {}, clip(), {"picture": picture(), "faces": empty("no-face")} | insets(), None),
    ("motion", {"min_motion": 2.0}, clip(), {"picture": picture()}, None),
    ("motion", {"min_motion": 2.1}, clip(), {"picture": picture()}, "static"),
    ("motion", {}, clip(), {"picture": picture(motion=[])}, "?single-frame"),
    ("in_sync", {}, clip(), sync(), None),
    ("in_sync", {}, clip(), sync(offset=-3), None),
    ("in_sync", {}, clip(), sync(confidence=2.99), "not-in-sync"),
    ("in_sync", {}, clip(), sync(offset=4), "sound-off"),
    ("in_sync", {"max_offset_ms": 40}, clip(), sync(offset=-2), "sound-off"),
    ("in_sync", {"min_confidence": 3.1}, clip(), sync(), "not-in-sync"),
    ("in_sync", {}, clip(), {"av_sync": empty("no-audio")}, "no-audio"),
    ("in_sync", {}, clip(), {"av_sync": empty("short-track")}, "?av_sync:short-track"),
    ("in_sync", {}, clip(), {"av_sync": Feature(Outcome("failed", "weights-missing"))}, "?av_sync:weights-missing"),
    ("watermarks", {}, clip(), lettering(), "watermark"),
    ("watermarks", {"certainty": 0.9}, clip(), lettering(score=0.89), None),
    ("watermarks", {}, clip(), lettering(score=0.79), None),
    ("watermarks", {}, clip(), lettering(still=0.49), None),
    ("watermarks", {}, clip(), lettering(middle=0.2), "watermark"),
    ("watermarks", {}, clip(), lettering(middle=0.21), None),
    ("watermarks", {}, clip(), lettering(middle=0.79), None),
    ("watermarks", {"border": 0.22}, clip(), lettering(middle=0.79), "watermark"),
    ("watermarks", {}, clip(), lettering("tbs"), "watermark"),
    ("watermarks", {}, clip(), lettering("a 1"), None),
    ("watermarks", {"letters": 2}, clip(), lettering("a 1"), "watermark"),
    ("watermarks", {}, clip(), lettering("抖音"), "watermark"),
    ("watermarks", {}, clip(), lettering("音"), None),
    ("watermarks", {}, clip(), lettering("shutterstsck", middle=0.5), "watermark"),
    ("watermarks", {}, clip(), lettering("utterstock", middle=0.5, still=0.0), "watermark"),
    ("watermarks", {}, clip(), lettering("stock", middle=0.5), None),
    ("watermarks", {}, clip(), lettering("Collected Works", middle=0.5), None),
    ("watermarks", {"words": ("works",)}, clip(), lettering("Collected Works", middle=0.5), "watermark"),
    ("watermarks", {}, clip(), lettering("clideo.com", middle=0.5), "watermark"),
    ("watermarks", {}, clip(), lettering("@maria_talks", middle=0.5, still=0.0), "watermark"),
    ("watermarks", {}, clip(), lettering("2 @ 5", middle=0.5), None),
    ("watermarks", {}, clip(), unread("extra-missing"), "?lettering:extra-missing"),
    ("watermarks", {"required": False}, clip(), unread("extra-missing"), None),
    ("watermarks", {"required": False}, clip(), unread("broken-media"), "?lettering:broken-media"),
    ("photographed", {}, clip(), depicted(photo=0.9), None),
    ("photographed", {}, clip(), depicted(photo=0.21, render=0.79), None),
    ("photographed", {}, clip(), depicted(photo=0.19, render=0.6), "drawn-face"),
    ("photographed", {}, clip(), depicted({"photo": 0.9}, {"photo": 0.1}), "drawn-face"),
    ("photographed", {"min_photo": 0.05}, clip(), depicted({"photo": 0.9}, {"photo": 0.1}), None),
    ("photographed", {}, clip(), {"depiction": empty("no-face")}, "no-face"),
    ("photographed", {"required": False}, clip(), {"depiction": empty("no-face")}, "no-face"),
    ("photographed", {}, clip(), {}, "?depiction:not-measured"),
    ("photographed", {}, clip(), not_looked_at("extra-missing"), "?depiction:extra-missing"),
    ("photographed", {}, clip(), not_looked_at("weights-missing"), "?depiction:weights-missing"),
    ("photographed", {"required": False}, clip(), not_looked_at("extra-missing"), None),
    ("photographed", {"required": False}, clip(), not_looked_at("weights-missing"), None),
    ("photographed", {"required": False}, clip(), not_looked_at("out-of-memory"), "?depiction:out-of-memory"),
    ("not_drawn", {}, clip(), drawn(0.02), None),
    ("not_drawn", {}, clip(), drawn(0.14), None),
    ("not_drawn", {}, clip(), drawn(0.16), "drawn-face"),
    ("not_drawn", {}, clip(), drawn(0.01, 0.9, 0.02), "drawn-face"),
    ("not_drawn", {"max_drawn": 0.95}, clip(), drawn(0.01, 0.9, 0.02), None),
    ("not_drawn", {}, clip(), {"drawn": empty("no-face")}, "no-face"),
    ("not_drawn", {"required": False}, clip(), {"drawn": empty("no-face")}, "no-face"),
    ("not_drawn", {}, clip(), {}, "?drawn:not-measured"),
    ("not_drawn", {"required": False}, clip(), {}, "?drawn:not-measured"),
    ("not_drawn", {}, clip(), not_seen("weights-missing"), "?drawn:weights-missing"),
    ("not_drawn", {"required": False}, clip(), not_seen("weights-missing"), None),
    ("not_drawn", {"required": False}, clip(), not_seen("out-of-memory"), "?drawn:out-of-memory"),
    ("language", {"languages": ("zh", "en")}, clip(language="zh-Hans"), {}, None),
    ("language", {"languages": ("zh", "en")}, clip(language="de"), {}, "other-language"),
    ("language", {}, clip(), {}, "?language-unknown"),
    ("language", {}, clip(), heard("en", 0.5), None),
    ("language", {}, clip(), heard("en", 0.49), "?language-unsure"),
    ("language", {}, clip(), heard("fr", 0.9), "other-language"),
    ("language", {}, clip(language="en"), heard("fr", 0.9), None),
]  # fmt: skip


def said(verdict):
    return {"keep": None, "reject": verdict.reason, "undecided": f"?{verdict.reason}"}[
        verdict.verdict
    ]


@pytest.mark.parametrize(("name", "parameters", "clip", "features", "expected"), CASES)
def test_verdicts(name, parameters, clip, features, expected):
    judge = catalog.load("filter", name)(**parameters)
    try:
        found = said(judge.judge(clip, Features(features)))
    except UndecidedError as absent:
        found = f"?{absent.what}"
    assert found == expected


def test_every_filter_of_single_clips_is_in_the_table():
    units = {name: catalog.load("filter", name) for name in catalog.names("filter")}
    single = {name for name, unit in units.items() if issubclass(unit, Filter)}
    assert {case[0] for case in CASES} == single
    assert len(units) >= 17


def test_what_the_funnel_shows_is_measured_and_a_field():
    for name, parameters, one, features, expected in CASES:
        judge = catalog.load("filter", name)(**parameters)
        assert all(hasattr(judge, f) for fields in judge.shown.values() for f in fields.split(","))
        if expected is None:
            assert judge.shown.keys() <= judge.judge(one, Features(features)).measured.keys(), name


def test_what_a_filter_says_decides_is_what_its_thresholds_are_for():
    """In the table of verdicts: the value lies beyond a threshold of it, for every reason."""
    seen = set()
    for name, parameters, one, features, expected in CASES:
        judge = catalog.load("filter", name)(**parameters)
        try:
            verdict = judge.judge(one, Features(features))
        except UndecidedError:
            continue
        names = judge.decides.get(verdict.reason or "", "")
        if verdict.verdict == "keep" or not names or expected == "no-face":
            continue
        beyond = []
        for value_name in names.split(","):
            value = verdict.measured.get(value_name)
            if value is None:  # too quiet to have a loudness
                beyond.append(True)
                continue
            for field in judge.shown[value_name].split(","):
                limit = getattr(judge, field)
                if limit is not None:
                    beyond.append(value < limit if field.startswith("min_") else value > limit)
        assert any(beyond), (name, expected)
        seen.add((name, verdict.reason))
    assert len(seen) >= 25


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("duration", {"min_seconds": 5.0, "max_seconds": 4.0}), ("subjects", {"min_people": 2, "max_people": 1}),
     ("brightness", {"min_brightness": 0.9, "max_brightness": 0.1})],
)  # fmt: skip
def test_ranges_that_hold_nothing_are_refused(name, parameters):
    with pytest.raises(ValueError, match="not to be empty"):
        catalog.load("filter", name)(**parameters)


# Filters of sets.

RNG = np.random.default_rng(5)


def prints(frames=None, audio=None):
    found = {"frame_hash": frames, "audio_hash": audio}
    missing = {"audio_hash": "no-audio"} if audio is None else {}
    return ok(missing, **{k: v for k, v in found.items() if v is not None})


def hashes(n, dtype):
    return RNG.integers(0, np.iinfo(dtype).max, n, dtype=dtype)


def flipped(values, share):
    """Hashes of which a share of the bits differs."""
    bits = np.unpackbits(values.view(np.uint8))
    chosen = RNG.permutation(len(bits))[: round(share * len(bits))]
    bits[chosen] ^= 1
    return np.packbits(bits).view(values.dtype)


FRAMES, AUDIO = hashes(20, np.uint64), hashes(120, np.uint32)
OTHER_FRAMES, OTHER_AUDIO = hashes(20, np.uint64), hashes(120, np.uint32)


@pytest.mark.parametrize(
    ("second", "duplicate"),
    [
        ((flipped(FRAMES, 0.1), flipped(AUDIO, 0.2)), True),
        ((FRAMES[4:16], AUDIO[30:90]), True),
        ((flipped(FRAMES, 0.1), OTHER_AUDIO), False),
        ((OTHER_FRAMES, AUDIO), False),
        ((flipped(FRAMES, 0.3), AUDIO), False),
        ((FRAMES, flipped(AUDIO, 0.4)), False),
        ((FRAMES, None), True),
        ((flipped(FRAMES, 0.1), None), False),
    ],
)
def test_near_duplicates(second, duplicate):
    judge = catalog.load("filter", "near_duplicates")()
    clips = [
        (clip("a"), Features({"fingerprints": prints(FRAMES, AUDIO)})),
        (clip("b"), Features({"fingerprints": prints(*second)})),
    ]
    first, other = judge.judge(clips)
    assert said(first) is None
    assert said(other) == ("duplicate" if duplicate else None)
    assert not duplicate or other.measured["of"] == "a"


def copy(clip_id, **media):
    """A clip of the set with the fingerprints that all of them share."""
    return clip(clip_id, **media), Features({"fingerprints": prints(FRAMES, AUDIO)})


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"width": 540, "height": 960}, {"width": 1080, "height": 1920}),
        ({"fps": 25.0}, {"fps": 50.0}),
        ({"n_bytes": 1000}, {"n_bytes": 9000}),
        ({"fps": 50.0, "width": 1280, "height": 720}, {"fps": 25.0}),  # pixels count first
        ({"fps": 25.0, "n_bytes": 9000}, {"fps": 30.0, "n_bytes": 1000}),  # then frames
    ],
)
def test_the_best_copy_is_kept_whatever_its_name(worse, better):
    judge = catalog.load("filter", "near_duplicates")()
    for names in (("a", "b"), ("b", "a")):
        clips = sorted(
            (copy(names[0], **worse), copy(names[1], **better)), key=lambda c: c[0].clip_id
        )
        verdicts = {c.clip_id: v for (c, _), v in zip(clips, judge.judge(clips), strict=True)}
        assert said(verdicts[names[0]]) == "duplicate"
        assert verdicts[names[0]].measured["of"] == names[1]
        assert said(verdicts[names[1]]) is None
    equal = [copy("a", **worse), copy("b", **worse)]
    assert [said(v) for v in judge.judge(equal)] == [None, "duplicate"]


@pytest.mark.parametrize(("audio", "noise", "found"), [
    (AUDIO, 0.15, True), (AUDIO, 0.3, False), (OTHER_AUDIO, 0.0, False), (None, 0.05, True),
    (None, 0.15, False),
])  # fmt: skip
def test_a_mirrored_copy_is_a_duplicate(audio, noise, found):
    judge = catalog.load("filter", "near_duplicates")()
    mirrored = flipped(Prints(FRAMES, AUDIO).mirrored().frames, noise)
    clips = [
        (clip("a"), Features({"fingerprints": prints(FRAMES, AUDIO)})),
        (clip("b"), Features({"fingerprints": prints(mirrored, audio)})),
    ]
    first, second = judge.judge(clips)
    assert said(first) is None
    assert said(second) == ("duplicate" if found else None)
    assert second.measured.get("mirrored", False) is found


def test_the_hash_of_a_mirrored_picture_is_the_mirrored_hash():
    from theval_datasets.features.fingerprints import bit_distance, frame_hash

    noise = np.random.default_rng(3).random((9, 16))
    picture = (cv2.resize(noise, (256, 144), interpolation=cv2.INTER_CUBIC) * 255).clip(0, 255)
    grey = picture.astype(np.uint8)
    hashed, other = (
        np.array([frame_hash(np.ascontiguousarray(g))], np.uint64) for g in (grey, grey[:, ::-1])
    )
    assert bit_distance(hashed, other) > 0.3
    assert bit_distance(Prints(hashed, AUDIO).mirrored().frames, other) < 0.1


@pytest.mark.parametrize(("noise", "named"), [(0.0, True), (0.04, True), (0.08, False)])
def test_a_clip_with_replaced_sound_is_kept_and_names_the_other(noise, named):
    judge = catalog.load("filter", "near_duplicates")()
    clips = [
        (clip("a"), Features({"fingerprints": prints(FRAMES, AUDIO)})),
        (clip("b"), Features({"fingerprints": prints(flipped(FRAMES, noise), OTHER_AUDIO)})),
    ]
    first, second = judge.judge(clips)
    assert (said(first), said(second)) == (None, None)
    assert second.measured.get("same_picture") == ("a" if named else None)
    assert "same_picture" not in first.measured


def people(*embeddings):
    rows = [np.array(e, np.float32) / np.linalg.norm(e) for e in embeddings]
    return {"arcface": ok(person_embedding=np.stack(rows))}


def test_identity_balance_counts_everybody():
    judge = catalog.load("filter", "identity_balance")(max_clips=1)
    a, b, like_a = (1, 0, 0), (0, 1, 0), (0.9, 0.1, 0.1)
    sets = [people(a), people(b), people(like_a), people(b, (0, 0, 1)), {}]
    clips = [(clip(str(i)), Features(f)) for i, f in enumerate(sets)]
    verdicts = [said(v) for v in judge.judge(clips)]
    assert verdicts == [None, None, "identity-quota", "identity-quota", "?arcface:not-measured"]
    nobody = [(clip(str(i)), Features({"arcface": empty("no-face")})) for i in range(3)]
    assert [said(v) for v in judge.judge(nobody)] == [None] * 3
    # as long as the set is smaller than the quota, nobody can have had it all
    unknown = [(clip(str(i)), Features({})) for i in range(3)]
    assert [said(v) for v in judge.judge(unknown)] == [None, *["?arcface:not-measured"] * 2]
    assert [said(v) for v in judge.judge([*unknown[:1], clips[0]])] == [None, None]


def test_leakage_knows_clips_and_people():
    judge = catalog.load("filter", "leakage")()
    reference = ReferenceIndex.of(
        [ReferenceClip("theirs", Prints(FRAMES, AUDIO), np.eye(3, dtype=np.float32)[:1], "p")]
    )
    sets = [
        {"fingerprints": prints(flipped(FRAMES, 0.05), flipped(AUDIO, 0.1))} | people((0, 1, 0)),
        {"fingerprints": prints(OTHER_FRAMES, OTHER_AUDIO)} | people((0, 1, 0), (0.8, 0, 0.2)),
        {"fingerprints": prints(OTHER_FRAMES, OTHER_AUDIO)} | people((0, 1, 0)),
        {"fingerprints": prints(OTHER_FRAMES, OTHER_AUDIO)} | people((0, 1)),
    ]
    clips = [(clip(str(i)), Features(f)) for i, f in enumerate(sets)]
    found = [said(v) for v in judge.judge(clips, [reference])]
    assert found == ["leaked-clip", "leaked-person", None, "?other-pack"]
    assert [said(v) for v in judge.judge(clips)] == [None] * 4
    # nobody is in it, so nobody leaks
    alone = {"fingerprints": prints(OTHER_FRAMES, OTHER_AUDIO)} | {"arcface": empty("no-face")}
    assert [said(v) for v in judge.judge([(clip("0"), Features(alone))], [reference])] == [None]
