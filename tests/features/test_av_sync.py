"""Lip sync by SyncNet: the formula, the network at random weights, and what the extractor hands it."""

from __future__ import annotations

import numpy as np
import pytest
from extractor_contract import run
from fake_faces import SIZE, Scene, watch

from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.errors import AbsentError, InputError, WeightsMissingError
from theval_datasets.extraction.weights import known
from theval_datasets.features.av_sync import AvSync
from theval_datasets.features.faces import Faces
from theval_datasets.features.formulas.lip_sync import LipSync, lip_sync, mean_distances
from theval_datasets.features.formulas.mfcc import mfcc
from theval_datasets.features.networks import syncnet
from theval_datasets.features.people.face_crops import FPS, face_path
from theval_datasets.features.people.tracks import stretches
from theval_datasets.media.frames import SAMPLE_RATE, Audio, Frames

LEFT, RIGHT = (20, 50, 60), (220, 50, 60)


# The formula.


def by_hand(faces, sounds, shift):
    """Window by window, as the authors' program goes about it, in plain Python."""
    rows = []
    for i in range(len(faces)):
        row = []
        for j in range(i - shift, i + shift + 1):
            sound = sounds[j] if 0 <= j < len(sounds) else [0.0] * len(faces[i])
            pairs = zip(faces[i], sound, strict=True)
            row.append(sum((a - b + 1e-6) ** 2 for a, b in pairs) ** 0.5)
        rows.append(row)
    return [sum(row[k] for row in rows) / len(rows) for k in range(2 * shift + 1)]


def test_the_distances_are_those_worked_by_hand():
    rng = np.random.default_rng(0)
    faces, sounds = rng.normal(size=(2, 7, 3)).astype(np.float32)
    expected = by_hand(faces.tolist(), sounds.tolist(), 2)
    assert mean_distances(faces, sounds, 2) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ahead", [-15, -3, 0, 1, 15])
def test_a_sound_ahead_of_its_picture_has_an_offset_above_0(ahead):
    everything = np.random.default_rng(1).normal(size=(90, 16)).astype(np.float32)
    faces, sounds = everything[20:70], everything[20 + ahead : 70 + ahead]
    result = lip_sync(mean_distances(faces, sounds))
    assert result.offset == ahead
    assert result.confidence > 2
    assert result.distance < 1.5


def test_the_confidence_is_the_median_less_the_smallest():
    assert lip_sync(np.array([5.0, 9.0, 4.0, 1.0, 8.0])) == LipSync(-1, 4.0, 1.0)
    assert lip_sync(np.full(31, 7.0)).confidence == 0


