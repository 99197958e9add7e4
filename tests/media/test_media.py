"""Frames and sound on one timeline, whatever the file does; and every way a file can be bad."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from media_factory import FLASH, FPS, SECONDS, SIZE, ffmpeg

from theval_datasets import errors
from theval_datasets.media import (
    FrameIndex,
    Limits,
    SlotPicker,
    _open,
    _seek,
    _video,
    frame_index,
    open_video,
    probe,
    read_audio,
    read_frames,
    sample_frames,
)
from theval_datasets.media.frames import SAMPLE_RATE

MOVIES = ("plain", "vfr", "rotated", "late_video", "late_audio", "hevc", "vp9", "gif", "no_audio")
FRAME = 1 / FPS


def all_frames(path: Path, **options):
    with open_video(path, **options) as video:
        batches = list(video.frames())
        times = np.concatenate([b.times for b in batches])
        pixels = list(itertools.chain.from_iterable(b.pixels for b in batches))
        indices = np.concatenate([b.indices for b in batches])
    return video, times, pixels, indices


def brightness(pixels) -> np.ndarray:
    return np.array([frame.mean() for frame in pixels])


@pytest.mark.parametrize("name", MOVIES)
def test_a_pass_gives_every_frame_once_upright_and_in_order(media, name):
    path = media(name)
    facts = probe(path)
    video, times, pixels, indices = all_frames(path)
    assert len(times) == facts.n_frames > 10
    assert times[0] == 0.0
    assert (np.diff(times) > 0).all()
    assert indices.tolist() == list(range(len(times)))
    width, height = (SIZE[1], SIZE[0]) if name == "rotated" else SIZE
    assert video.size == (width, height) == (facts.width, facts.height)
    assert {frame.shape for frame in pixels} == {(height, width, 3)}
    assert video.end == pytest.approx(facts.duration, abs=1e-6)
    assert video.problem is None


@pytest.mark.parametrize("name", ["plain", "vfr", "late_video", "late_audio"])
def test_the_flash_is_where_the_timestamps_say(media, name):
    _, times, pixels, _ = all_frames(media(name))
    white = times[brightness(pixels) > 240]
    assert len(white) >= 3
    assert white[0] == pytest.approx(FLASH[0], abs=2.1 * FRAME if name == "vfr" else 0.001)
    assert white[-1] < FLASH[1]


@pytest.mark.parametrize(
    ("name", "beep"), [("plain", 1.0), ("late_video", 0.6), ("late_audio", 1.4), ("rotated", 1.0)]
)
def test_sound_is_on_the_timeline_of_the_picture(media, name, beep):
    audio = read_audio(media(name))
    loud = np.flatnonzero(np.abs(audio.samples) > 0.2)
    assert audio.start + loud[0] / SAMPLE_RATE == pytest.approx(beep, abs=0.01)
    assert audio.start + loud[-1] / SAMPLE_RATE == pytest.approx(beep + 0.2, abs=0.03)
    assert audio.samples.dtype == np.float32
    assert np.abs(audio.samples).max() <= 1.0
    assert audio.start >= 0.0


def test_facts_are_measured(media):
    facts = probe(media("plain"))
    assert facts.fps == pytest.approx(FPS)
    assert facts.duration == pytest.approx(SECONDS)
    assert not facts.variable_rate
    assert (facts.video_codec, facts.audio_codec, facts.audio_rate) == ("h264", "aac", 48000)
    vfr = probe(media("vfr"))
    assert vfr.variable_rate
    assert vfr.n_frames < facts.n_frames
    assert probe(media("rotated")).rotation == 90
    assert probe(media("late_video")).audio_start == pytest.approx(-0.4, abs=0.03)
    assert probe(media("late_audio")).audio_start == pytest.approx(0.4, abs=0.03)


def test_a_rotated_file_shows_the_picture_turned(media):
    _, _, plain, _ = all_frames(media("plain"))
    _, _, turned, _ = all_frames(media("rotated"))
    assert all(
        (np.rot90(before) == after).all() for before, after in zip(plain, turned, strict=True)
    )


@pytest.mark.parametrize("name", MOVIES)
def test_single_frames_equal_those_of_a_pass(media, name):
    path = media(name)
    _, times, pixels, _ = all_frames(path)
    index = frame_index(path)
    assert index.times == pytest.approx(times, abs=1e-9)
    wanted = [0, 3, len(times) // 2, len(times) - 1]
    found = read_frames(path, wanted, index)
    assert found.indices.tolist() == wanted
    assert all((pixels[i] == frame).all() for i, frame in zip(wanted, found.pixels, strict=True))


def test_both_decoders_hand_out_the_same_pixels(media, monkeypatch):
    path = media("plain")
    index = frame_index(path)
    wanted = np.array([1, 17, 30])
    ours = _seek._read_with_av(path, wanted, index)
    theirs = _seek._read_with_decord(path, wanted, index)
    assert theirs is not None, "decord is a dependency on this machine"
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
    monkeypatch.setattr(_seek, "available", lambda name: False)
    assert _seek._read_with_decord(path, wanted, index) is None
    alone = read_frames(path, wanted.tolist(), index)
    assert all((a == b).all() for a, b in zip(ours, alone.pixels, strict=True))


@pytest.mark.parametrize("fps", [1.0, 2.0, 7.0])
def test_sampling_picks_what_a_sequential_pass_would(media, fps):
    path = media("vfr")
    _, times, pixels, _ = all_frames(path)
    picker = SlotPicker(fps)
    chosen = np.concatenate([np.flatnonzero(picker.take(times[i : i + 5])) + i
                             for i in range(0, len(times), 5)])  # fmt: skip
    sampled = list(sample_frames(path, fps))
    indices = np.concatenate([b.indices for b in sampled])
    assert indices.tolist() == chosen.tolist()
    assert len(chosen) >= int(fps)
    frames = [frame for b in sampled for frame in b.pixels]
    assert all((pixels[i] == frame).all() for i, frame in zip(chosen, frames, strict=True))


def test_the_frame_on_screen_at_a_time():
    index = FrameIndex(np.array([0.0, 0.1, 0.2]), np.arange(3), np.array([True, False, False]), 0.1)
    assert index.at([-1.0, 0.0, 0.15, 0.2, 9.0]).tolist() == [0, 0, 1, 2, 2]


def test_a_still_is_a_clip_of_one_frame(media):
    path = media("still")
    facts = probe(path)
    assert (facts.n_frames, facts.fps, facts.duration) == (1, None, 0.0)
    _, times, pixels, _ = all_frames(path)
    assert times.tolist() == [0.0]
    assert pixels[0].shape == (SIZE[1], SIZE[0], 3)
    with pytest.raises(errors.NoAudioError):
        read_audio(path)


def test_times_without_pixels_are_the_same(media):
    path = media("vfr")
    _, times, _, _ = all_frames(path)
    with open_video(path) as video:
        batches = list(video.frames(pixels=False))
    assert np.concatenate([b.times for b in batches]).tolist() == times.tolist()
    assert not any(b.pixels for b in batches)


def test_batches_stay_small(media, monkeypatch):
    monkeypatch.setattr(_video, "BATCH_BYTES", 3 * SIZE[0] * SIZE[1] * 2)
    with open_video(media("plain")) as video:
        sizes = [len(b) for b in video.frames()]
    assert max(sizes) == 2
    assert sum(sizes) == int(SECONDS * FPS)


BAD = {
    "text": errors.NotMediaError,
    "empty": errors.NotMediaError,
    "headless": errors.NotMediaError,
    "zero_frames": errors.ZeroFramesError,
    "wav": errors.NoVideoError,
    "mp3_with_cover": errors.NoVideoError,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_media_say_what_is_wrong(media, name):
    path = media(name)
    with pytest.raises(BAD[name], match=path.name.replace(".", r"\.")):
        probe(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(errors.MissingMediaError, match="no file"):
        probe(tmp_path / "nothing.mp4")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("no_audio", errors.NoAudioError),
        ("gif", errors.NoAudioError),
        ("silent", errors.DigitalSilenceError),
        ("text", errors.NotMediaError),
    ],
)
def test_audio_that_is_not_there(media, name, kind):
    with pytest.raises(kind):
        read_audio(media(name))


_LOUD = "aevalsrc=0.95*sin(2*PI*440*t):s=48000:d=1,"
_TONE = "aevalsrc=0.5*sin(2*PI*440*t):s=48000:d=1,"
_SURROUND = "pan=5.1|c0={}|c1={}|c2={}|c3=0*c0|c4={}|c5={}"


@pytest.mark.parametrize(
    ("mix", "channel", "level"),
    [
        ("pan=stereo|c0=c0|c1=c0", None, 0),
        ("pan=stereo|c0=c0|c1=0*c0", None, -6),
        ("pan=stereo|c0=0*c0|c1=c0", None, -6),
        ("pan=stereo|c0=c0|c1=-1*c0", 0, 0),
        ("pan=stereo|c0=0.5*c0|c1=-1*c0", 1, 0),
        ("pan=3.0|c0=0*c0|c1=0*c0|c2=c0", None, -3),
        ("pan=quad|c0=c0|c1=c0|c2=0*c0|c3=0*c0", None, 0),
        ("pan=7.1|c0=0*c0|c1=0*c0|c2=c0|c3=0*c0|c4=0*c0|c5=0*c0|c6=0*c0|c7=0*c0", None, -3),
        (_SURROUND.format("c0", "0*c0", "0*c0", "0*c0", "0*c0"), None, -6),
        (_SURROUND.format("0*c0", "0*c0", "c0", "0*c0", "0*c0"), None, -3),
        (_SURROUND.format("c0", "-1*c0", "0*c0", "0*c0", "0*c0"), 0, 0),
        (_SURROUND.format("0.5*c0", "-0.5*c0", "c0", "0*c0", "0*c0"), None, -3),
        (_SURROUND.format("0*c0", "0*c0", "0*c0", "c0", "-1*c0"), 4, 0),
    ],
)
def test_no_mix_of_channels_loses_what_is_said(tmp_path, mix, channel, level):
    """Levels in dB against the same tone on one channel."""
    path = tmp_path / "sound.wav"
    ffmpeg("-f", "lavfi", "-i", _TONE + mix, path)
    audio = read_audio(path)
    assert audio.channel == channel
    rms = np.sqrt((audio.samples[1600:-1600].astype(float) ** 2).mean())
    assert 20 * np.log10(rms * np.sqrt(2) / 0.5) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("channels", ["c0=c0|c1=c0", "c0=c0|c1=0*c0", "c0=c0|c1=0.9*c0"])
def test_stereo_is_mixed_as_ffmpeg_mixes_it_for_files_of_16_bits(tmp_path, channels):
    """Loud stereo stays within full scale, so that it does not look clipped."""
    path, theirs = tmp_path / "sound.wav", tmp_path / "mono.wav"
    ffmpeg("-f", "lavfi", "-i", _LOUD + f"pan=stereo|{channels}", path)
    ffmpeg("-i", path, "-ac", 1, "-ar", 16_000, theirs)
    mix, expected = read_audio(path).samples, read_audio(theirs).samples
    assert np.abs(mix).max() <= 0.97
    assert np.abs(mix - expected).max() < 2 / 32768


@pytest.mark.parametrize("layout", ["3.0", "4.0", "5.1", "6.1", "7.1"])
def test_more_channels_are_the_mean_of_the_sides_of_a_stereo_mix(tmp_path, layout):
    """Each channel has a tone of its own: ffmpeg's stereo in floating point is the yardstick."""
    n = {"3.0": 3, "4.0": 4, "5.1": 6, "6.1": 7, "7.1": 8}[layout]
    tones = "|".join(f"0.2*sin(2*PI*{300 + 90 * i}*t)" for i in range(n))
    path, theirs = tmp_path / "sound.wav", tmp_path / "stereo.wav"
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc={tones}:c={layout}:s=16000:d=1", path)
    ffmpeg("-i", path, "-af", "aresample=out_chlayout=stereo", "-c:a", "pcm_f32le", theirs)
    samples = read_audio(path).samples
    sides = np.frombuffer(theirs.read_bytes()[-2 * 4 * len(samples) :], "<f4").reshape(-1, 2)
    assert len(samples) == 16_000
    assert np.abs(samples - sides.mean(1)).max() < 1e-5


