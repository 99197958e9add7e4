"""The five signal metrics against slow, separate implementations, and every edge that they have."""

from __future__ import annotations

import itertools
import statistics

import extractor_contract as contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theval_datasets.errors import AbsentError
from theval_datasets.extraction import mesh as _mesh
from theval_datasets.features.formulas import signals as _signals
from theval_datasets.features.head_pose import HeadPose
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.loudness import Loudness
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.features.vad import Vad

N = 12
METRICS = (
    "lip_dynamics",
    "head_motion",
    "eyebrow_dynamics",
    "silent_lip_stability",
    "lip_sync",
)


def meshes(seed=0, n=N):
    rng = np.random.default_rng(seed)
    shape = rng.uniform(0.3, 0.7, (1, 478, 3))
    return _mesh.quantise(shape + rng.normal(0, 0.01, (n, 478, 3)))


def points(seed=0, n=N):
    return _mesh.pixels(meshes(seed, n), 640, 480)


def centroid(frame, indices):
    return [statistics.fmean(frame[i][axis] for i in indices) for axis in (0, 1)]


def between_eyes(frame):
    left, right = centroid(frame, _mesh.LEFT_EYE), centroid(frame, _mesh.RIGHT_EYE)
    return ((left[0] - right[0]) ** 2 + (left[1] - right[1]) ** 2) ** 0.5


def test_lip_dynamics_pair_by_pair():
    mesh = meshes()
    spreads = []
    for a, b in itertools.combinations(_mesh.LIPS, 2):
        distances = [
            float(np.hypot(*((frame[a, :2] - frame[b, :2]).astype(float) / 16384 * 256)))
            for frame in mesh
        ]
        spreads.append(statistics.stdev(distances))
    assert len(spreads) == 780
    assert _signals.lip_dynamics(mesh) == pytest.approx(statistics.fmean(spreads), rel=1e-12)


def test_head_motion_term_by_term():
    rng = np.random.default_rng(2)
    angles = rng.normal(0, 5, (N, 3))
    frames = np.array([0, 1, 2, 5, 6, 7, 8, 9, 10, 13, 14, 15])
    spread = statistics.fmean(statistics.stdev(column) for column in angles.T)
    steps = [angles[i] - angles[i - 1] for i in range(1, N) if frames[i] - frames[i - 1] == 1]
    speed = statistics.fmean(statistics.variance(column) for column in np.array(steps).T)
    centres = [
        [(min(p[axis] for p in f[:468]) + max(p[axis] for p in f[:468])) / 2 for axis in (0, 1)]
        for f in points()
    ]
    drift = statistics.fmean(statistics.variance(column) for column in np.array(centres).T)
    expected = (spread * speed + drift) ** 0.5
    assert len(steps) == 9
    assert _signals.head_motion(points(), angles, frames) == pytest.approx(expected, rel=1e-12)
    expected = (spread * speed + drift / 7**2) ** 0.5
    assert _signals.head_motion(points(), angles, frames, 7.0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("factor", [0.5, 3])
def test_the_scale_invariant_head_motion_is_the_same_in_frames_of_any_size(factor):
    clip = Clip()
    here, _ = ThevalSignals().compute(clip, None)
    landmarks = clip.found[Landmarks]
    scaled = {k: np.array(float(landmarks[k]) * factor) for k in ("width", "height")}
    clip.found[Landmarks] = landmarks | scaled
    there, _ = ThevalSignals().compute(clip, None)
    name = "head_motion_scale_invariant"
    assert there[name] == pytest.approx(float(here[name]), rel=1e-12)
    # The literal one is not.
    assert abs(there["head_motion"] / here["head_motion"] - 1) > 0.02


def test_eyebrow_dynamics_frame_by_frame():
    relative = []
    for frame in points():
        sides = [
            abs(centroid(frame, brow)[1] - centroid(frame, eye)[1])
            for brow, eye in (
                (_mesh.LEFT_BROW, _mesh.LEFT_EYE),
                (_mesh.RIGHT_BROW, _mesh.RIGHT_EYE),
            )
        ]
        relative.append(statistics.fmean(sides) / between_eyes(frame))
    expected = statistics.stdev(relative)
    assert _signals.eyebrow_dynamics(points()) == pytest.approx(expected, rel=1e-12)


def test_silent_lip_stability_frame_by_frame():
    silent = np.arange(N) % 3 != 0
    openings = [
        statistics.fmean(
            abs(frame[u][1] - frame[d][1])
            for u, d in zip(_mesh.UPPER_INNER_LIP, _mesh.LOWER_INNER_LIP, strict=True)
        )
        / between_eyes(frame)
        for frame in points()[silent]
    ]
    middle = statistics.median(openings)
    expected = statistics.median(abs(o - middle) for o in openings)
    assert _signals.silent_lip_stability(points(), silent) == pytest.approx(expected, rel=1e-12)


def test_lip_sync_by_hand():
    openness = np.array([0.1, 0.3, 0.2, 0.5])
    loudness = np.array([0.0, 0.2, 0.1, 0.1])
    # 0, .5, .25, 1 against 0, 1, .5, .5
    assert _signals.lip_sync(openness, loudness) == pytest.approx((0 + 0.5 + 0.25 + 0.5) / 4)
    assert _signals.lip_sync(openness, openness * 3 + 1) == pytest.approx(0.0, abs=1e-12)


def test_openness_is_the_gap_of_the_mean_lips():
    frame = points()[:1]
    upper = statistics.fmean(frame[0][i][1] for i in _mesh.UPPER_INNER_LIP)
    lower = statistics.fmean(frame[0][i][1] for i in _mesh.LOWER_INNER_LIP)
    expected = abs(upper - lower) / between_eyes(frame[0])
    assert _signals.mouth_openness(frame)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: _signals.lip_dynamics(meshes()[:1]), "too-few-frames"),
        (lambda: _signals.eyebrow_dynamics(points()[:1]), "too-few-frames"),
        (
            lambda: _signals.head_motion(points()[:2], np.zeros((2, 3)), np.arange(2)),
            "too-few-frames",
        ),
        (
            lambda: _signals.head_motion(points(), np.zeros((N, 3)), np.arange(N) * 2),
            "too-few-frames",
        ),
        (lambda: _signals.silent_lip_stability(points(), np.zeros(N, bool)), "no-silence"),
        (lambda: _signals.silent_lip_stability(points(), np.arange(N) == 3), "too-few-frames"),
        (lambda: _signals.lip_sync(np.ones(4), np.arange(4.0)), "constant"),
        (lambda: _signals.lip_sync(np.arange(4.0), np.ones(4)), "constant"),
        (lambda: _signals.lip_sync(np.ones(1), np.ones(1)), "too-few-frames"),
    ],
)
def test_what_is_undefined_has_a_reason(call, reason):
    with pytest.raises(AbsentError) as caught:
        call()
    assert caught.value.reason == reason


