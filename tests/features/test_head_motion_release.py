"""Head motion by FaceXFormer: the formula, and the path through a checkout of the user's."""

from __future__ import annotations

import sys

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.errors import AbsentError, WeightsMissingError
from theval_datasets.features.head_motion_release import HeadMotionRelease, head_motion

_STUB = '''
import torch


class FaceXFormer(torch.nn.Module):
    """Answers the pose task with three weights times the mean brightness of the crop."""

    def __init__(self):
        super().__init__()
        self.turn = torch.nn.Parameter(torch.zeros(3))

    def forward(self, images, labels, tasks):
        assert images.shape[1:] == (3, 224, 224)
        assert tasks.tolist() == [2]
        assert labels["landmark"].shape == (1, 68, 2)
        nothing = torch.zeros(1)
        pose = self.turn[None] * images.mean()
        return nothing, pose, nothing, nothing, nothing, nothing, nothing, nothing
'''


def test_the_formula_has_n_and_bridges_gaps():
    angles = np.array([[0.0, 0, 0], [2, 0, 0], [0, 0, 0], [2, 0, 0]])
    centres = np.array([[0.0, 0], [2, 0], [0, 0], [2, 0]])
    spread = 1 / 3  # the standard deviation of one angle is 1
    speed = np.var([2, -2, 2]) / 3
    drift = 1 / 2
    assert head_motion(angles, centres) == pytest.approx(np.sqrt(spread * speed + drift))
    with pytest.raises(AbsentError) as few:
        head_motion(angles[:1], centres[:1])
    assert few.value.reason == "too-few-frames"


def test_without_a_checkout_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"clone its repository .* ckpts/model\.pt"):
        HeadMotionRelease().weights_id()
    assert not HeadMotionRelease().has_weights()


@pytest.mark.real
@pytest.mark.usefixtures("one_thread")
def test_a_checkout_and_a_checkpoint(shared_data, talking, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="no torch here")
    pytest.importorskip("torchvision", reason="no torchvision here")
    models = tmp_path / "models"
    (models / "facexformer/network").mkdir(parents=True)
    (models / "facexformer/ckpts").mkdir()
    (models / "facexformer/network/__init__.py").write_text(_STUB)
    (models / "insightface").symlink_to(shared_data / "models/insightface")
    monkeypatch.setenv("THEVAL_MODELS", str(models))
    sys.modules.pop("_theval_facexformer", None)
    checkpoint = models / "facexformer/ckpts/model.pt"
    torch.save({"state_dict_backbone": {"turn": torch.tensor([0.1, 0.2, 0.3])}}, checkpoint)
    extractor = HeadMotionRelease(box="scrfd")
    first = extractor.weights_id()
    (feature,) = contract.run(extractor, [talking], tmp_path / "cache")
    assert feature.outcome.status == "ok", feature.outcome
    angles = feature.values["angles"]
    assert np.allclose(angles[:, 1], 2 * angles[:, 0], rtol=1e-4)
    assert float(feature.values["head_motion"]) == pytest.approx(
        head_motion(angles.astype(float), feature.values["centre"].astype(float)), rel=1e-4
    )
    torch.save({"state_dict_backbone": {"turn": torch.zeros(3)}}, checkpoint)
    assert extractor.weights_id() != first
    sys.modules.pop("_theval_facexformer", None)