def test_audio_without_video_starts_at_zero(media):
    for name in ("wav", "mp3_with_cover"):
        audio = read_audio(media(name))
        assert audio.start == 0.0
        assert audio.end == pytest.approx(SECONDS, abs=0.08)


def test_a_truncated_file_gives_what_decodes_and_says_so(media):
    path = media("truncated")
    facts = probe(path)
    assert "truncated" in str(facts.truncated)
    video, times, _, _ = all_frames(path)
    assert 5 < len(times) < SECONDS * FPS
    assert "truncated" in str(video.problem) or "decode" in str(video.problem)
    assert probe(media("plain")).truncated is None


@pytest.mark.parametrize(
    ("name", "suffix", "streams"),
    [
        ("plain", ".mp4", ["-map", "0"]),
        ("plain", ".mkv", ["-map", "0"]),
        ("plain", ".mkv", ["-an"]),
        ("vp9", ".webm", ["-an"]),
        ("plain", ".avi", ["-map", "0"]),
        ("plain", ".avi", ["-an"]),
    ],
)
def test_a_file_that_was_not_fetched_whole_says_so(media, tmp_path, name, suffix, streams):
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    ffmpeg(
        "-stream_loop", "2", "-i", media(name), *streams, "-c", "copy", "-movflags", "+faststart", whole
    )  # fmt: skip
    assert probe(whole).truncated is None
    data = whole.read_bytes()
    part.write_bytes(data[: len(data) // 2])
    assert "truncated: the header states" in str(probe(part).truncated)


def test_sound_that_is_longer_than_the_picture_is_no_shortfall(media, tmp_path):
    path = tmp_path / "long-sound.mkv"
    ffmpeg(
        "-i", media("plain"), "-stream_loop", "2", "-i", media("plain"), "-map", "0:v", "-map", "1:a",
        "-c", "copy", path,
    )  # fmt: skip
    assert probe(path).truncated is None


@pytest.mark.parametrize("tag", ["00:01:00.000000000", "-1", "a minute", "99999999999:00:00"])
def test_a_tag_that_another_file_left_is_no_promise(media, tmp_path, tag):
    path = tmp_path / "copy.mkv"
    ffmpeg("-i", media("plain"), "-c", "copy", path)
    data = path.read_bytes()
    place = data.index(b"00:00:02.", data.index(b"DURATION"))
    path.write_bytes(data[:place] + tag.encode().ljust(18)[:18] + data[place + 18 :])
    assert probe(path).truncated is None


def test_limits(media):
    for limits in (Limits(n_bytes=1000), Limits(pixels=100)):
        with pytest.raises(errors.TooLargeError, match="limit"):
            probe(media("plain"), limits)
    with pytest.raises(errors.TooLargeError, match="limit"):
        probe(media("still"), Limits(pixels=100))
    with pytest.raises(errors.TooLargeError):
        read_audio(media("plain"), Limits(seconds=1.0))


@pytest.mark.parametrize("suffix", [".m3u8", ".mp4", ".ffconcat"])
def test_files_that_refer_to_other_files_are_not_opened(media, tmp_path, suffix):
    victim = media("plain")
    scripts = {
        ".m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{victim}\n#EXT-X-ENDLIST\n",
        ".ffconcat": f"ffconcat version 1.0\nfile '{victim}'\n",
        ".mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n",
    }
    path = tmp_path / f"list{suffix}"
    path.write_text(scripts[suffix])
    with pytest.raises(errors.NotMediaError):
        probe(path)
    with pytest.raises(errors.NotMediaError):
        read_audio(path)


def test_odd_names_are_only_names(media, tmp_path):
    for name in ("-i.mp4", "a:b %03d.mp4", "concat:x.mp4", "naïve 文.mp4"):
        path = tmp_path / name
        path.write_bytes(media("plain").read_bytes())
        assert probe(path).n_frames == int(SECONDS * FPS)
        assert read_audio(path).end == pytest.approx(SECONDS, abs=0.1)


def test_another_ffmpeg_by_environment(media, monkeypatch):
    monkeypatch.setenv("THEVAL_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(FileNotFoundError):
        read_audio(media("plain"))


@pytest.mark.real
def test_real_clips_sample_as_they_stream(shared_data):
    paths = sorted((shared_data / "media").glob("*/*.mp4"))
    assert paths
    for path in paths:
        index = frame_index(path)
        picked = index.pick(1.0)
        sought = read_frames(path, picked.tolist(), index)
        expected = dict(zip(picked.tolist(), sought.pixels, strict=True))
        times: list[float] = []
        with open_video(path) as video:
            for batch in video.frames():
                times += batch.times.tolist()
                for i, frame in zip(batch.indices.tolist(), batch.pixels, strict=True):
                    assert i not in expected or (expected.pop(i) == frame).all(), (path.name, i)
        assert not expected
        assert index.times == pytest.approx(times, abs=1e-9), path.name


@pytest.mark.real
def test_real_oddities(shared_data):
    folder = shared_data / "media"
    late = probe(folder / "multi" / "friends_scene.mp4")
    assert late.audio_start == pytest.approx(-1.704, abs=0.001)
    assert late.duration == pytest.approx(26.36, abs=0.01)
    assert read_audio(folder / "multi" / "friends_scene.mp4").end == pytest.approx(26.3, abs=0.05)
    assert probe(folder / "single" / "vexpress_rdradio10.mp4").n_frames == 61
    assert probe(folder / "single" / "derived_d20_rotated90.mp4").rotation == 90
    assert probe(folder / "single" / "derived_katiehill_vfr.mp4").variable_rate
    with pytest.raises(errors.NoVideoError):
        probe(folder / "audio" / "silero_test.mp3")


def test_tags_that_are_not_utf8_do_not_stop_opening(media, tmp_path):
    tagged = tmp_path / "tagged.mp4"
    ffmpeg("-i", media("plain"), "-c", "copy", "-metadata", "title=Zzzzy", tagged)
    content = tagged.read_bytes()
    assert content.count(b"Zzzzy") == 1
    tagged.write_bytes(content.replace(b"Zzzzy", b"caf\xe9!"))
    assert probe(tagged).n_frames == round(SECONDS * FPS)


@pytest.mark.parametrize(
    ("version", "options"),
    [("14.0.0", {"metadata_errors": "replace"}), ("18.1.0", {"metadata_errors": "replace"}),
     ("19.0.2", {}), ("20.0.0", {})],
)  # fmt: skip
def test_pyav_is_asked_only_what_its_version_knows(version, options):
    assert _open._metadata_options(version) == options