def test_flags_of_frames():
    times = np.array([0.0, 0.5, 1.0, 1.49, 1.5, 1.7, 2.0, 2.25, 2.5, 3.0])
    segments = np.array([[1.0, 1.5], [1.7, 2.0], [2.25, 2.5]])
    speech, silence = _signals.speech_flags(times, segments, 0.5, 2.9)
    assert speech.tolist() == [-1, 0, 1, 1, 0, 1, 0, 1, 0, -1]
    # 0.5 to 1.0 and 2.5 to 2.9 are long enough; 1.5 to 1.7 and 2.0 to 2.25 are not.
    assert silence.tolist() == [-1, 1, 0, 0, 0, 0, 0, 0, 1, -1]
    nothing, quiet = _signals.speech_flags(times, np.zeros((0, 2)), 0.0, 4.0)
    assert not nothing.any()
    assert quiet.all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=0, max_size=8), st.floats(0, 1), st.floats(5, 11))
def test_speech_and_silence_never_overlap(cuts, start, end):
    edges = np.unique(np.clip(np.array(cuts, dtype=float), start, end))
    segments = edges[: len(edges) // 2 * 2].reshape(-1, 2)
    times = np.linspace(0, 12, 200)
    speech, silence = _signals.speech_flags(times, segments, start, end)
    assert ((speech == -1) == (silence == -1)).all()
    assert not ((speech == 1) & (silence == 1)).any()
    for time, flag in zip(times, speech, strict=True):
        inside = any(a <= time < b for a, b in segments)
        assert flag == (-1 if not start <= time < end else int(inside))


class Clip:
    """Features without a clip."""

    def __init__(self):
        n = 50
        time = np.arange(n) / 25
        face = np.ones(n, dtype=bool)
        rng = np.random.default_rng(0)
        self.found = {
            Landmarks: {
                "time": time,
                "face": face,
                "mesh": meshes(n=n),
                "width": np.array(640),
                "height": np.array(480),
            },
            HeadPose: {k: rng.normal(0, 3, n).astype("f4") for k in ("pitch", "yaw", "roll")},
            Vad: {
                "segments": np.array([[0.5, 1.0]]),
                "start": np.array(0.0),
                "end": np.array(2.0),
            },
            Loudness: {"heard": np.ones(n, bool), "rms": rng.uniform(0, 1, n).astype("f4")},
        }

    def feature(self, extractor):
        result = self.found[type(extractor)]
        if isinstance(result, str):
            raise AbsentError(result)
        return result


def absent(found=()):
    clip = Clip()
    clip.found |= dict(found)
    return ThevalSignals().compute(clip, None)


def test_everything_there_is_everything_defined():
    values, missing = absent()
    assert not missing
    assert set(METRICS) <= set(values)


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({Vad: "no-audio", Loudness: "no-audio"}, dict.fromkeys(METRICS[3:], "no-audio")),
        (
            {Vad: "digital-silence", Loudness: "digital-silence"},
            dict.fromkeys(METRICS[3:], "digital-silence"),
        ),
        (
            {HeadPose: "weights-missing"},
            dict.fromkeys(("head_motion", "head_motion_scale_invariant"), "weights-missing"),
        ),
        (
            {Vad: {"segments": np.zeros((0, 2)), "start": np.array(0.0), "end": np.array(2.0)}},
            {"lip_sync": "no-speech"},
        ),
        (
            {
                Vad: {
                    "segments": np.array([[0.0, 2.0]]),
                    "start": np.array(0.0),
                    "end": np.array(2.0),
                }
            },
            {"silent_lip_stability": "no-silence"},
        ),
    ],
)
def test_what_is_absent_leaves_the_rest(found, missing):
    values, reasons = absent(found=found)
    assert reasons == missing
    assert set(values) >= set(METRICS) - set(missing)
    assert not set(values) & set(missing)