# The network.


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """SyncNet's file with random numbers."""
    torch = pytest.importorskip("torch", reason="the extra [sync] is not installed")
    torch.manual_seed(0)
    net = syncnet.network()
    state = net.state_dict()
    for name, tensor in state.items():
        if name.endswith(("running_mean", "running_var")):
            state[name] = torch.rand_like(tensor) * 0.1 + 0.9 * name.endswith("var")
    file = tmp_path_factory.mktemp("models") / known(syncnet.WEIGHTS).path
    file.parent.mkdir()
    torch.save({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, file)
    return file


def test_the_layers_are_those_of_the_published_file():
    pytest.importorskip("torch", reason="the extra [sync] is not installed")
    shapes = {name: tuple(tensor.shape) for name, tensor in syncnet.network().state_dict().items()}
    kernels = {name: shape for name, shape in shapes.items() if len(shape) > 1}
    assert kernels == {
        "netcnnaud.0.weight": (64, 1, 3, 3), "netcnnaud.4.weight": (192, 64, 3, 3),
        "netcnnaud.8.weight": (384, 192, 3, 3), "netcnnaud.11.weight": (256, 384, 3, 3),
        "netcnnaud.14.weight": (256, 256, 3, 3), "netcnnaud.18.weight": (512, 256, 5, 4),
        "netfcaud.0.weight": (512, 512), "netfcaud.3.weight": (1024, 512),
        "netcnnlip.0.weight": (96, 3, 5, 7, 7), "netcnnlip.4.weight": (256, 96, 1, 5, 5),
        "netcnnlip.8.weight": (256, 256, 1, 3, 3), "netcnnlip.11.weight": (256, 256, 1, 3, 3),
        "netcnnlip.14.weight": (256, 256, 1, 3, 3), "netcnnlip.18.weight": (512, 256, 1, 6, 6),
        "netfclip.0.weight": (512, 512), "netfclip.3.weight": (1024, 512),
    }  # fmt: skip
    # 54,573,114 bytes are published: 4 for each number, and less than 2 % of names.
    numbers = sum(int(np.prod(shape)) for shape in shapes.values())
    assert 4 * numbers < known(syncnet.WEIGHTS).n_bytes < 4.08 * numbers


def convolved(x, state, name, padding):
    """Convolution, normalisation and rectification of (channels, height, width), in numpy."""
    kernel = state[f"{name}.weight"].numpy().astype(np.float64)
    part, number = name.split(".")
    norm = {
        key: state[f"{part}.{int(number) + 1}.{key}"].numpy().astype(np.float64)[:, None, None]
        for key in ("weight", "bias", "running_mean", "running_var")
    }
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    seen = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(1, 2))
    out = np.einsum("chwij,ocij->ohw", seen, kernel, optimize=True)
    out += state[f"{name}.bias"].numpy().astype(np.float64)[:, None, None]
    out = (out - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
    return np.maximum(0, out * norm["weight"] + norm["bias"])


def pooled(x, stride):
    seen = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return seen[:, :: stride[0], :: stride[1]].max(axis=(3, 4))


def test_the_embedding_of_a_sound_is_the_one_worked_by_hand(weights):
    import torch

    state = torch.load(weights, weights_only=True)
    sound = np.random.default_rng(2).normal(size=(28, 13)).astype(np.float32) * 10
    made = syncnet.SyncNet(weights).embed_sounds(sound)
    assert made.shape == (3, 1024)
    x = sound[4:24].T[None]
    x = convolved(x, state, "netcnnaud.0", 1)
    x = pooled(convolved(x, state, "netcnnaud.4", 1), (1, 2))
    for number in (8, 11):
        x = convolved(x, state, f"netcnnaud.{number}", 1)
    x = pooled(convolved(x, state, "netcnnaud.14", 1), (2, 2))
    x = convolved(x, state, "netcnnaud.18", 0)[:, 0, 0]
    first, last = (
        (state[f"netfcaud.{n}.weight"].numpy(), state[f"netfcaud.{n}.bias"].numpy()) for n in (0, 3)
    )
    x = first[0] @ x + first[1]
    x = (x - state["netfcaud.1.running_mean"].numpy()) / np.sqrt(
        state["netfcaud.1.running_var"].numpy() + 1e-5
    )
    x = np.maximum(0, x * state["netfcaud.1.weight"].numpy() + state["netfcaud.1.bias"].numpy())
    assert made[1] == pytest.approx(last[0] @ x + last[1], rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_faces_in_one_pass_are_those_of_single_windows(weights):
    import torch
    from torch.nn import functional

    crops = np.random.default_rng(3).integers(0, 255, (7, 224, 224, 3), dtype=np.uint8)
    made = syncnet.SyncNet(weights).embed_faces(list(crops))
    state = torch.load(weights, weights_only=True)

    def layer(x, number, **options):
        name, norm = f"netcnnlip.{number}", f"netcnnlip.{number + 1}"
        x = functional.conv3d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)
        numbers = (
            state[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.relu(functional.batch_norm(x, *numbers))

    single = []
    for i in range(3):
        x = torch.from_numpy(crops[i : i + 5]).float().permute(3, 0, 1, 2)[None]
        x = functional.max_pool3d(layer(x, 0, stride=(1, 2, 2)), (1, 3, 3), (1, 2, 2))
        x = layer(x, 4, stride=(1, 2, 2), padding=(0, 1, 1))
        x = functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for number in (8, 11, 14):
            x = layer(x, number, padding=(0, 1, 1))
        x = layer(functional.max_pool3d(x, (1, 3, 3), (1, 2, 2)), 18).flatten(1)
        x = functional.linear(x, state["netfclip.0.weight"], state["netfclip.0.bias"])
        norm = (
            state[f"netfclip.1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = functional.relu(functional.batch_norm(x, *norm))
        single.append(functional.linear(x, state["netfclip.3.weight"], state["netfclip.3.bias"]))
    assert made == pytest.approx(torch.cat(single).numpy(), rel=1e-3, abs=1e-4)


def test_a_file_of_another_network_is_refused(tmp_path):
    torch = pytest.importorskip("torch", reason="the extra [sync] is not installed")
    torch.save({"netcnnaud.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "other.model")
    with pytest.raises(WeightsMissingError, match=r"other\.model is not the state of SyncNet"):
        syncnet.SyncNet(tmp_path / "other.model")


def test_without_weights_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(syncnet, "require", lambda *_, **__: None)
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not AvSync().has_weights()
    with pytest.raises(WeightsMissingError, match="models fetch syncnet"):
        AvSync().weights_id()


# Crops.


def test_a_crop_is_one_and_four_tenths_of_the_box_from_its_top():
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[100:240, 130:270] = 200
    path = face_path(np.array([0.0]), np.array([[150, 100, 250, 200]], np.float32), 0, 5)
    assert (path.cut(frame, 2) == 200).all()
    frame[99], frame[:, 129], frame[240], frame[:, 270] = 0, 0, 0, 0
    assert (path.cut(frame, 2) == 200).all()


def test_outside_the_frame_a_crop_is_grey():
    path = face_path(np.array([0.0]), np.array([[-50, -60, 50, 40]], np.float32), 0, 1)
    crop = path.cut(np.full((300, 300, 3), 255, np.uint8), 0)
    assert (crop[:80] == 110).all()
    assert (crop[:, :100] == 110).all()
    assert (crop[110:, 130:] == 255).all()


def test_a_jump_of_a_single_sighting_is_smoothed():
    times = np.arange(11) / 5
    boxes = np.tile(np.array([[100, 100, 200, 200]], np.float32), (11, 1))
    boxes[5] += 60
    path = face_path(times, boxes, 0, 51)
    assert np.abs(path.centres - 150).max() < 30
    assert face_path(times[:1], boxes[:1], 7, 9).last == 9


def test_a_gap_of_more_than_a_second_divides_a_track():
    assert stretches(np.array([0.0, 1.0, 2.0])) == [(0, 3)]
    assert stretches(np.array([0.0, 1.0, 2.1])) == [(0, 2), (2, 3)]


# The extractor, with a network that says what it sees.


class Readings:
    """Embeds the level of a face and, of a sound, the step at which a window begins."""

    def __init__(self):
        self.faces = []
        self.sounds = []

    def embed_faces(self, crops):
        levels = np.array([crop[20:60, 100:124].mean() for crop in crops])
        self.faces.append(levels)
        return np.repeat(levels[:-4, None], 4, axis=1).astype(np.float32)

    def embed_sounds(self, coefficients):
        self.sounds.append(coefficients)
        count = (len(coefficients) - 20) // 4 + 1
        return np.repeat(coefficients[: 4 * count : 4, :1], 4, axis=1).astype(np.float32)


class Clip:
    size = SIZE

    def __init__(self, faces, seconds, start=0.0):
        self._faces = faces
        noise = np.random.default_rng(4).uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE))
        self._audio = Audio(noise.astype(np.float32), start)

    def feature(self, extractor):
        assert extractor == Faces()
        return self._faces

    def audio(self):
        return self._audio


def frames(rate, seconds, level):
    """Frames at a constant rate, grey by `level(time)`."""
    times = np.arange(round(rate * seconds)) / rate
    pixels = [np.full((SIZE[1], SIZE[0], 3), level(time), np.uint8) for time in times]
    return Frames(pixels, times, np.arange(len(times)))


def measured(scene, *, rate=25, seconds=4.0, audio=4.0, start=0.0, batch=7, model=None, **options):
    faces = watch(Faces(), scene)
    clip = Clip(faces, audio, start)
    accumulator = AvSync(**{"min_seconds": 1.0} | options).open(clip, model or Readings())
    everything = frames(rate, seconds, lambda time: 20 * time)
    for i in range(0, len(everything), batch):
        part = slice(i, i + batch)
        accumulator.update(
            Frames(everything.pixels[part], everything.times[part], everything.indices[part])
        )
    return accumulator.finish()


@pytest.mark.parametrize("rate", [12.5, 25, 30, 50])
def test_crops_are_those_of_the_nearest_frames_25_times_a_second(rate):
    model = Readings()
    values, missing = measured(Scene([{0: LEFT}] * 20), rate=rate, model=model)
    assert not missing
    assert (values["start"][0], values["end"][0]) == (0.0, pytest.approx(3.84))
    levels = np.concatenate([model.faces[0], *(part[4:] for part in model.faces[1:])])
    assert len(levels) == 96
    wanted = np.arange(96) / FPS
    shown = np.arange(round(rate * 4)) / rate
    nearest = np.abs(shown[None] - wanted[:, None]).min(axis=1)
    assert np.abs(levels / 20 - wanted).max() <= nearest.max() + 0.06  # whole grey levels


def test_every_stretch_has_its_own_sound():
    seen = [{0: LEFT}] * 10 + [{}] * 8 + [{0: LEFT, 1: RIGHT}] * 10
    model = Readings()
    values, _ = measured(Scene(seen, moving=(0, 1)), seconds=5.6, audio=5.6, model=model)
    assert values["track"].tolist() == [0, 0, 1]
    assert values["start"].tolist() == pytest.approx([0.0, 3.6, 3.6])
    assert values["end"].tolist() == pytest.approx([1.84, 5.44, 5.44])
    noise = np.random.default_rng(4).uniform(-0.5, 0.5, round(5.6 * SAMPLE_RATE)).astype(np.float32)
    heard = noise[round(3.6 * SAMPLE_RATE) : round(5.44 * SAMPLE_RATE)]
    # but for the first row, before which there is sound, and without a crop's rows at the end
    assert len(model.sounds[1]) == (46 - 1) * 4
    assert model.sounds[1][1:] == pytest.approx(mfcc(heard)[1:180], abs=1e-3)
    best = int(np.argmax(values["confidence"]))
    for item, all_of_them in {
        "lse_c": "confidence",
        "lse_d": "distance",
        "av_offset": "offset",
    }.items():
        assert values[item] == values[all_of_them][best]


def test_a_stretch_ends_where_the_sound_does():
    values, _ = measured(Scene([{0: LEFT}] * 20), audio=2.0, start=0.5)
    assert (values["start"][0], values["end"][0]) == (pytest.approx(0.52), pytest.approx(2.48))


def test_long_stretches_are_divided_equally():
    values, _ = measured(Scene([{0: LEFT}] * 20), max_seconds=1.5)
    assert values["start"].tolist() == pytest.approx([0.0, 1.28, 2.56])
    assert values["end"].tolist() == pytest.approx([1.28, 2.56, 3.84])


def test_batches_change_nothing():
    scene = Scene([{0: LEFT}] * 20)
    first, other = (measured(scene, batch=batch)[0] for batch in (1, 50))
    assert all(np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(("enough", "ok"), [(3.84, True), (3.88, False)])
def test_a_face_has_to_be_seen_for_long_enough(enough, ok):
    scene = Scene([{0: LEFT}] * 20)
    if ok:
        assert len(measured(scene, min_seconds=enough)[0]["track"]) == 1
    else:
        with pytest.raises(AbsentError, match=r"for 3\.88 s at a time") as absent:
            measured(scene, min_seconds=enough)
        assert absent.value.reason == "short-track"


def test_what_it_refuses():
    assert AvSync().min_seconds * FPS == 100
    for options in ({"min_seconds": 0.2}, {"min_seconds": 5, "max_seconds": 4}):
        with pytest.raises(InputError, match="min_seconds <= max_seconds"):
            AvSync(**options)


@pytest.mark.slow
def test_a_clip_through_the_network(weights, talking, media, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(weights.parents[1]))
    extractor = AvSync(min_seconds=0.5)
    short = tmp_path / "short.mp4"
    cut(talking, Piece(0.0, 1.2), short, Encoding(preset="ultrafast"))
    first, silent = run(extractor, [short, media("no_audio")], tmp_path / "a")
    assert first.outcome.status == "ok", first.outcome
    assert set(first.values) == {column.name for column in extractor.writes}
    assert np.isfinite(first.values["curve"]).all()
    assert first.values["lse_d"] > 0
    assert silent.outcome.status == "empty"
