"""Drawn people: a MobileNetV2 in numpy, read from scripts that are not run, and its place among the extractors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import extractor_contract as contract
import numpy as np
import pytest
import tiny_mobilenet as tiny
from fake_faces import Clip, Scene, watch

from theval_datasets.curation.filters.base import Features
from theval_datasets.curation.filters.not_drawn import NotDrawn
from theval_datasets.errors import AbsentError, WeightsMissingError
from theval_datasets.extraction.cache import spec_of
from theval_datasets.extraction.weights import find, known
from theval_datasets.features.drawn import WEIGHTS, Drawn
from theval_datasets.features.faces import Faces
from theval_datasets.features.networks.mobilenet import CLASSES, MobileNet
from theval_datasets.features.networks.tfjs_files import read_tensors
from theval_datasets.features.people.portraits import SAMPLES

LEFT, RIGHT = (60, 60, 60), (220, 60, 40)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of weights with a narrow network in it, and no other."""
    models = tmp_path / "models"
    tiny.write(models)
    monkeypatch.setenv("THEVAL_MODELS", str(models))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return models


def network(models):
    return MobileNet(models / tiny.LAYERS, models / tiny.VALUES)


def pictures():
    rng = np.random.default_rng(4)
    gradient = np.linspace(0, 255, 90 * 120 * 3).reshape(90, 120, 3).astype(np.uint8)
    return [
        rng.integers(0, 256, (300, 200, 3), np.uint8),
        gradient,
        np.full((1, 1, 3), 255, np.uint8),
        np.zeros((224, 224, 3), np.uint8),
    ]


# The network.


@pytest.mark.parametrize("seed", [0, 3])
def test_probabilities_are_those_of_the_layers_one_after_the_other(tmp_path, seed):
    tensors = tiny.random_tensors(seed)
    tiny.write(tmp_path, tensors)
    found = network(tmp_path).probabilities(pictures())
    expected = np.array([tiny.reference(tensors, picture) for picture in pictures()])
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found, axis=0).max() > (0.05 if seed == 0 else 1e-4)


def test_every_layer_counts(tmp_path):
    """A network with one tensor changed gives other values, so that none is left out."""
    tensors = tiny.random_tensors()
    picture = pictures()[:1]
    tiny.write(tmp_path, tensors)
    before = network(tmp_path).probabilities(picture)
    for name in ("Conv1/kernel", "expanded_conv_project_BN/beta", "block_16_expand_BN/moving_mean",
                 "block_9_depthwise/depthwise_kernel", "block_13_depthwise_BN/moving_variance",
                 "Conv_1_bn/gamma", "dense_2/bias"):  # fmt: skip
        content, low, scale = tensors[name]
        tiny.write(tmp_path, tensors | {name: (255 - content, low, scale)})
        assert not np.array_equal(network(tmp_path).probabilities(picture), before), name


def test_a_picture_has_the_same_values_whatever_is_beside_it(models):
    net = network(models)
    together = net.probabilities(pictures())
    for picture, values in zip(pictures(), together, strict=True):
        assert np.array_equal(net.probabilities([picture])[0], values)
    assert together.sum(axis=1) == pytest.approx(np.ones(4))
    assert net.probabilities([]).shape == (0, len(CLASSES))


# The files.


def test_tensors_are_read_as_they_were_written(models):
    written = tiny.random_tensors()
    read = read_tensors(models / tiny.LAYERS, models / tiny.VALUES)
    assert list(read) == list(written)
    for name, (content, low, scale) in written.items():
        assert read[name].dtype == np.float32
        assert read[name] == pytest.approx(content * scale + low, abs=1e-6)


def change(file: Path, before: str, after: str):
    text = file.read_text()
    assert re.search(before, text)
    file.write_text(re.sub(before, after, text, count=1))


def rewrite(models, **changed):
    """Write the network with other tensors; None for none."""
    tensors = tiny.random_tensors()
    for name, content in changed.items():
        _, low, scale = tensors.pop(name, (None, 0.0, 1.0))
        if content is not None:
            tensors[name] = content if isinstance(content, tuple) else (content, low, scale)
    tiny.write(models, tensors)


def bytes_of(*shape):
    return np.ones(shape, np.uint8)


