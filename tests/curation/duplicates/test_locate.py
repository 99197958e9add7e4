"""Finding a recording in a longer one: after gain, noise, codecs and other rates."""

from __future__ import annotations

import json

import numpy as np
import pytest
from media_factory import ffmpeg
from typer.testing import CliRunner

from theval_datasets.cli import app
from theval_datasets.commands.locate import locate
from theval_datasets.curation.clips.audio_tracks import write_wav
from theval_datasets.curation.duplicates.locate import THRESHOLD, best_match, feature_of
from theval_datasets.errors import InputError

RATE = 16_000


def babble(seconds, seed):
    """Noise in syllables: bands that swell and fade by themselves, as in speech."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(size=n))
    at = np.fft.rfftfreq(n, 1 / RATE)
    out = np.zeros(n)
    for low, high in ((200, 500), (500, 900), (900, 1500), (1500, 2400), (2400, 3800)):
        band = np.fft.irfft(np.where((at >= low) & (at < high), spectrum, 0), n)
        steps = rng.gamma(0.5, 1.0, int(seconds * 8) + 2)
        out += band * np.interp(np.arange(n) / RATE * 8, np.arange(len(steps)), steps)
    return (0.1 * out / np.abs(out).std()).astype(np.float32)


@pytest.fixture(scope="module")
def long():
    return babble(120, 1)


def part(long, start, seconds):
    return long[round(start * RATE) : round((start + seconds) * RATE)]


@pytest.mark.parametrize("start", [0.0, 13.337, 116.9])
@pytest.mark.parametrize("gain", [0.02, 1.0, 4.0])
def test_noise_at_ten_decibels_and_any_gain(long, start, gain):
    clip = part(long, start, 3)
    rng = np.random.default_rng(9)
    noise = rng.normal(size=len(clip)) * clip.std() / np.sqrt(10)
    match = best_match(feature_of((gain * (clip + noise)).astype(np.float32)), feature_of(long))
    assert match is not None
    assert match.start == pytest.approx(start, abs=0.02)
    assert match.score > THRESHOLD
    assert match.margin > 0.05


def test_what_is_not_there_is_below_the_threshold(long):
    scores = [
        best_match(feature_of(babble(4, seed)), feature_of(long)).score for seed in range(20, 30)
    ]
    assert max(scores) < THRESHOLD


def test_too_short_or_longer_than_the_long_one(long):
    assert best_match(feature_of(part(long, 0, 0.5)), feature_of(long)) is None
    assert best_match(feature_of(long), feature_of(part(long, 0, 5))) is None


@pytest.mark.parametrize(
    "how", [["-ar", "44100"], ["-ar", "48000", "-ac", "2"], ["-c:a", "libmp3lame", "-b:a", "32k"]]
)
def test_codecs_and_rates_through_files(long, tmp_path, how):
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    write_wav(tmp_path / "a.wav", part(long, 40.123, 4), RATE)
    name = "a.mp3" if "libmp3lame" in how else "a.wav"
    ffmpeg("-i", tmp_path / "a.wav", *how, tmp_path / "short" / name)
    write_wav(tmp_path / "short" / "not.wav", babble(4, 77), RATE)
    write_wav(tmp_path / "long" / "b.wav", long, RATE)
    write_wav(tmp_path / "long" / "c.wav", babble(20, 5), RATE)
    report = locate(tmp_path / "short", [tmp_path / "long"])
    by_name = {item.short.rpartition("/")[2]: item for item in report.locations}
    assert by_name[name].start == pytest.approx(40.123, abs=0.03 if "mp3" in name else 0.02)
    assert str(by_name[name].long).endswith("b.wav")
    assert by_name["not.wav"].reason == "not-found"
    assert report.exit_code == 1


def test_the_command_and_its_mistakes(long, tmp_path):
    write_wav(tmp_path / "s.wav", part(long, 10, 3), RATE)
    write_wav(tmp_path / "l.wav", part(long, 0, 30), RATE)
    (tmp_path / "bad.wav").write_text("no sound")
    done = CliRunner().invoke(
        app, ["locate", str(tmp_path / "s.wav"), str(tmp_path / "l.wav"), "--json"]
    )
    assert done.exit_code == 0
    (location,) = json.loads(done.stdout)["found"]
    assert location["start"] == pytest.approx(10, abs=0.02)
    worse = locate(tmp_path / "s.wav", [tmp_path / "l.wav", tmp_path / "bad.wav"])
    assert worse.exit_code == 1
    assert list(worse.unreadable.values()) == ["not-media"]
    with pytest.raises(InputError, match="no file"):
        locate(tmp_path / "none.wav", [tmp_path / "l.wav"])
    with pytest.raises(InputError, match="threshold"):
        locate(tmp_path / "s.wav", [tmp_path / "l.wav"], threshold=2)


@pytest.mark.slow
def test_a_clip_is_located_in_an_hour_of_sound():
    rng = np.random.default_rng(3)
    parts = [babble(60, seed) for seed in range(6)]
    hour = np.concatenate([parts[i % 6] * rng.uniform(0.2, 1) for i in range(60)])
    hour[1000 * RATE : 1005 * RATE] = babble(5, 99)
    match = best_match(feature_of(babble(5, 99)), feature_of(hour))
    assert match is not None
    assert match.start == pytest.approx(1000, abs=0.02)
