"""pyannote's models as backends: clear words without them, and the real path with untrained ones."""

from __future__ import annotations

import sys

import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.errors import MissingExtraError, WeightsMissingError
from theval_datasets.features.speakers import Speakers
from theval_datasets.features.vad import Vad
from theval_datasets.features.vad_pyannote import VadPyannote
from theval_datasets.utils.optional import available

EXTRACTORS = (VadPyannote, Speakers)


@pytest.fixture(scope="module", autouse=True)
def no_lazy_modules_are_left():
    """speechbrain's warn or fail when they are looked at, as hypothesis does in later tests."""
    yield
    for name, module in list(sys.modules.items()):
        if type(module).__name__ in ("LazyModule", "DeprecatedModuleRedirect"):
            del sys.modules[name]


def test_it_has_the_columns_of_vad():
    assert VadPyannote.writes == Vad.writes


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_folder_and_token_are_in_no_key_and_no_text(extractor):
    secret = extractor(folder="/somewhere", token="hf_secret")
    assert secret.parameters() == extractor().parameters()
    assert secret == extractor()
    assert "hf_secret" not in repr(secret)


@pytest.mark.skipif(available("pyannote.audio"), reason="the extra [diarization] is installed")
@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_without_the_extra_it_says_which(extractor):
    with pytest.raises(MissingExtraError, match=r"\[diarization\]"):
        extractor().weights_id()


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A folder of models as `THEVAL_MODELS`, with a small segmentation and a small voice model."""
    pytest.importorskip("torch", reason="the extra [diarization] is not installed")
    pytest.importorskip("pyannote.audio", reason="the extra [diarization] is not installed")
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import XVectorMFCC
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("models")
    segmentation = PyanNet(lstm={"hidden_size": 16, "num_layers": 1})
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["a", "b", "c"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    voices = XVectorMFCC(dimension=32)
    voices.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=3.0
    )
    for name, model in (
        ("segmentation-3.0", segmentation),
        ("wespeaker-voxceleb-resnet34-LM", voices),
    ):
        model.build()
        checkpoint = {
            "state_dict": model.state_dict(),
            "hyper_parameters": dict(model.hparams),
            "pytorch-lightning_version": "2.0.0",
        }
        model.on_save_checkpoint(checkpoint)
        (folder / "pyannote" / name).mkdir(parents=True)
        torch.save(checkpoint, folder / "pyannote" / name / "pytorch_model.bin")
    return folder


@pytest.mark.filterwarnings("default")
def test_without_models_it_says_what_to_do(untrained, monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for extractor in EXTRACTORS:
        assert not extractor().has_weights()
        with pytest.raises(WeightsMissingError, match=r"accept its terms .* HF_TOKEN"):
            extractor().weights_id()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_real_code_runs_with_untrained_models(
    untrained, talking, other, tmp_path, monkeypatch, media
):
    monkeypatch.setenv("THEVAL_MODELS", str(untrained))
    feature = contract.check(
        VadPyannote(onset=0.3, offset=0.3), talking, other, media("no_audio"), tmp_path, monkeypatch
    ).values
    (vad,) = contract.run(Vad(), [talking], tmp_path / "vad")
    assert feature["probability"].shape == vad.values["probability"].shape
    assert 0 <= feature["probability"].min() <= feature["probability"].max() <= 1
    assert (feature["segments"][:, 1] > feature["segments"][:, 0]).all()
    assert (feature["start"], feature["end"]) == (vad.values["start"], vad.values["end"])
    speakers = Speakers(min_cluster_size=1)
    (heard,) = contract.run(speakers, [talking], tmp_path / "speakers")
    assert heard.outcome.status in ("ok", "empty"), heard.outcome
    if heard.outcome.status == "empty":
        assert heard.outcome.reason == "no-speech"
        return
    values = heard.values
    assert int(values["n_speakers"]) == len(np.unique(values["speaker"])) >= 1
    assert len(values["turns"]) == len(values["speaker"])
    assert 0 <= float(values["overlap_ratio"]) <= 1


@pytest.mark.filterwarnings("default")
def test_a_changed_checkpoint_changes_the_key(untrained, monkeypatch, tmp_path):
    import shutil

    mine = tmp_path / "m"
    shutil.copytree(untrained, mine)
    monkeypatch.setenv("THEVAL_MODELS", str(mine))
    before = (VadPyannote().weights_id(), Speakers().weights_id())
    voices = mine / "pyannote/wespeaker-voxceleb-resnet34-LM/pytorch_model.bin"
    voices.write_bytes(voices.read_bytes() + b"x")
    after = (VadPyannote().weights_id(), Speakers().weights_id())
    assert before[0] == after[0]
    assert before[1] != after[1]
