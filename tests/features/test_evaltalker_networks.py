"""EvalTalker's networks: real architectures at a small random size, on the sample's clips."""

from __future__ import annotations

import json
import shutil
import warnings

import extractor_contract as contract
import numpy as np
import pytest
import tiny_networks as tiny
from fake_faces import Clip

from theval_datasets.errors import InputError, WeightsMissingError
from theval_datasets.extraction.cache import spec_of
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.runner import Runner
from theval_datasets.features.networks import loading
from theval_datasets.features.networks.qwen_omni import QwenOmni
from theval_datasets.features.networks.sapiens import Sapiens2Encoder, SapiensEncoder
from theval_datasets.features.networks.swin3d import Swin3d, pictured
from theval_datasets.features.qwen_sync import QwenSync
from theval_datasets.features.sapiens import BATCH, Sapiens
from theval_datasets.features.vst import Vst
from theval_datasets.media.frames import SAMPLE_RATE, Audio, Frames
from theval_datasets.utils.files import sha256_file

torch = pytest.importorskip("torch", reason="the extra [evaltalker] is not installed")
pytest.importorskip("transformers", reason="the extra [evaltalker] is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with small random weights of each network."""
    folder = tmp_path_factory.mktemp("models")
    tiny.write_vst(folder)
    tiny.write_sapiens(folder)
    tiny.write_sapiens2(folder)
    tiny.write_qwen(folder / "qwen-sync")
    return folder


@pytest.fixture(autouse=True)
def _here(models, tmp_path, monkeypatch):
    import torchvision

    monkeypatch.setenv("THEVAL_MODELS", str(models))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torchvision.models.video, "swin3d_t", tiny.tiny_swin3d)


def test_vst(talking, other, faceless, tmp_path, monkeypatch):
    feature = contract.check(Vst(windows=1), talking, other, faceless, tmp_path, monkeypatch)
    assert feature.values["embedding"].shape == (tiny.VST_WIDTH,)
    assert len(feature.values["start"]) == 1


@pytest.mark.parametrize("backend", ["sapiens", "sapiens2"])
def test_sapiens(backend, talking, other, faceless, tmp_path, monkeypatch):
    extractor = Sapiens(backend=backend)
    feature = contract.check(extractor, talking, other, faceless, tmp_path, monkeypatch)
    width = tiny.SAPIENS_WIDTH if backend == "sapiens" else 16
    assert feature.values["embedding"].shape == (width,)


def test_qwen_sync(talking, other, media, tmp_path, monkeypatch):
    extractor = QwenSync()
    feature = contract.check(extractor, talking, other, media("no_audio"), tmp_path, monkeypatch)
    assert feature.values["embedding"].shape == (tiny.QWEN_WIDTH,)
    assert not feature.values["cut"]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def test_the_centre_crop_is_the_published_one(models):
    from torchvision.models.video import Swin3D_T_Weights

    frames = [noise(180, 320, 3, seed=i) for i in range(32)]
    file = models / "torchvision/swin3d_t-7615ae03.pth"
    result = Swin3d("tiny", file, "float32").embed([pictured(f, "centre") for f in frames])
    net = tiny.tiny_swin3d()
    net.load_state_dict(torch.load(file, weights_only=True))
    net.head = torch.nn.Identity()
    clip = Swin3D_T_Weights.KINETICS400_V1.transforms()(
        torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    )
    with torch.inference_mode():
        assert result == pytest.approx(net.eval()(clip[None])[0].numpy(), abs=1e-6)


def test_the_whole_picture_is_seen():
    frame = np.zeros((180, 320, 3), np.uint8)
    frame[:, :30] = frame[:, -30:] = 255
    assert pictured(frame, "whole").shape == pictured(frame, "centre").shape == (224, 224, 3)
    assert pictured(frame, "whole")[:, 0].min() == 255
    assert pictured(frame, "centre").max() == 0


