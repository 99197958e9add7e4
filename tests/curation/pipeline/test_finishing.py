"""What lies beside a clip: reference frames, difficulty, blurred faces, merged voices, indexes."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest
from media_factory import ffmpeg
from msgspec.structs import replace as replace_record
from PIL import Image

from theval_datasets.builders.tables.media import wav_bytes
from theval_datasets.commands.curate import curate
from theval_datasets.commands.funnel import funnel
from theval_datasets.commands.index import index
from theval_datasets.curation.clips import anonymise
from theval_datasets.curation.clips.anonymise import blur_faces
from theval_datasets.curation.clips.audio_tracks import merged, speaker_files, write_wav
from theval_datasets.curation.clips.difficulty import DifficultyRule, busyness, grade
from theval_datasets.curation.clips.reference_frame import choose
from theval_datasets.curation.clips.subjects import people_facts
from theval_datasets.curation.recipes.recipe import load_recipe, parse_recipe
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.extraction.mesh import N_POINTS
from theval_datasets.features.audio_levels import integrated_loudness
from theval_datasets.features.people.detector import Detections
from theval_datasets.manifest.rows import read_manifest, read_rows, write_manifest
from theval_datasets.media import read_audio

# difficulty


@pytest.mark.parametrize(
    ("people", "height", "turned", "busy", "expected"),
    [
        (1, 0.5, 5, 0.02, "Easy"),
        (1, 0.15, 5, 0.02, "Easy"),
        (2, 0.5, 5, 0.02, "Easy"),
        (2, 0.15, 5, 0.02, "Medium"),
        (1, 0.15, 25, 0.02, "Medium"),
        (3, 0.15, 5, 0.02, "Medium"),
        (3, 0.15, 25, 0.02, "Hard"),
        (3, 0.09, 5, 0.02, "Hard"),
        (1, 0.09, 40, 0.02, "Hard"),
        (2, 0.15, 25, 0.09, "Hard"),
    ],
)
def test_difficulty(people, height, turned, busy, expected):
    assert grade(people, height, turned, busy) == expected


def test_difficulty_never_falls_when_something_gets_harder():
    order = ["Easy", "Medium", "Hard"]
    base = order.index(grade(2, 0.15, 10, 0.05))
    for harder in (
        (3, 0.15, 10, 0.05),
        (2, 0.05, 10, 0.05),
        (2, 0.15, 50, 0.05),
        (2, 0.15, 10, 0.3),
    ):
        assert order.index(grade(*harder)) >= base
    assert grade(5, 0.01, 90, 1, DifficultyRule(hard=99, medium=98)) == "Easy"


def test_the_faces_are_no_background():
    picture = np.full((180, 320, 3), 90, np.uint8)
    picture[60:120:4, 100:200] = 230
    assert busyness(picture, []) > 0.03
    assert busyness(picture, [(0.3, 0.3, 0.65, 0.7)]) == 0


# blurred faces


def test_a_face_is_gone_and_the_rest_is_not_touched():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (200, 300, 3), np.uint8)
    covered = blur_faces(picture, np.array([(100, 50, 160, 130)], np.float32))
    face, out = picture[60:120, 110:150].astype(int), covered[60:120, 110:150].astype(int)
    assert out.std() < 0.2 * face.std()
    assert np.array_equal(covered[:, :70], picture[:, :70])
    assert np.array_equal(covered[:, 200:], picture[:, 200:])
    assert not np.shares_memory(picture, covered)


def test_a_picture_in_which_no_face_is_found_is_blurred_as_a_whole(monkeypatch):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (120, 200, 3), dtype=np.uint8)
    monkeypatch.setattr(anonymise, "face_boxes", lambda _: np.zeros((0, 4), np.float32))
    covered = anonymise.anonymised(picture)
    assert covered.shape == picture.shape
    assert covered.std() < picture.std() / 4
    known = np.array([(10, 10, 40, 50)], np.float32)
    partly = anonymise.anonymised(picture, known)
    assert np.array_equal(partly[:, 100:], picture[:, 100:])
    assert not np.array_equal(partly[20:40, 20:30], picture[20:40, 20:30])


def test_a_face_that_the_picture_cuts_is_found(monkeypatch):
    class Eyes:
        """Sees only what lies well inside."""

        def find(self, picture):
            inside = picture.shape == (200, 300, 3)
            boxes = np.array([(60, 40, 120, 110)], np.float32)[: int(inside)]
            return Detections(boxes, np.zeros((len(boxes), 5, 2)), np.ones(len(boxes)))

    monkeypatch.setattr(anonymise, "_detector", lambda faces: Eyes())
    assert anonymise.face_boxes(np.zeros((100, 200, 3), np.uint8)).tolist() == [[10, -10, 70, 60]]


def test_faces_at_the_border_and_none_at_all():
    picture = np.zeros((40, 40, 3), np.uint8)
    assert np.array_equal(blur_faces(picture, np.zeros((0, 4))), picture)
    blur_faces(picture, np.array([(-20, -20, 10, 10), (35, 35, 80, 80), (90, 90, 99, 99)]))


# voices


def speech(seconds, level, seed):
    rng = np.random.default_rng(seed)
    return (level * rng.normal(size=int(48_000 * seconds))).clip(-1, 1).astype(np.float32)


def test_merged_voices_are_equally_loud_and_in_step():
    quiet, loud = speech(4, 0.005, 1), speech(3, 0.2, 2)
    quiet[: 48_000 * 2] = 0
    loud[48_000 * 2 :] = 0
    total = merged([quiet, loud])
    assert len(total) == len(quiet)
    first, second = total[: 48_000 * 2], total[48_000 * 2 :]
    loudness = [integrated_loudness(part.astype(np.float64)) for part in (first, second)]
    assert loudness[0] == pytest.approx(loudness[1], abs=1.5)
    correlation = np.correlate(total[:2000], loud[:2000], "full")
    assert int(np.argmax(correlation)) == 1999


def test_the_sum_does_not_clip_and_silence_stays():
    tracks = [speech(2, 0.9, seed) for seed in range(6)]
    assert np.abs(merged(tracks)).max() <= 0.98
    assert np.abs(merged([np.zeros(48_000, np.float32)])).max() == 0
    with pytest.raises(InputError, match="at least one"):
        merged([])


def test_tracks_of_speakers_beside_a_clip_become_its_track(media, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    clip = folder / "two.mp4"
    clip.write_bytes(media("no_audio").read_bytes())
    for i, level in ((1, 0.02), (2, 0.3)):
        write_wav(folder / f"two.speaker{i}.wav", speech(2, level, i), 48_000)
    assert [f.name for f in speaker_files(clip)] == ["two.speaker1.wav", "two.speaker2.wav"]
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nabout: One.\nfilters: {duration: {min_seconds: 1}}\n")
    report = curate(
        [str(clip)], tmp_path / "out", recipe=str(recipe), workers=1, cache=str(tmp_path / "c")
    )
    assert report.kept == 1
    (fact,) = read_manifest(tmp_path / "out").rows
    assert fact.audio_original == "audio/two.merged.wav"
    with wave.open(str(tmp_path / "out" / str(fact.audio))) as track:
        assert (track.getframerate(), track.getnchannels()) == (16_000, 1)
        assert track.getnframes() == pytest.approx(32_000, abs=200)


@pytest.mark.parametrize(
    ("layout", "level", "decibels"),
    [("5.1", 0.3, None), ("5.1", 0.9, -6.74), ("stereo", 0.9, None)],
)
def test_a_mix_that_exceeds_full_scale_is_stored_quieter_and_not_clipped(
    media, tmp_path, layout, level, decibels
):
    """The same tone in every channel, so that 5.1 adds up to 2.41 of its level: the two sides of ITU-R BS.775."""
    folder = tmp_path / "in"
    folder.mkdir()
    clip = folder / "a.mkv"
    n = 6 if layout == "5.1" else 2
    tones = "|".join([f"{level}*sin(2*PI*440*t)"] * n)
    ffmpeg("-i", media("no_audio"), "-f", "lavfi", "-i", f"aevalsrc={tones}:c={layout}:s=16000:d=2",
           "-c:v", "copy", "-c:a", "flac", clip)  # fmt: skip
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nabout: One.\nfilters: {duration: {min_seconds: 1}}\n")
    curate([str(clip)], tmp_path / "out", recipe=str(recipe), workers=1, cache=str(tmp_path / "c"))
    (row,) = read_manifest(tmp_path / "out").rows
    assert row.audio_gain == (None if decibels is None else pytest.approx(decibels, abs=0.02))
    sound = read_audio(clip)
    with wave.open(str(tmp_path / "out" / str(row.audio))) as track:
        data = track.readframes(track.getnframes())
    assert wav_bytes(sound)[44:] == data
    stored = np.frombuffer(data, "<i2") / 32767
    gain = 1 if decibels is None else 10 ** (row.audio_gain / 20)
    assert np.abs(stored - sound.samples * gain).max() < 0.001


# reference frames


def measured(open_eyes, open_mouth, yaw, visible=None):
    """Values for one face in ten sampled frames of the clip `plain`."""
    n = len(yaw)
    visible = [True] * n if visible is None else visible
    points = np.zeros((n, N_POINTS, 3))
    for a, b, corners in ((159, 145, (33, 133)), (386, 374, (362, 263))):
        shift = 0.3 if a == 386 else 0.0
        points[:, corners[0], 0], points[:, corners[1], 0] = 0.3 + shift, 0.4 + shift
        for up, down in (
            (a, b),
            *(((158, 153), (160, 144)) if a == 159 else ((385, 380), (387, 373))),
        ):
            points[:, up, 1] = -0.03 * np.array(open_eyes)
            points[:, down, 1] = 0.03 * np.array(open_eyes)
    points[:, 14, 1] = 0.2 * np.array(open_mouth)
    shown = np.flatnonzero(visible).astype(np.int32)
    zeros = np.zeros(len(shown), np.int32)
    return {
        "faces": {
            "time": np.arange(n) / 5, "frame": np.arange(n) * 5, "sample": shown, "track": zeros,
            "track_person": np.zeros(1, np.int32), "track_kind": np.zeros(1, np.int8),
            "box": np.tile(np.array([40, 30, 120, 90], np.float32), (len(shown), 1)),
            "width": np.array(160), "height": np.array(120), "n_subjects": np.array(1),
        },
        "person_landmarks": {
            "frame": np.arange(n) * 5, "person": np.zeros(n, np.int32), "width": np.array(160),
            "height": np.array(120), "mesh": np.rint(points * 16384).astype(np.int16),
        },
        "person_pose": {k: np.array(yaw if k == "yaw" else [0.0] * n) for k in ("yaw", "pitch", "roll")},
    }  # fmt: skip


ONES, NONE = [1.0] * 10, [0.0] * 10


@pytest.mark.parametrize("best", [0, 3, 9])
@pytest.mark.parametrize("what", ["mouth", "yaw", "visible"])
def test_the_best_frame_is_chosen(media, best, what):
    eyes, mouth, yaw, visible = list(ONES), list(NONE), list(NONE), [True] * 10
    for i in range(10):
        if i != best:
            mouth[i] = 1.0 if what == "mouth" else 0.0
            yaw[i] = 60.0 if what == "yaw" else 0.0
            visible[i] = what != "visible"
    seconds, picture = choose(media("plain"), measured(eyes, mouth, yaw, visible))
    assert seconds == pytest.approx(best / 5)
    assert picture.shape == (120, 160, 3)


def test_a_blink_is_not_chosen(media):
    eyes = [0.1 if 3 <= i <= 6 else 1.0 for i in range(10)]
    seconds, _ = choose(media("plain"), measured(eyes, NONE, NONE))
    assert not 0.5 < seconds < 1.3


def test_without_measurements_it_is_the_middle(media):
    seconds, _ = choose(media("plain"), {})
    assert seconds == pytest.approx(1.0)


def test_people_are_described():
    facts = people_facts(measured(ONES, NONE, [10.0] * 10))
    (fact,) = facts
    assert fact["presence"] == 1.0
    assert fact["face_height"] == pytest.approx(0.5)
    assert fact["yaw_mean"] == pytest.approx(10.0)
    json.dumps(facts, allow_nan=False)
    assert people_facts({}) == ()


# the pipeline on media without faces


@pytest.fixture
def judged(media, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nabout: One.\nfilters:\n  duration: {min_seconds: 1}\n  resolution: {min_side: 130}\n"
        "  near_duplicates: {}\n  leakage: {people: false}\n"
    )
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("plain", "rotated", "vp9", "text"):
        source = media(name)
        (folder / source.name).write_bytes(source.read_bytes())
    return folder, recipe


def go(judged, tmp_path, out="out", text=None, **options):
    folder, recipe = judged
    if text:
        recipe.write_text(text)
    cache = str(tmp_path / "cache")
    return curate(
        [str(folder)], tmp_path / out, recipe=str(recipe), workers=1, cache=cache, **options
    )


def test_all_verdicts_are_kept_and_the_funnel_adds_up(judged, tmp_path):
    assert go(judged, tmp_path).kept == 0
    rows = {fact.clip_id: fact for fact in read_rows(tmp_path / "out/rejected.jsonl")}
    assert {name: fact.reason for name, fact in rows.items()} == {
        "plain": "low-resolution", "rotated": "low-resolution", "vp9": "low-resolution",
        "text": "not-media",
    }  # fmt: skip
    filters = [
        [j.filter for j in fact.judgements] for fact in rows.values() if fact.clip_id != "text"
    ]
    assert filters == [["duration", "resolution"]] * 3
    report = funnel(tmp_path / "out")
    steps = {s.name: (s.input, s.rejected, s.rejected_alone) for s in report.funnel.steps}
    assert steps == {"media": (4, 1, 1), "duration": (3, 0, 0), "resolution": (3, 3, 3)}
    limits = {(d.filter, d.name): d.limits for d in report.funnel.distributions}
    assert limits["resolution", "side"] == (("min_side", 130.0),)
    assert "low-resolution" in report.page.read_text()
    assert "<script" not in report.page.read_text()
    assert "low-resolution × 3" in report.to_text()


def test_other_thresholds_measure_nothing_again(judged, tmp_path, monkeypatch):
    go(judged, tmp_path)

    def never(*args, **kwargs):
        raise AssertionError("measured again")

    monkeypatch.setattr("theval_datasets.extraction.runner.Runner.process", never)
    text = judged[1].read_text().replace("130", "100")
    report = go(judged, tmp_path, text=text)
    rows = {fact.clip_id: fact.reason for fact in read_rows(tmp_path / "out/rejected.jsonl")}
    assert report.kept == 2
    assert rows == {"vp9": "duplicate", "text": "not-media"}
    for fact in read_manifest(tmp_path / "out").rows:
        assert fact.phash
        assert (tmp_path / "out" / str(fact.path)).is_file()
    again = go(judged, tmp_path, text=text)
    assert again.reused == 2
    go(judged, tmp_path, text=text.replace("100", "200"))
    assert not list((tmp_path / "out/clips").glob("*"))


def test_what_another_set_holds_is_left_out(judged, tmp_path):
    text = judged[1].read_text().replace("130", "100")
    go(judged, tmp_path, "theirs", text)
    made = index(
        tmp_path / "theirs", tmp_path / "theirs.jsonl", cache=str(tmp_path / "cache"), workers=1
    )
    assert made.clips == 2
    assert (made.people, made.identities) == (0, 0)
    assert "only recordings" in made.note
    assert "note: " in made.to_text()
    ours = go(judged, tmp_path, "ours", text, references=[tmp_path / "theirs.jsonl"])
    assert ours.kept == 0
    assert ours.reasons["leaked-clip"] == 2
    with pytest.raises(InputError, match="no filter named leakage"):
        curate([str(judged[0])], tmp_path / "x", references=[tmp_path / "theirs.jsonl"])


def test_an_index_is_measured_by_the_named_engine(judged, tmp_path):
    go(judged, tmp_path, text=judged[1].read_text().replace("130", "100"))
    cache = str(tmp_path / "cache")
    with pytest.raises(InputError, match="--address needs --engine ray"):
        index(tmp_path / "out", tmp_path / "i.jsonl", cache=cache, address="127.0.0.1:1")


def test_a_row_whose_file_lies_elsewhere_is_missing_in_an_index(judged, tmp_path):
    go(judged, tmp_path, text=judged[1].read_text().replace("130", "100"))
    rows = list(read_manifest(tmp_path / "out").rows)
    write_manifest(
        tmp_path / "out/manifest.jsonl", [replace_record(rows[0], path="../x.mp4"), *rows[1:]]
    )
    cache = str(tmp_path / "cache")
    made = index(tmp_path / "out", tmp_path / "i.jsonl", cache=cache, workers=1)
    assert (made.clips, made.missing, made.exit_code) == (1, {rows[0].clip_id: "unsafe"}, 1)


# recipes


def test_a_base_is_changed_only_where_one_says_so(tmp_path, monkeypatch):
    loose = parse_recipe(
        "base: theval\nname: loose\nabout: Looser.\nfilters: {resolution: {min_side: 512}, language: null,"
        " speech: {min_ratio: 0.3}}\n",
        "loose.yaml",
    )
    theval = load_recipe("theval")
    assert "language" not in loose.filters
    assert loose.filters["resolution"] == {"min_side": 512}
    assert loose.filters["speech"] == {**(theval.filters["speech"] or {}), "min_ratio": 0.3}
    assert loose.segment == theval.segment
    assert loose.identity != theval.identity


def test_a_users_own_recipe_overrides(tmp_path, monkeypatch):
    (tmp_path / "theval.yaml").write_text("name: theval\nabout: Mine.\ncut: spans\n")
    (tmp_path / "loop.yaml").write_text("base: loop\nname: loop\nabout: Round.\n")
    monkeypatch.setenv("THEVAL_RECIPES", str(tmp_path))
    assert load_recipe("theval").about == "Mine."
    with pytest.raises(InputError, match="base"):
        load_recipe("loop")
    monkeypatch.delenv("THEVAL_RECIPES")
    assert load_recipe("theval").about != "Mine."


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("filters: {sharpnes: {}}", "did you mean sharpness"),
        ("filters: {sharpness: {min_sharpnes: 1}}", "did you mean 'min_sharpness'"),
        ("filters: {sharpness: {min_sharpness: high}}", "a finite number"),
        ("filters: {duration: {min_seconds: 9, max_seconds: 1}}", "not to be empty"),
        ("segment: {aim_second: 1}", "did you mean 'aim_seconds'"),
        ("encoding: {preset: '-f null'}", "expected one of"),
        ("encoding: {crf: 99}", "crf 0 to 51"),
        ("measure: [formant]", "did you mean formants"),
        ("on_undecided: perhaps", "'keep', 'reject'"),
        ("base: thevall", "did you mean theval"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(text, complaint):
    with pytest.raises((InputError, UnknownNameError), match=complaint):
        parse_recipe(f"name: x\nabout: y\n{text}\n", "r.yaml")


def test_a_clip_that_no_longer_decodes_has_no_picture_in_the_funnel(tmp_path):
    (tmp_path / "in").mkdir()
    for side in (100, 104, 200):
        noise = np.random.default_rng(side).integers(0, 255, (side, 200, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"in/{side}.png")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nabout: One.\nfilters: {resolution: {min_side: 98}}\n")
    cache = str(tmp_path / "cache")
    out = tmp_path / "out"
    curate([str(tmp_path / "in")], out, recipe=str(recipe), workers=1, cache=cache)
    assert funnel(out).page.read_text().count("data:image/jpeg") == 2
    (out / "clips/100.png").unlink()
    (out / "clips/100.png").write_bytes(b"no media")
    assert funnel(out).page.read_text().count("data:image/jpeg") == 1
