"""Voice activity: Silero's rule on probabilities by hand, and speech where speech is."""

from __future__ import annotations

import json

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.features.vad import CHUNK, Vad, VadThresholds, speech_segments
from theval_datasets.media import read_audio


def segments(probabilities, **rule):
    p = np.array(probabilities, dtype=np.float32)
    return (speech_segments(p, len(p) * CHUNK, VadThresholds(pad=0.0, **rule)) / CHUNK).tolist()


def test_the_rule_by_hand():
    quiet, loud, between = [0.1] * 10, [0.9] * 10, [0.4]
    assert segments(quiet) == []
    assert segments(quiet + loud + quiet) == [[10, 20]]
    # Between the two thresholds speech neither begins nor ends.
    assert segments(quiet + loud + between * 5 + loud + quiet) == [[10, 35]]
    assert segments(between * 30) == []
    # A gap shorter than 100 ms (four chunks begin within it) is bridged.
    assert segments(quiet + loud + [0.1] * 3 + loud + quiet) == [[10, 33]]
    assert segments(quiet + loud + [0.1] * 6 + loud + quiet) == [[10, 20], [26, 36]]
    # 250 ms are 7.8 chunks.
    assert segments(quiet + [0.9] * 7 + quiet) == []
    assert segments(quiet + [0.9] * 8 + quiet) == [[10, 18]]
    # Speech at the end lasts to the end.
    assert segments(quiet + loud) == [[10, 20]]


def test_padding_never_overlaps_or_leaves_the_audio():
    p = np.array([0.9] * 10 + [0.1] * 5 + [0.9] * 10, dtype=np.float32)
    wide = speech_segments(p, len(p) * CHUNK, VadThresholds(pad=1.0))
    assert wide[0, 0] == 0
    assert wide[-1, 1] == len(p) * CHUNK
    assert wide[0, 1] <= wide[1, 0]


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(Vad(), talking, other, faceless, tmp_path, monkeypatch).values
    assert 0.3 < float(values["speech_ratio"]) < 1.0
    assert len(values["segments"])
    assert float(values["end"]) == pytest.approx(read_audio(talking).end)


def test_reasons(media, tmp_path):
    features = contract.run(Vad(), [media("no_audio"), media("silent")], tmp_path)
    assert [f.outcome.reason for f in features] == ["no-audio", "digital-silence"]


def test_late_audio_shifts_the_segments(talking, tmp_path):
    import ffmpeg

    from theval_datasets.media import ffmpeg_binary

    late = tmp_path / "late.mp4"
    video, audio = ffmpeg.input(str(talking)), ffmpeg.input(str(talking), itsoffset=0.5)
    ffmpeg.output(video["v"], audio["a"], str(late), c="copy").run(cmd=ffmpeg_binary(), quiet=True)
    before, after = contract.run(Vad(), [talking, late], tmp_path / "cache")
    assert after.values["segments"] - before.values["segments"] == pytest.approx(0.5, abs=0.07)
    assert float(after.values["start"]) == pytest.approx(0.5, abs=0.07)


@pytest.mark.real
def test_segments_are_those_the_published_code_saw(shared_data, tmp_path):
    """To 0.1 s on most clips; its audio comes from another decoder and resampler."""
    golden = json.loads((shared_data / "golden" / "theval_release.json").read_text())["clips"]
    same = total = 0
    for clip in golden.values():
        path = shared_data / "media" / clip["path"]
        (feature,) = contract.run(Vad(), [path], tmp_path / path.stem)
        if feature.outcome.status != "ok":
            continue
        ours = np.round(feature.values["segments"], 1)
        theirs = np.array(clip["speech_seconds_for_silent_lip"]).reshape(-1, 2)
        total += 1
        same += ours.shape == theirs.shape and bool(np.allclose(ours, theirs, atol=0.101))
    assert total >= 20
    assert same >= 0.75 * total