def test_sapiens_is_normalised_as_published(models):
    file = models / "sapiens/sapiens_2b_epoch_660_torchscript.pt2"
    pictures = [noise(90, 160, 3, seed=i) for i in range(3)]
    result = SapiensEncoder(file, "float32").embed(pictures)
    import cv2

    sized = [cv2.resize(p, (1024, 1024)).astype(np.float32) for p in pictures]
    ready = (np.stack(sized) - (123.5, 116.5, 103.5)) / (58.5, 57.0, 57.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = torch.jit.load(file)
    with torch.inference_mode():
        (maps,) = net(torch.from_numpy(ready.astype(np.float32)).permute(0, 3, 1, 2))
    assert result == pytest.approx(maps.numpy().mean(axis=(2, 3)), abs=1e-5)
    rough = SapiensEncoder(file, "bfloat16").embed(pictures)
    assert not np.array_equal(rough, result)
    assert rough == pytest.approx(result, abs=0.05)


def test_class_and_register_tokens_of_sapiens2_do_not_count(models):
    from transformers import AutoImageProcessor, Sapiens2Model

    folder = models / "sapiens2-pretrain-1b"
    pictures = [noise(90, 160, 3, seed=i) for i in range(2)]
    inputs = AutoImageProcessor.from_pretrained(folder)(images=pictures, return_tensors="pt")
    with torch.inference_mode():
        tokens = Sapiens2Model.from_pretrained(folder).eval()(**inputs).last_hidden_state
    assert tokens.shape[1] == 1 + 8 + 4 * 3
    result = Sapiens2Encoder(folder, "float32").embed(pictures)
    assert result == pytest.approx(tokens[:, 9:].mean(dim=1).numpy(), abs=1e-5)


def test_every_sampled_frame_counts_once():
    class Level:
        seen = ()

        def embed(self, pictures):
            self.seen = (*self.seen, len(pictures))
            return np.array([[float(p.mean())] for p in pictures])

    model = Level()
    accumulator = Sapiens().open(None, model)
    for i in range(2 * BATCH + 1):
        accumulator.update(Frames([np.full((2, 2, 3), i, np.uint8)], np.zeros(1), np.zeros(1, int)))
    values, _ = accumulator.finish()
    assert model.seen == (BATCH, BATCH, 1)
    assert float(values["embedding"][0]) == BATCH
    assert int(values["n_frames"]) == 2 * BATCH + 1


@pytest.fixture(scope="module")
def thinker(models):
    return models / "qwen-sync"


def embedded(folder, base=None, pool="mean", precision="float32"):
    frames = [noise(112, 140, 3, seed=i) for i in range(4)]
    sound = np.random.default_rng(1).standard_normal(2 * SAMPLE_RATE).astype(np.float32) / 10
    return QwenOmni(folder, base, precision).embed(frames, sound, "Rate it.", pool)


def test_the_last_hidden_states_are_those_of_transformers(thinker):
    mean, n_tokens = embedded(thinker)
    last, _ = embedded(thinker, pool="last")
    model = QwenOmni(thinker, None, "float32")
    seen, given = [], {}
    model._net.model.register_forward_pre_hook(
        lambda _, __, inputs: given.update(inputs), with_kwargs=True
    )
    frames = [noise(112, 140, 3, seed=i) for i in range(4)]
    sound = np.random.default_rng(1).standard_normal(2 * SAMPLE_RATE).astype(np.float32) / 10
    model.embed(frames, sound, "Rate it.", "mean")
    inputs = dict(given)
    # What the language head is given is the last hidden state.
    model._net.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0]))
    with torch.inference_mode():
        model._net(**inputs)
    states = seen.pop().numpy()
    assert len(states) == n_tokens
    assert mean == pytest.approx(states.mean(axis=0), abs=1e-5)
    assert last == pytest.approx(states[-1], abs=1e-5)
    ids = inputs["input_ids"][0].tolist()
    tokenizer = model._processor.tokenizer
    # 25 tokens a second of sound; 4 frames make 2 pictures of 4 x 5 cells, or more for small ones.
    assert ids.count(tokenizer.convert_tokens_to_ids("<|AUDIO|>")) == 50
    assert ids.count(tokenizer.convert_tokens_to_ids("<|VIDEO|>")) == int(
        inputs["video_grid_thw"][0].prod() / 4
    )
    assert "Rate it." in tokenizer.decode(ids)


def test_a_whole_model_is_as_good_as_its_thinker(thinker, tmp_path):
    whole = tiny.write_whole_qwen(tmp_path / "whole", thinker)
    assert embedded(whole)[0].tolist() == embedded(thinker)[0].tolist()


