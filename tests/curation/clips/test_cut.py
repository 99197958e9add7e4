"""Cutting: the frames that were asked for, sound in step, the same bytes each time."""

from __future__ import annotations

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets import media as reading
from theval_datasets.curation.clips import cut as cutting
from theval_datasets.curation.clips.audio_tracks import write_original
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.errors import (
    BrokenMediaError,
    InputError,
    MediaError,
    NoAudioError,
    StorageError,
)
from theval_datasets.utils.files import sha256_file

QUICK = Encoding(crf=10, preset="ultrafast")


def edges(path):
    index = reading.frame_index(path)
    return np.append(index.times, index.times[-1] + index.length)


@pytest.mark.parametrize(
    "name",
    ["plain", "vfr", "rotated", "late_video", "late_audio", "hevc", "vp9", "gif", "no_audio"],
)
@pytest.mark.parametrize("part", [(0.0, 0.5), (0.3, 0.8), (0.6, 1.0)])
def test_it_holds_exactly_the_frames(media, tmp_path, name, part):
    source = media(name)
    at = edges(source)
    first, last = (round(share * (len(at) - 1)) for share in part)
    facts = cut(source, Piece(float(at[first]), float(at[last])), tmp_path / "c.mp4", QUICK)
    assert facts.n_frames == last - first
    made = reading.frame_index(tmp_path / "c.mp4")
    assert made.times == pytest.approx(at[first:last] - at[first], abs=1e-3)
    wanted = reading.read_frames(source, [first, last - 1])
    got = reading.read_frames(tmp_path / "c.mp4", [0, last - first - 1])
    others = reading.read_frames(source, [max(0, first - 2), min(len(at) - 2, last + 1)])
    for right, result, wrong in zip(wanted.pixels, got.pixels, others.pixels, strict=True):
        assert result.shape == right.shape
        off = np.abs(result.astype(int) - right).mean()
        assert off < 6
        if not np.array_equal(right, wrong):
            assert off < np.abs(result.astype(int) - wrong).mean()


@pytest.mark.parametrize("name", ["plain", "late_video", "late_audio"])
def test_sound_stays_in_step(media, tmp_path, name):
    source = media(name)
    at = edges(source)
    first = 10
    cut(source, Piece(float(at[first]), float(at[-1])), tmp_path / "c.mp4", QUICK)
    before, after = reading.read_audio(source), reading.read_audio(tmp_path / "c.mp4")

    def beep(audio):
        return audio.start + np.flatnonzero(np.abs(audio.samples) > 0.2)[0] / audio.rate

    assert beep(after) == pytest.approx(beep(before) - at[first], abs=0.01)


def test_twice_is_the_same_to_the_bit_and_other_settings_are_not(media, tmp_path):
    source = media("plain")
    piece = Piece(0.4, 1.6)
    for name in ("a", "b"):
        cut(source, piece, tmp_path / f"{name}.mp4", Encoding())
    cut(source, piece, tmp_path / "c.mp4", Encoding(crf=30))
    hashes = [sha256_file(tmp_path / f"{name}.mp4") for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("delay", "seconds", "sounding"),
    [
        (0, 1.0, (True, True, False)),
        (1.0, 1.0, (False, True, True)),
        (0, 0.0001, (True, False, False)),
    ],
)
def test_a_span_without_sound_is_cut_without_sound(tmp_path, delay, seconds, sounding):
    """Sound that ends early, begins late, or is there in name only."""
    source = tmp_path / "part.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=2", "-itsoffset", str(delay),
           "-f", "lavfi", "-i", f"sine=d={seconds}", "-map", "0:v", "-map", "1:a", "-c:a", "aac", source)  # fmt: skip
    at = edges(source)
    for (first, last), sounds in zip([(0, 15), (15, 35), (36, 50)], sounding, strict=True):
        target = tmp_path / "c.mp4"
        facts = cut(source, Piece(float(at[first]), float(at[last])), target, QUICK)
        assert facts.n_frames == last - first
        assert (facts.audio_codec is not None) == sounds
        if not sounds or seconds < 0.01:
            with pytest.raises(NoAudioError):
                reading.read_audio(target)
        else:
            assert np.abs(reading.read_audio(target).samples).max() > 0.05


def test_a_crop_is_of_the_upright_picture(media, tmp_path):
    facts = cut(media("rotated"), Piece(0.0, 1.0, (20, 40, 60, 80)), tmp_path / "c.mp4", QUICK)
    assert (facts.width, facts.height) == (60, 80)
    with pytest.raises(InputError, match="expected a crop within"):
        cut(media("plain"), Piece(0.0, 1.0, (100, 0, 100, 50)), tmp_path / "d.mp4", QUICK)


def test_what_cannot_be_cut_is_said(media, tmp_path):
    with pytest.raises(MediaError):
        cut(media("text"), Piece(0.0, 1.0), tmp_path / "c.mp4", QUICK)
    with pytest.raises(BrokenMediaError, match="no frame"):
        cut(media("plain"), Piece(50.0, 60.0), tmp_path / "c.mp4", QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_written(media, tmp_path, monkeypatch):
    monkeypatch.setattr(cutting, "_MIN_FREE", 1 << 60)
    with pytest.raises(StorageError, match="free some space"):
        cut(media("plain"), Piece(0.0, 1.0), tmp_path / "c.mp4", QUICK)


@pytest.mark.parametrize("wrong", [{"crf": 60}, {"threads": 0}, {"audio_kbps": 1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected crf"):
        Encoding(**wrong)


def test_the_original_sound_keeps_its_rate_and_place(media, tmp_path):
    assert write_original(media("late_audio"), 0.2, 2.0, tmp_path / "a.flac")
    sound = reading.read_audio(tmp_path / "a.flac", rate=48_000, aligned=False)
    beep = np.flatnonzero(np.abs(sound.samples) > 0.2)[0] / 48_000
    assert beep == pytest.approx(1.4 - 0.2, abs=0.02)
    assert not write_original(media("no_audio"), 0.0, 1.0, tmp_path / "b.flac")