def test_no_face_leaves_nothing():
    with pytest.raises(AbsentError) as caught:
        absent(found={Landmarks: "no-face"})
    assert caught.value.reason == "no-face"


def test_frames_without_a_face_are_left_out():
    clip = Clip()
    whole = ThevalSignals().compute(clip, None)[0]
    face = np.ones(50, dtype=bool)
    face[10:20] = False
    lost = clip.found[Landmarks] | {"face": face, "mesh": clip.found[Landmarks]["mesh"][face]}
    pose = {k: v[face] for k, v in clip.found[HeadPose].items()}
    clip.found |= {Landmarks: lost, HeadPose: pose}
    values, missing = ThevalSignals().compute(clip, None)
    assert not missing
    assert values["lip_dynamics"] == _signals.lip_dynamics(lost["mesh"])
    assert values["lip_dynamics"] != whole["lip_dynamics"]
    assert len(values["openness"]) == 40
    assert len(values["speech"]) == 50


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    feature = contract.check(ThevalSignals(), talking, other, faceless, tmp_path, monkeypatch)
    for name in METRICS:
        if name not in feature.outcome.missing:
            assert np.isfinite(feature.values[name])


def test_a_mouth_that_follows_the_voice_is_in_sync(sample, tmp_path):
    from theval_datasets.extraction.cache import Cache, spec_of
    from theval_datasets.media import decoder_version
    from theval_datasets.utils.files import sha256_file

    names = [n for n in sorted(sample) if n.startswith(("clear", "frozen", "still"))]
    features = contract.run(ThevalSignals(), [sample[n] for n in names], tmp_path)
    assert {f.outcome.status for f in features} <= {"ok", "empty"}
    clear = sample["clear-en"]
    cache = Cache(tmp_path)
    loud = cache.read(spec_of(Loudness(), decoder_version()), sha256_file(clear))
    assert loud is not None
    openness = features[0].values["openness"]
    n = min(len(openness), len(loud.values["rms"]))
    assert np.corrcoef(openness[:n], loud.values["rms"][:n])[0, 1] > 0.4


def test_values_do_not_depend_on_how_many_frames_are_converted_at_once(monkeypatch):
    """Long clips are measured some frames at a time, to the same bits."""
    from theval_datasets.extraction import mesh as module

    random = np.random.default_rng(7)
    stored = random.integers(-9000, 9000, (37, 478, 3)).astype(np.int16)
    whole = module.pixels(stored, 640, 360)
    lazy = module.PixelMesh(stored, 640, 360)
    silent = random.random(37) < 0.5
    angles = random.normal(size=(37, 3))

    def all_values(points):
        return [
            _signals.eyebrow_dynamics(points),
            _signals.silent_lip_stability(points, silent),
            _signals.mouth_openness(points).tolist(),
            _signals.head_motion(points, angles, np.arange(37)),
            module.face_width(points),
        ]

    expected = all_values(whole)
    for chunk in (1, 5, 36, 37, 38, 512):
        monkeypatch.setattr(module, "_CHUNK", chunk)
        assert all_values(lazy) == expected
    assert len(lazy) == 37
    assert _signals.mouth_openness(module.PixelMesh(stored[:0], 640, 360)).shape == (0,)
