"""Clips whose sound is silent but for some spans."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets import media as reading
from theval_datasets.curation.clips import cut as cutting
from theval_datasets.curation.clips.audible import audible_filter
from theval_datasets.curation.clips.audio_tracks import write_original
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.errors import DigitalSilenceError
from theval_datasets.utils.files import sha256_file

QUICK = Encoding(crf=30, preset="ultrafast")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Two seconds of white noise in two channels, from 0.3 s before the first picture on."""
    from media_factory import ffmpeg

    path = tmp_path_factory.mktemp("noisy") / "noisy.mkv"
    picture = ["-f", "lavfi", "-itsoffset", "0.3", "-i", "testsrc2=size=64x64:rate=25:duration=2"]
    sound = ["-f", "lavfi", "-i", "anoisesrc=d=2.3:a=0.5:seed=1:r=48000,pan=stereo|c0=c0|c1=c0"]
    ffmpeg(*picture, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac", path)
    return path


def samples(path):
    audio = reading.read_audio(path, rate=48_000)
    return np.concatenate((np.zeros(round(audio.start * 48_000)), audio.samples))


@pytest.mark.parametrize("spans", [((0.5, 0.75),), ((0.0, 0.1), (0.3, 0.6), (0.9, 1.2))])
def test_sound_is_kept_within_the_spans_and_nowhere_else(noisy, tmp_path, spans):
    assert write_original(noisy, 0.2, 1.6, tmp_path / "all.flac")
    assert write_original(noisy, 0.2, 1.6, tmp_path / "some.flac", spans)
    whole, kept = (
        reading.read_audio(tmp_path / name, rate=48_000, aligned=False).samples
        for name in ("all.flac", "some.flac")
    )
    assert len(whole) == len(kept)
    time = np.arange(len(whole)) / 48_000
    inside = np.zeros(len(time), bool)
    ends = np.zeros(len(time), bool)
    for start, end in spans:
        inside |= (time >= start) & (time < end)
        ends |= (np.abs(time - start) < 0.0101) | (np.abs(time - end) < 0.0101)
    assert np.abs(kept - whole)[inside & ~ends].max() < 1e-4  # rounding to 16 bits
    assert not kept[~inside].any()
    assert (np.abs(kept) <= np.abs(whole) + 1e-4).all()


@pytest.mark.parametrize("apart", [False, True])
def test_clips_are_silent_outside_of_the_spans(noisy, tmp_path, apart, monkeypatch):
    if apart:
        real = cutting._seeks
        monkeypatch.setattr(cutting, "_seeks", lambda *a: [way for way in real(*a) if way.apart])
    spans = ((0.2, 0.5), (0.8, 0.9))
    piece = Piece(0.4, 1.6, audible=spans)
    cut(noisy, piece, tmp_path / "a.mp4", QUICK)
    made = samples(tmp_path / "a.mp4")
    time = np.arange(len(made)) / 48_000
    near = 0.05  # AAC spreads sound over its frames
    for start, end in ((0.0, 0.2), (0.5, 0.8), (0.9, 1.2)):
        assert np.abs(made[(time >= start + near) & (time < end - near)]).max() < 1e-3
    for start, end in spans:
        assert np.abs(made[(time >= start + near / 2) & (time < end - near / 2)]).std() > 0.05
    cut(noisy, piece, tmp_path / "b.mp4", QUICK)
    assert sha256_file(tmp_path / "a.mp4") == sha256_file(tmp_path / "b.mp4")


def test_without_any_span_all_is_silent_and_the_pictures_stay(noisy, tmp_path):
    cut(noisy, Piece(0.4, 1.6, audible=()), tmp_path / "a.mp4", QUICK)
    facts = cut(noisy, Piece(0.4, 1.6), tmp_path / "b.mp4", QUICK)
    assert reading.probe(tmp_path / "a.mp4").n_frames == facts.n_frames
    with pytest.raises(DigitalSilenceError):
        reading.read_audio(tmp_path / "a.mp4")


def test_a_clip_without_sound_stays_without(media, tmp_path):
    facts = cut(
        media("no_audio"), Piece(0.0, 1.0, audible=((0.1, 0.2),)), tmp_path / "c.mp4", QUICK
    )
    assert facts.audio_codec is None


def test_many_spans_are_a_shallow_expression(noisy, tmp_path):
    spans = [(i / 1000, i / 1000 + 0.0005) for i in range(1000)]
    written = audible_filter(spans)
    depth = most = 0
    for character in written:
        depth += {"(": 1, ")": -1}.get(character, 0)
        most = max(most, depth)
    assert most < 20
    assert write_original(noisy, 0.0, 1.0, tmp_path / "a.flac", spans[::10])
