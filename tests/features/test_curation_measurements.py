"""What curation measures: picture, shots, levels, fingerprints, faces at a low rate."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Eyes, Scene
from media_factory import ffmpeg

from theval_datasets.features.audio_levels import AudioLevels, clipped_share, integrated_loudness
from theval_datasets.features.face_scan import FaceScan
from theval_datasets.features.fingerprints import (
    Fingerprints,
    audio_hashes,
    bit_distance,
    frame_hash,
    from_hex,
    to_hex,
)
from theval_datasets.features.picture import Picture, text_mask
from theval_datasets.features.shots import Shots

RATE = 48_000


@pytest.mark.parametrize("extractor", [Picture(), Shots(), AudioLevels(), Fingerprints()])
def test_contract(extractor, talking, other, faceless, tmp_path, monkeypatch):
    contract.check(extractor, talking, other, faceless, tmp_path, monkeypatch)


def test_none_of_them_runs_unless_it_is_named():
    assert not any(
        e.default_enabled for e in (Picture(), Shots(), AudioLevels(), Fingerprints(), FaceScan())
    )


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """Two scenes with a cut after 1.2 s, then 0.6 s of black, then another."""
    path = tmp_path_factory.mktemp("joined") / "j.mp4"
    parts = [
        "testsrc2=s=320x180:r=25:d=1.2[a]", "mandelbrot=s=320x180:r=25,trim=duration=1.2[b]",
        "color=black:s=320x180:r=25:d=0.6[c]", "testsrc2=s=320x180:r=25:d=1,hue=h=90[d]",
        "[a][b][c][d]concat=n=4",
    ]  # fmt: skip
    ffmpeg("-filter_complex", ";".join(parts), "-pix_fmt", "yuv420p", path)
    return path


def test_shots_begin_at_their_frames_and_black_is_told(joined, tmp_path):
    (feature,) = contract.run(Shots(), [joined], tmp_path)
    assert feature.values["begin"].tolist() == [0, 30, 60, 75]
    assert feature.values["dark"].tolist() == [False, False, True, False]
    assert feature.values["n_shots"] == 3
    assert feature.values["end"] == pytest.approx(4.0, abs=0.01)


def test_a_moving_picture_has_one_shot(media, tmp_path):
    (feature,) = contract.run(Shots(), [media("gif")], tmp_path)
    assert len(feature.values["time"]) == 20


def picture_of(tmp_path, *filters):
    path = tmp_path / f"p{abs(hash(filters))}.mp4"
    source = f"mandelbrot=s=640x360:r=10,trim=duration=2{''.join(',' + f for f in filters)}"
    ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-crf", "12", path)
    (feature,) = contract.run(Picture(), [path], tmp_path / "cache")
    return feature.values


def test_blur_darkness_and_stillness_show(tmp_path):
    plain = picture_of(tmp_path)
    blurred = picture_of(tmp_path, "gblur=sigma=6")
    dark = picture_of(tmp_path, "lutyuv=y=val/3")
    still = picture_of(tmp_path, "loop=loop=-1:size=1", "trim=duration=2")
    assert np.median(blurred["sharpness"]) < 0.2 * np.median(plain["sharpness"])
    assert dark["brightness"].mean() < 0.6 * plain["brightness"].mean()
    assert still["motion"].max() < 0.25 < plain["motion"].min()
    assert plain["bars"].max() == 0
    assert plain["seams"] == 0


def test_bars_are_measured_on_every_side(tmp_path):
    result = picture_of(tmp_path, "lutyuv=y=val/2+100", "scale=480:360", "pad=640:360:120:0:black")
    left, top, right, bottom = result["bars"].tolist()
    assert (left, right) == (pytest.approx(120 / 640, abs=0.01), pytest.approx(40 / 640, abs=0.01))
    assert (top, bottom) == (0, 0)


def test_a_seam_between_panels_is_seen(tmp_path):
    halves = "split[a][b];[a]lutyuv=y=val/4+20[l];[b]hflip,lutyuv=y=val/4+160[r];[l][r]hstack"
    assert picture_of(tmp_path, halves)["seams"] == 1


def test_lines_of_letters_are_text_and_a_face_is_not():
    import cv2

    rng = np.random.default_rng(1)
    plain = cv2.GaussianBlur(rng.integers(60, 160, (360, 640), dtype=np.uint8), (0, 0), 9)
    assert text_mask(plain).mean() == 0
    shown = plain.copy()
    cv2.putText(shown, "Breaking news tonight", (60, 320), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2)
    mask = text_mask(shown)
    assert mask.mean() > 0.01
    assert mask[:250].mean() == 0


def test_loudness_is_that_of_the_standard():
    # BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS
    sine = np.sin(2 * np.pi * 997 * np.arange(5 * RATE) / RATE)
    assert integrated_loudness(sine) == pytest.approx(-3.01, abs=0.05)
    assert integrated_loudness(0.1 * sine) == pytest.approx(-23.01, abs=0.05)
    gated = np.concatenate([0.1 * sine, np.zeros(20 * RATE)])
    assert integrated_loudness(gated) == pytest.approx(-23.01, abs=0.3)
    assert integrated_loudness(np.zeros(RATE)) is None
    assert integrated_loudness(sine[: RATE // 5]) is None
    with pytest.raises(ValueError, match="48000"):
        integrated_loudness(sine, 16_000)


def test_only_runs_of_full_samples_are_clipped():
    sine = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    assert clipped_share(np.clip(2 * sine, -1, 1), 0.985, 3) == pytest.approx(2 / 3, abs=0.02)
    assert clipped_share(0.9 * sine, 0.985, 3) == 0
    assert clipped_share(np.array([0, 1.0, 1.0, 0, 1.0, 0]), 0.985, 3) == 0


def test_no_sound_is_no_levels_but_frames_have_their_hashes(media, tmp_path):
    (levels,) = contract.run(AudioLevels(), [media("silent")], tmp_path / "a")
    assert (levels.outcome.status, levels.outcome.reason) == ("empty", "digital-silence")
    (prints,) = contract.run(Fingerprints(), [media("no_audio")], tmp_path / "b")
    assert prints.outcome.missing == {"audio_hash": "no-audio"}
    assert len(prints.values["frame_hash"]) == 4


def test_hashes_survive_compression_and_tell_others_apart(tmp_path):
    rng = np.random.default_rng(0)
    import cv2

    scenes = [
        cv2.GaussianBlur(rng.integers(0, 255, (180, 320), np.uint8), (0, 0), 12) for _ in "ab"
    ]
    scenes = [cv2.normalize(s, None, 0, 255, cv2.NORM_MINMAX) for s in scenes]
    worse = cv2.imdecode(cv2.imencode(".jpg", scenes[0], [cv2.IMWRITE_JPEG_QUALITY, 15])[1], 0)
    codes = np.array([frame_hash(s) for s in (scenes[0], worse, scenes[1])], np.uint64)
    assert bit_distance(codes[:1], codes[1:2]) < 0.1
    assert 0.3 < bit_distance(codes[:1], codes[2:]) < 0.7


def test_audio_fingerprints_bear_noise():
    rng = np.random.default_rng(0)
    sound = np.cumsum(rng.normal(size=16_000 * 4)).astype(np.float32)
    sound = np.diff(sound, prepend=0).astype(np.float32)
    noisy = sound + 0.1 * rng.normal(size=len(sound)).astype(np.float32)
    other = rng.normal(size=len(sound)).astype(np.float32)
    assert bit_distance(audio_hashes(sound), audio_hashes(noisy)) < 0.1
    assert 0.4 < bit_distance(audio_hashes(sound), audio_hashes(other)) < 0.6
    assert len(audio_hashes(sound[:4000])) == 0


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_hex_there_and_back(dtype):
    values = np.array([0, 1, np.iinfo(dtype).max, 12345], dtype)
    assert np.array_equal(from_hex(to_hex(values), dtype), values)
    with pytest.raises(ValueError, match="hex digits"):
        from_hex("abc", dtype)


def test_a_face_scan_gives_shares_of_the_frame():
    scene = Scene([{0: (32, 18, 64)}, {}, {0: (32, 18, 64), 1: (200, 90, 40)}])

    class Size:
        size = (320, 180)

    looking = FaceScan().open(Size(), Eyes(scene))
    looking.update(scene.frames())
    values, missing = looking.finish()
    assert missing == {}
    assert values["sample"].tolist() == [0, 2, 2]
    assert values["box"][0] == pytest.approx([0.1, 0.1, 0.3, 82 / 180])
    assert FaceScan(2.0) != FaceScan(4.0)
    assert FaceScan(2.0).parameters() == {"fps": 2.0}
