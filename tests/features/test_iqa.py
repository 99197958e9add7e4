"""Quality of frames, faces and mouths: what is cropped, what is left out, and the real networks."""

from __future__ import annotations

import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Clip

from theval_datasets.errors import InputError, MissingExtraError, WeightsMissingError
from theval_datasets.extraction.mesh import LIPS, quantise
from theval_datasets.extraction.weights import find, known
from theval_datasets.features.iqa import METRICS, Iqa, face_crop, mouth_crop
from theval_datasets.features.iqa_release import IqaRelease, _PaddedQueue
from theval_datasets.features.networks import pyiqa as _pyiqa
from theval_datasets.features.networks import retinaface as _retinaface
from theval_datasets.features.networks.quality import ScoringQueue
from theval_datasets.media.frames import Frames
from theval_datasets.utils.optional import available

has_torch = pytest.mark.skipif(
    not (available("pyiqa") and available("torch")), reason="the extra [iqa] is not installed"
)


class Mean:
    """A network that gives the mean of a picture, and notes what it was given together."""

    def __init__(self):
        self.seen = []

    def score(self, pictures):
        self.seen.append([picture.shape for picture in pictures])
        return np.array([float(picture.mean()) for picture in pictures])


def mesh_of(*boxes, size=(320, 180)):
    """Values of `landmarks` with a flat face in each box; None for a frame without a face."""
    collected = []
    for left, top, side in filter(None, boxes):
        points = np.zeros((478, 3))
        points[:, :2] = (left + side / 2, top + side / 2)
        points[10, :2], points[152, :2] = (left, top), (left + side, top + side)
        points[list(LIPS), :2] = (left + 0.45 * side, top + 0.7 * side)
        points[LIPS[0], :2] = (left + 0.3 * side, top + 0.6 * side)
        points[LIPS[1], :2] = (left + 0.6 * side, top + 0.8 * side)
        collected.append(quantise(points / (size[0], size[1], size[0])))
    return {
        "face": np.array([box is not None for box in boxes]),
        "mesh": np.stack(collected) if collected else np.zeros((0, 478, 3), np.int16),
        "width": np.array(size[0], np.int32),
        "height": np.array(size[1], np.int32),
    }


def points_of(left, top, side):
    from theval_datasets.extraction.mesh import pixels

    return pixels(mesh_of((left, top, side))["mesh"], 320, 180)[0]


def frames(count, level=None):
    pixels = [np.full((180, 320, 3), level or i, np.uint8) for i in range(count)]
    return Frames(pixels, np.arange(count) / 25, np.arange(count))


def test_crops_are_those_of_the_definition():
    frame = np.arange(180 * 320 * 3, dtype=np.uint32).astype(np.uint8).reshape(180, 320, 3)
    points = points_of(100, 40, 100)
    face = face_crop(frame, points)
    assert face.shape[0] == pytest.approx(130, abs=2)
    assert face.shape[1] == pytest.approx(130, abs=2)
    mouth = mouth_crop(frame, points)
    assert mouth.shape[1] == pytest.approx(30 + 2 * 3, abs=2)
    assert mouth.shape[0] == pytest.approx(20 + 2 * 3, abs=2)
    assert face.base is None
    # At the edge there is only what is in the frame.
    assert face_crop(frame, points_of(270, 100, 50)).shape[1] < 64
    assert face_crop(frame, points_of(-90, 40, 80)).size > 0


def test_batches_do_not_depend_on_how_frames_come():
    scorer = Mean()
    line = ScoringQueue(scorer, 4)
    for i in range(10):
        line.add(np.full((3, 3, 3), i, np.uint8))
    assert line.done().tolist() == list(range(10))
    assert [len(group) for group in scorer.seen] == [4, 4, 2]


def test_the_releases_mouths_are_padded_to_the_largest_of_their_batch():
    scorer = Mean()
    line = _PaddedQueue(scorer, 2)
    for side in (2, 4, 3):
        line.add(np.full((side, side, 3), 16, np.uint8))
    assert line.done().tolist() == [4.0, 16.0, 16.0]
    assert scorer.seen == [[(4, 4, 3), (4, 4, 3)], [(3, 3, 3)]]