@pytest.mark.parametrize("prefix", ["", "thinker."])
def test_an_adapter_changes_its_base(thinker, tmp_path, prefix):
    adapter = tiny.write_adapter(tmp_path / "adapter", thinker, prefix)
    changed, plain = embedded(adapter, thinker)[0], embedded(thinker)[0]
    assert np.abs(changed - plain).max() > 1e-3
    from peft import PeftModel
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    if not prefix:
        base = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(thinker)
        merged = tmp_path / "merged"
        shutil.copytree(thinker, merged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(merged)
        assert changed == pytest.approx(embedded(merged)[0], abs=1e-5)


def test_an_adapter_that_does_not_fit_is_refused(thinker, tmp_path):
    from safetensors.torch import load_file, save_file

    adapter = tiny.write_adapter(tmp_path / "adapter", thinker)
    file = adapter / "adapter_model.safetensors"
    state = load_file(file)
    name = next(iter(state))
    save_file({k: v for k, v in state.items() if k != name}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsMissingError, match=r"does not fit its base.*swift export"):
        embedded(adapter, thinker)
    named = {k.replace("q_proj", "nowhere"): v for k, v in state.items()}
    save_file(named, file, metadata={"format": "pt"})
    with pytest.raises(WeightsMissingError, match="does not fit its base"):
        embedded(adapter, thinker)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["target_modules"] = ["nowhere"]
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsMissingError, match="does not fit its base"):
        embedded(adapter, thinker)