FAULTS = {
    "a page instead of the description": lambda m: (m / tiny.LAYERS).write_text("<html>"),
    "a page instead of the values": lambda m: (m / tiny.VALUES).write_text("<html>"),
    "half of the description": lambda m: (m / tiny.LAYERS).write_text(
        (m / tiny.LAYERS).read_text()[:5000]
    ),
    "an empty description": lambda m: (m / tiny.LAYERS).write_bytes(b""),
    "bytes that are no text": lambda m: (m / tiny.VALUES).write_bytes(b"\xff\xfe\x00"),
    "half of the values": lambda m: (m / tiny.VALUES).write_text(
        (m / tiny.VALUES).read_text()[:500]
    ),
    "damaged base64": lambda m: change(m / tiny.VALUES, 'exports="....', 'exports="a'),
    "too few values": lambda m: change(m / tiny.VALUES, 'exports="....', 'exports="'),
    "too many values": lambda m: change(m / tiny.VALUES, 'exports="', 'exports="AAAA'),
    "a file that is too large": lambda m: (m / tiny.VALUES).write_bytes(b"A" * ((1 << 24) + 1)),
    "code in the description": lambda m: change(
        m / tiny.LAYERS, r"min:-\.5", "min:process.exit(1)"
    ),
    "a number that is none": lambda m: change(m / tiny.LAYERS, r"min:-\.5", "min:NaN"),
    "a number beyond all bounds": lambda m: change(m / tiny.LAYERS, r"scale:\.\d+", "scale:1e99"),
    "another type of numbers": lambda m: change(m / tiny.LAYERS, '"uint8"', '"uint16"'),
    "a shape that is none": lambda m: change(m / tiny.LAYERS, r"shape:\[3,", "shape:[-3,"),
    "a tensor twice": lambda m: change(m / tiny.LAYERS, "Conv_1_bn/beta", "Conv_1_bn/gamma"),
    "a tensor that is missing": lambda m: rewrite(m, **{"block_3_expand/kernel": None}),
    "a tensor too many": lambda m: rewrite(m, **{"block_17_expand/kernel": bytes_of(1, 1, 4, 6)}),
    "a kernel of another size": lambda m: rewrite(m, **{"Conv1/kernel": bytes_of(5, 5, 3, 4)}),
    "a kernel of other axes": lambda m: rewrite(m, **{"Conv1/kernel": bytes_of(3, 3, 12)}),
    "layers that do not fit": lambda m: rewrite(
        m, **{"block_5_expand/kernel": bytes_of(1, 1, 9, 6)}
    ),
    "a layer without channels": lambda m: rewrite(m, **{"dense_1/kernel": bytes_of(8, 0)}),
    "another number of classes": lambda m: rewrite(
        m, **{"dense_3/kernel": bytes_of(6, 4), "dense_3/bias": bytes_of(4)}
    ),
    "a negative variance": lambda m: rewrite(
        m, **{"block_2_project_BN/moving_variance": (bytes_of(4), -9.0, 0.5)}
    ),
    "a layer beyond all bounds": lambda m: rewrite(
        m,
        **{
            "Conv_1_bn/gamma": (bytes_of(8), 1e35, 1.0),
            "Conv_1/kernel": (bytes_of(1, 1, 4, 8), 1e35, 1.0),
        },
    ),
    "values beyond all bounds": lambda m: rewrite(
        m,
        **{f"dense_{i}/bias": (bytes_of(n), 1e35, 1.0) for i, n in ((1, 7), (2, 6))}
        | {f"dense_{i}/kernel": (bytes_of(*n), 1e35, 1.0) for i, n in ((2, (7, 6)), (3, (6, 5)))},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_are_damaged_or_of_another_network_are_refused(models, fault):
    FAULTS[fault](models)
    for refused in (Drawn().weights_id, Drawn().setup):
        with pytest.raises(WeightsMissingError) as error:
            refused()
        message = str(error.value)
        assert str(models / tiny.VALUES) in message
        assert str(models / tiny.LAYERS) in message
        assert message.endswith("Delete both and fetch them again.")
        assert "\n" not in message


def test_a_whole_file_in_place_of_a_damaged_one_is_seen(models):
    before = (models / tiny.VALUES).read_bytes()
    (models / tiny.VALUES).write_text("<html>")
    with pytest.raises(WeightsMissingError):
        Drawn().weights_id()
    (models / tiny.VALUES).write_bytes(before)
    assert Drawn().weights_id()


# The extractor.


class Level:
    """A classifier that takes a face for a drawing the brighter it is."""

    def __init__(self):
        self.pictures = []

    def probabilities(self, pictures):
        self.pictures += list(pictures)
        level = np.array([float(p[len(p) // 2, len(p) // 2, 0]) / 255 for p in pictures])
        parts = np.array([0.75, 0.25, 0.5, 0.25, 0.25])  # of drawings, and of photographs
        both = np.stack([level] * 2 + [1 - level] * 3, axis=1)
        return (both * parts).astype(np.float32)


def look(scene, model=None, **options):
    clip = Clip({"faces": watch(Faces(), scene, **options)})
    accumulator = Drawn().open(clip, model or Level())
    accumulator.update(scene.frames())
    return accumulator.finish()[0]


def test_both_kinds_of_drawings_count_and_the_portraits_of_a_person_are_averaged():
    scene = Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0, 1))
    model = Level()
    values = look(scene, model)
    assert len(model.pictures) == 2 * SAMPLES
    assert values["person"].tolist() == [0, 1]
    level = np.mean([90 + i * 37 % 100 for i in (2, 7, 12, 17)]) / 255
    assert values["drawn"] == pytest.approx([level, level])
    assert values["drawn"].dtype == np.float32


def test_a_still_picture_beside_a_person_is_not_looked_at():
    """A drawn poster on the wall is not a person of the clip."""
    values = look(Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0,)))
    assert values["person"].tolist() == [0]
    with pytest.raises(AbsentError) as absent:
        look(Scene([{}] * 20))
    assert absent.value.reason == "no-face"


def test_frames_that_cannot_be_read_again_leave_nothing_to_measure():
    scene = Scene([{0: LEFT}] * 20, moving=(0,))
    accumulator = Drawn().open(Clip({"faces": watch(Faces(), scene)}), Level())
    with pytest.raises(AbsentError, match="read again"):
        accumulator.finish()


def test_missing_weights_are_named_together_with_how_to_get_them(models):
    for name in WEIGHTS:
        (models / known(name).path).unlink()
    assert not Drawn().has_weights()
    with pytest.raises(WeightsMissingError) as error:
        Drawn().weights_id()
    for name in WEIGHTS:
        assert f"theval-data models fetch {name};" in str(error.value).replace("`", "")
        assert known(name).url in str(error.value)
        assert str(models / known(name).path) in str(error.value)
    assert str(error.value).count("licence: MIT") == 2


@pytest.mark.parametrize("lacking", WEIGHTS)
def test_only_the_missing_file_is_named(models, lacking):
    (models / known(lacking).path).unlink()
    with pytest.raises(WeightsMissingError) as error:
        Drawn().weights_id()
    assert f"The weights {lacking} are not on this machine" in str(error.value)
    assert str(error.value).count("are not on this machine") == 1


def test_the_key_follows_the_files(models):
    digest = spec_of(Drawn(), "decoder").digest
    (models / tiny.LAYERS).write_text((models / tiny.LAYERS).read_text() + "\n")
    assert spec_of(Drawn(), "decoder").digest != digest


def test_torch_is_not_imported(models):
    code = """
import sys
import numpy as np
from theval_datasets.features.drawn import Drawn
Drawn().weights_id()
Drawn().setup().probabilities([np.zeros((9, 9, 3), np.uint8)])
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_contract(models, talking, other, faceless, tmp_path, monkeypatch):
    feature = contract.check(Drawn(), talking, other, faceless, tmp_path / "c", monkeypatch)
    assert feature.values["person"].tolist() == [0]
    drawn = float(feature.values["drawn"][0])
    assert 0 < drawn < 1
    judged = NotDrawn(max_drawn=drawn / 2).judge(None, Features({"drawn": feature}))
    assert judged.reason == "drawn-face"
    (nothing,) = contract.run(Drawn(), [faceless], tmp_path / "d")
    assert (nothing.outcome.status, nothing.outcome.reason) == ("empty", "no-face")


@pytest.fixture
def other_clip(other):
    return other


@pytest.mark.real
@pytest.mark.slow
def test_a_cartoon_is_told_from_people_and_a_painting_is_not(shared_data, tmp_path, monkeypatch):
    """With the published weights from this user's cache, and MediaPipe, since InsightFace finds no face in this cartoon."""
    models = tmp_path / "models"
    for name in WEIGHTS:
        published = find(known(name))
        if published is None:
            pytest.skip(f"the weights {name} are not here; `theval-data models fetch {name}`")
        (models / known(name).path).parent.mkdir(parents=True, exist_ok=True)
        (models / known(name).path).symlink_to(published)
    monkeypatch.setenv("THEVAL_MODELS", str(models))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places = (
        "negative/cartoon.mp4", "single/sadtalker_aoc.mp4", "single/liveportrait_d20.mp4",
        "generated/emo_mola.mp4",
    )  # fmt: skip
    features = contract.run(
        Drawn(), [shared_data / "media" / place for place in places], tmp_path / "features"
    )
    cartoon, *photographed = (float(feature.values["drawn"].max()) for feature in features)
    assert cartoon == pytest.approx(0.41, abs=0.02)
    assert max(photographed) < 0.02
    verdicts = [NotDrawn().judge(None, Features({"drawn": feature})) for feature in features]
    assert [verdict.reason for verdict in verdicts] == ["drawn-face", None, None, None]