def test_faceless_frames_have_no_face_score_and_all_have_one_of_the_frame():
    face = (100, 40, 80)
    scorers = {metric: Mean() for metric in METRICS}
    clip = Clip({"landmarks": mesh_of(face, None, face)})
    accumulator = Iqa().open(clip, scorers)
    accumulator.update(frames(4))
    values, missing = accumulator.finish()
    assert missing == {}
    assert values["face"].tolist() == [True, False, True, False]
    assert values["frame_score"].tolist() == [0, 1, 2, 3]
    assert values["face_score"].tolist() == [0, 2]
    assert float(values["mouth_quality"]) == 1.0
    assert float(values["global_aesthetics"]) == 1.5


def test_what_is_missing_has_its_reason():
    clip = Clip({"landmarks": mesh_of(None, None)})
    accumulator = Iqa().open(clip, {"global_aesthetics": Mean(), "face_quality": Mean()})
    accumulator.update(frames(2))
    values, missing = accumulator.finish()
    assert missing == {
        "face_quality": "no-face",
        "face_score": "no-face",
        "mouth_quality": "weights-missing",
        "mouth_score": "weights-missing",
    }
    assert set(values) == {"time", "face", "global_aesthetics", "frame_score"}


def test_a_rate_is_positive():
    for extractor in (Iqa, IqaRelease):
        with pytest.raises(InputError, match="above 0"):
            extractor(fps=0)


@pytest.mark.skipif(available("pyiqa"), reason="the extra [iqa] is installed")
def test_without_the_extra_it_says_which():
    with pytest.raises(MissingExtraError, match=r"\[iqa\]"):
        Iqa().weights_id()


@has_torch
def test_without_weights_it_says_where(monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="cfanet_iaa_ava_swin"):
        Iqa().weights_id()
    assert not Iqa().has_weights()


def test_the_centre_face_is_aligned():
    frame = np.zeros((400, 600, 3), np.uint8)
    faces = []
    for channel, left in enumerate((10, 230, 460)):
        points = np.array(_retinaface._TEMPLATE) / 4 + np.array((left, 120))
        faces.append([left, 120, left + 128, 248, 0.99, *points.ravel()])
        x, y = points.round().astype(int).T
        frame[y, x, channel] = 255
    crop = _retinaface.aligned_face(frame, np.array(faces))
    assert crop.shape == (512, 512, 3)
    x, y = np.array(_retinaface._TEMPLATE[2]).round().astype(int)
    there = crop[y - 4 : y + 5, x - 4 : x + 5]
    assert there[..., 1].max() > 100
    assert there[..., (0, 2)].max() == 0
    near = np.array(faces)
    near[:, 5:] = 50.0
    assert _retinaface.aligned_face(frame, near) is None
    assert _retinaface.aligned_face(frame, np.zeros((0, 15))) is None


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """A folder of states of the real networks, at random initialisation."""
    torch = pytest.importorskip("torch", reason="the extra [iqa] is not installed")
    pytest.importorskip("pyiqa", reason="the extra [iqa] is not installed")
    folder = tmp_path_factory.mktemp("models")
    (folder / "pyiqa").mkdir()
    for name in _pyiqa.NETWORKS:
        torch.manual_seed(5)
        state = _pyiqa.build(name).state_dict()
        wrapped = {"params": state} if name.startswith("topiq") else state
        torch.save(wrapped, folder / "pyiqa" / known(name).files[0])
    return folder