def test_weights_that_lack_a_part_are_refused(thinker, tmp_path):
    from safetensors.torch import load_file, save_file

    lacking = tmp_path / "lacking"
    shutil.copytree(thinker, lacking)
    state = load_file(lacking / "model.safetensors")
    name = next(name for name in state if "q_proj" in name)
    del state[name]
    save_file(state, lacking / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsMissingError, match="not complete: 1 are missing"):
        embedded(lacking)
    (lacking / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(WeightsMissingError, match="damaged or incomplete"):
        embedded(lacking)
    config = json.loads((lacking / "config.json").read_text())
    (lacking / "config.json").write_text(json.dumps(config | {"model_type": "qwen2_5_vl"}))
    with pytest.raises(WeightsMissingError, match=r"expected a model of type .* got 'qwen2_5_vl'"):
        embedded(lacking)
    bare = tmp_path / "bare"
    shutil.copytree(thinker, bare)
    (bare / "processor_config.json").unlink()
    with pytest.raises(WeightsMissingError, match="copy the files of the tokenizer"):
        embedded(bare)


def test_states_and_scripts_of_other_networks_are_refused(models, tmp_path):
    other = tmp_path / "other.pth"
    torch.save({"patch_embed.proj.weight": torch.zeros(1)}, other)
    with pytest.raises(WeightsMissingError, match="is not a state of torchvision's swin3d_t"):
        Swin3d("tiny", other, "float32")
    with pytest.raises(WeightsMissingError, match="expected TorchScript"):
        SapiensEncoder(other, "float32")


@pytest.mark.parametrize(
    ("seconds", "read", "cut"), [(30.0, 4.0, False), (4.0, 4.0, False), (3.99, 3.99, True)]
)
def test_what_comes_after_the_limit_is_left_out_and_said(monkeypatch, seconds, read, cut):
    class Noted:
        most_seconds = 30.0

        def embed(self, frames, sound, prompt, pool):
            self.given = (len(frames), sound)
            return np.zeros(2, np.float32), 9

    from theval_datasets.features import qwen_sync

    monkeypatch.setattr(qwen_sync, "pictured", lambda frame, shape: frame)
    samples = np.ones(3 * SAMPLE_RATE, np.float32)
    clip = Clip()
    clip.duration = 3.6
    clip.audio = lambda: Audio(samples, start=1.0)
    model = Noted()
    accumulator = QwenSync(seconds=seconds).open(clip, model)
    times = np.arange(8) / 2
    accumulator.update(Frames([np.zeros((2, 2, 3), np.uint8)] * 8, times, np.arange(8)))
    values, _ = accumulator.finish()
    n_frames, sound = model.given
    assert (float(values["seconds"]), bool(values["cut"])) == (read, cut)
    assert n_frames == np.count_nonzero(times < seconds)
    # The track begins a second late: silence comes first.
    assert len(sound) == int(read * SAMPLE_RATE)
    assert np.flatnonzero(sound)[0] == SAMPLE_RATE


def test_the_processors_own_limit_holds(thinker):
    assert QwenOmni(thinker, None, "float32").most_seconds == 30.0


def test_everything_that_changes_values_is_in_the_key(models, thinker, tmp_path, monkeypatch):
    def digest(extractor):
        return spec_of(extractor, "decoder").digest

    plain = [Vst(), Sapiens(), QwenSync()]
    others = [
        Vst(windows=1), Vst(view="centre"), Vst(precision="bfloat16"),
        Sapiens(fps=2.0), Sapiens(backend="sapiens2"), Sapiens(precision="float32"),
        QwenSync(pool="last"), QwenSync(seconds=10.0), QwenSync(prompt="?"),
        QwenSync(precision="float32"),
    ]  # fmt: skip
    digests = [digest(extractor) for extractor in [*plain, *others]]
    assert len(set(digests)) == len(digests)
    mine = tmp_path / "mine"
    shutil.copytree(thinker, mine)
    assert digest(QwenSync(folder=str(mine))) == digest(QwenSync())
    changed = json.loads((mine / "processor_config.json").read_text()) | {"padding": 1}
    (mine / "processor_config.json").write_text(json.dumps(changed))
    assert digest(QwenSync(folder=str(mine))) != digest(QwenSync())
    monkeypatch.setattr(loading.importlib.metadata, "version", lambda name: "6.0")
    assert digest(QwenSync()) != digests[2]


def test_an_adapter_needs_its_own_base(models, thinker, tmp_path):
    adapter = tiny.write_adapter(tmp_path / "adapter", thinker)
    extractor = QwenSync(folder=str(adapter))
    assert extractor.weights_id()  # its base is a folder of this machine
    assert [w.name for w in extractor.weights()] == ["qwen-sync", "qwen2.5-omni"]
    config = json.loads((adapter / "adapter_config.json").read_text())
    for name, message in {
        "Qwen/Qwen2.5-Omni-7B": "models fetch qwen2.5-omni",
        "Qwen/Qwen2.5-Omni-3B": r"trained on Qwen/Qwen2.5-Omni-3B.*swift export",
    }.items():
        config["base_model_name_or_path"] = name
        (adapter / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(WeightsMissingError, match=message):
            extractor.weights_id()


@pytest.mark.parametrize("extractor", [Vst(), Sapiens(), Sapiens(backend="sapiens2"), QwenSync(),
                                       QwenSync(model="base")])  # fmt: skip
def test_without_weights_every_clip_says_so(extractor, media, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "none"))
    assert not extractor.has_weights()
    clip = media("plain")
    runner = Runner(Plan((extractor,), str(tmp_path / "features")))
    report = runner.process(ClipJob("plain", str(clip), sha256_file(clip)))
    outcome = report.outcomes[extractor.name]
    assert (outcome.status, outcome.reason) == ("failed", "weights-missing")
    assert "licence: " in outcome.detail


def test_parameters_are_checked():
    with pytest.raises(InputError, match="fps above 0"):
        Sapiens(fps=0)
    with pytest.raises(InputError, match="backend"):
        Sapiens(backend="sapiens3")
    for seconds in (0, -1.0, float("nan")):
        with pytest.raises(InputError, match="seconds above 0"):
            QwenSync(seconds=seconds)


def test_everything_goes_through_the_device_that_is_chosen(models, thinker, monkeypatch):
    # A device without values: mixing it with another one fails, and only shapes come back.
    before = [extractor.weights_id() for extractor in (Vst(), Sapiens(), QwenSync())]
    monkeypatch.setenv("THEVAL_DEVICE", "meta")
    assert [e.weights_id() for e in (Vst(), Sapiens(), QwenSync())] == before
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.ones(self.shape, dtype=self.dtype))
    frames = [noise(224, 224, 3)] * 32
    state = models / "torchvision/swin3d_t-7615ae03.pth"
    assert Swin3d("tiny", state, "float32").embed(frames).shape == (tiny.VST_WIDTH,)
    encoder = Sapiens2Encoder(models / "sapiens2-pretrain-1b", "float32")
    assert encoder.embed(frames[:2]).shape == (2, 16)
