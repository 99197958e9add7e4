"""Weights of networks whose packages need not be installed: where they lie, and the cache key."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from theval_datasets.errors import WeightsMissingError
from theval_datasets.extraction.weights import content_hash
from theval_datasets.features import iqa, iqa_release, spoken_language, vad_pyannote
from theval_datasets.features import speakers as speakers_module
from theval_datasets.features.head_motion_release import HeadMotionRelease
from theval_datasets.features.networks import facexformer, pyiqa
from theval_datasets.features.speakers import Speakers
from theval_datasets.features.spoken_language import SpokenLanguage
from theval_datasets.features.vad_pyannote import VadPyannote

PYIQA = {
    "topiq_iaa": "cfanet_iaa_ava_swin-393b41b4.pth",
    "topiq_nr-face": "topiq_nr_cgfiqa_res50-0a8b8e4f.pth",
    "musiq-spaq": "musiq_spaq_ckpt-358bb6af.pth",
    "musiq": "musiq_koniq_ckpt-e95806b9.pth",
}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """An empty folder of weights, and every package that would run them."""
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (pyiqa, vad_pyannote, speakers_module, spoken_language):
        monkeypatch.setattr(module, "require", lambda *_, **__: None)
    monkeypatch.setattr(pyiqa, "need_extra", lambda _: None)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"1.0-of-{name}")
    return tmp_path / "models"


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_naming_the_weights_imports_no_network_library():
    """`build` only names them; torch takes 200 MB of memory."""
    code = """
import sys
from theval_datasets.errors import ThevalError
from theval_datasets.features.iqa import Iqa
try:
    Iqa().weights_id()
except ThevalError:
    pass
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pyiqas_networks_are_found_by_their_published_files(models):
    paper, release = iqa.Iqa(), iqa_release.IqaRelease()
    assert not paper.has_weights()
    with pytest.raises(WeightsMissingError, match="cfanet_iaa_ava_swin-393b41b4"):
        paper.weights_id()
    put(models / "pyiqa", PYIQA["topiq_iaa"], PYIQA["musiq"])
    digest = {name: content_hash(models / "pyiqa" / PYIQA[name]) for name in ("topiq_iaa", "musiq")}
    first = f"topiq_iaa-{digest['topiq_iaa']}+topiq_nr-face-none"
    assert paper.weights_id() == f"{first}+musiq-spaq-none"
    mesh = "mediapipe-1.0-of-mediapipe"
    assert release.weights_id() == f"{first}+musiq-{digest['musiq']}+retinaface-none+{mesh}"
    assert paper.has_weights()
    assert list(pyiqa.states(tuple(PYIQA))) == ["topiq_iaa", "musiq"]
    put(models / "facexlib", "detection_Resnet50_Final.pth")
    assert "retinaface-none" not in release.weights_id()


@pytest.mark.parametrize("checkpoint", ["ckpts/model.pt", "model.pt"])
def test_facexformer_is_a_checkout_with_a_checkpoint(models, checkpoint):
    folder = put(models / "facexformer", "network/__init__.py")
    assert not HeadMotionRelease().has_weights()
    put(folder, checkpoint, "network/models.py")
    assert facexformer.locate() == (folder, folder / checkpoint)
    files = [folder / checkpoint, folder / "network/__init__.py", folder / "network/models.py"]
    assert facexformer.identity() == f"facexformer-{content_hash(*files)}"
    assert HeadMotionRelease().has_weights()
    with pytest.raises(WeightsMissingError, match="models fetch retinaface"):
        HeadMotionRelease().weights_id()


def test_pyannotes_models_may_lie_in_a_folder_of_ones_own(models, tmp_path):
    segmentation = put(models / "pyannote/segmentation-3.0", "pytorch_model.bin")
    key = f"pyannote.audio-1.0-of-pyannote.audio+{content_hash(segmentation / 'pytorch_model.bin')}"
    assert VadPyannote().weights_id() == key
    assert not Speakers().has_weights()
    with pytest.raises(WeightsMissingError, match="wespeaker-voxceleb-resnet34-LM"):
        Speakers().weights_id()
    own = put(tmp_path / "own", "pytorch_model.bin")
    both = Speakers(embedding_folder=str(own))
    assert both.has_weights()
    files = [place / "pytorch_model.bin" for place in (segmentation, own)]
    assert both.weights_id() == f"pyannote.audio-1.0-of-pyannote.audio+{content_hash(*files)}"
    other = VadPyannote(model="me/other", folder=str(own))
    assert other.weights_id().endswith(content_hash(own / "pytorch_model.bin"))


def test_a_whisper_is_a_folder_with_all_of_its_files(models):
    folder = put(models / "whisper/faster-whisper-small", "config.json", "model.bin")
    assert not SpokenLanguage().has_weights()
    put(folder, "tokenizer.json")
    key = f"faster-whisper-1.0-of-faster-whisper+{content_hash(folder / 'model.bin')}"
    assert SpokenLanguage().weights_id() == key
    put(models / "whisper/mine", "config.json", "model.bin", "tokenizer.json")
    assert SpokenLanguage(model="me/mine").has_weights()