@has_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_real_networks_score_a_clip(random_weights, talking, faceless, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(random_weights))
    scored, none = contract.run(Iqa(fps=0.5), [talking, faceless], tmp_path)
    assert scored.outcome.status == "ok"
    assert scored.outcome.missing == {}
    assert 1 <= float(scored.values["global_aesthetics"]) <= 10
    assert len(scored.values["face_score"]) == len(scored.values["mouth_score"]) > 0
    assert none.outcome.missing["face_quality"] == "no-face"
    # Alone or in company a picture has the same score, and pyiqa's own forward agrees.
    import torch

    name = "topiq_nr-face"
    scorer = _pyiqa.Scorer(name, find(known(name)))
    pictures = [np.random.default_rng(i).integers(0, 255, (90, 80, 3), np.uint8) for i in range(3)]
    together = scorer.score(pictures)
    assert together == pytest.approx([scorer.score([p])[0] for p in pictures], abs=1e-5)
    plain = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        assert float(scorer._net(plain)) == pytest.approx(together[0], abs=1e-5)


@has_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_everything_goes_through_the_device_that_is_chosen(random_weights, monkeypatch):
    import torch

    from theval_datasets.features.networks.device import chosen_device

    monkeypatch.setenv("THEVAL_MODELS", str(random_weights))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_device("iqa") == "cuda"
    before = Iqa().weights_id()
    # A device without values: mixing it with another one fails, and only shapes come back.
    monkeypatch.setenv("THEVAL_DEVICE", "meta")
    assert chosen_device("iqa") == "meta"
    assert Iqa().weights_id() == before
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.ones(self.shape))
    pictures = [np.zeros((90, 80, 3), np.uint8)] * 2
    for name in _pyiqa.NETWORKS:
        assert _pyiqa.Scorer(name, find(known(name))).score(pictures).tolist() == [1.0, 1.0]


@has_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_one_networks_weights_change_its_key_and_its_absence_leaves_the_others(
    random_weights, talking, tmp_path, monkeypatch
):
    import shutil

    mine = tmp_path / "models"
    shutil.copytree(random_weights, mine)
    monkeypatch.setenv("THEVAL_MODELS", str(mine))
    before = Iqa().weights_id()
    (mine / "pyiqa" / _pyiqa.NETWORKS["topiq_iaa"].file).unlink()
    after = Iqa().weights_id()
    assert [a == b for a, b in zip(before.split("+"), after.split("+"), strict=True)] == [
        False, True, True,
    ]  # fmt: skip
    (feature,) = contract.run(Iqa(fps=0.5), [talking], tmp_path / "cache")
    assert feature.outcome.missing == {
        "global_aesthetics": "weights-missing", "frame_score": "weights-missing",
    }  # fmt: skip
    broken = mine / "pyiqa" / _pyiqa.NETWORKS["musiq-spaq"].file
    import torch

    torch.save({"a": torch.zeros(1)}, broken)
    with pytest.raises(WeightsMissingError, match="lacks"):
        _pyiqa.Scorer("musiq-spaq", broken)


@has_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_releases_path_runs_with_facexlibs_detector(
    random_weights, talking, tmp_path, monkeypatch
):
    import shutil

    import torch
    from facexlib.detection.retinaface import RetinaFace

    mine = tmp_path / "models"
    shutil.copytree(random_weights, mine)
    monkeypatch.setenv("THEVAL_MODELS", str(mine))
    (without,) = contract.run(IqaRelease(fps=0.5), [talking], tmp_path / "a")
    assert without.outcome.missing == {
        "face_quality": "weights-missing", "n_faces": "weights-missing",
    }  # fmt: skip
    assert int(without.values["n_mouths"]) == int(without.values["n_frames"])
    (mine / "facexlib").mkdir()
    torch.manual_seed(5)
    state = RetinaFace("resnet50", device=torch.device("cpu")).state_dict()
    torch.save(state, mine / "facexlib" / "detection_Resnet50_Final.pth")
    (feature,) = contract.run(IqaRelease(fps=0.5), [talking], tmp_path / "b")
    assert feature.outcome.status == "ok"
    # An untrained detector finds what it finds; with or without a face, there is no failure.
    assert int(feature.values["n_faces"]) > 0 or feature.outcome.missing == {
        "face_quality": "no-face"
    }
