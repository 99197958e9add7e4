"""LR-ASD as an ONNX graph against PyTorch's layers, and checkpoints that are read without PyTorch."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest

from theval_datasets.features.networks.lr_asd import CONTEXT, LrAsd
from theval_datasets.features.networks.torch_files import read_tensors


def inputs(pictures):
    rng = np.random.default_rng(7)
    crops = rng.integers(0, 256, (pictures, 112, 112)).astype(np.uint8)
    return crops, (8 * rng.normal(size=(4 * pictures, 13))).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch = pytest.importorskip("torch", reason="no extra with torch is installed")
    from lr_asd_reference import random_reference

    network = random_reference(3)
    path = tmp_path_factory.mktemp("lr_asd") / "random.model"
    torch.save(network.state_dict(), path)
    return network, path


@pytest.mark.slow
def test_all_parts_give_what_pytorch_gives(checkpoint):
    import torch

    network, path = checkpoint
    crops, coefficients = inputs(30)
    with torch.inference_mode():
        reference = network(torch.tensor(crops).float()[None], torch.tensor(coefficients)[None])
    expected = [part[0].numpy() for part in reference]
    onnx = LrAsd(path)
    seen, heard = onnx.embed_pictures(crops), onnx.embed_sound(coefficients)
    assert seen.shape == heard.shape == (30, 128)
    assert np.ptp(expected[2]) > 0.01
    for result, wanted in zip(
        (seen, heard, onnx.score(heard[None], seen[None])[0]), expected, strict=True
    ):
        assert result == pytest.approx(wanted, abs=1e-5 * max(1.0, float(np.abs(wanted).max())))
    twice = onnx.score(np.stack((heard, heard[::-1])), np.stack((seen, seen[::-1])))
    assert twice[0] == pytest.approx(expected[2], abs=1e-5)
    assert not np.allclose(twice[1], twice[0])


@pytest.mark.slow
def test_features_depend_on_their_context_only(checkpoint):
    onnx = LrAsd(checkpoint[1])
    crops, coefficients = inputs(2 * CONTEXT + 3)
    whole = onnx.embed_pictures(crops)
    end = CONTEXT + 1
    assert onnx.embed_pictures(crops[: end + CONTEXT])[:end] == pytest.approx(whole[:end], abs=1e-4)
    assert np.abs(onnx.embed_pictures(crops[: end + CONTEXT - 1])[:end] - whole[:end]).max() > 1e-3
    heard = onnx.embed_sound(coefficients)
    part = onnx.embed_sound(coefficients[4:])[6:]
    assert part == pytest.approx(heard[7:], abs=1e-4)


def test_tensors_are_read_as_pytorch_reads_them(checkpoint, tmp_path):
    torch = pytest.importorskip("torch", reason="no extra with torch is installed")
    network, path = checkpoint
    result = read_tensors(path)
    assert list(result) == list(network.state_dict())
    assert len(result) > 150
    for name, tensor in network.state_dict().items():
        assert np.array_equal(result[name], tensor.numpy()), name
    several = {"half": torch.ones(3).half(), "double": torch.arange(6).double().reshape(2, 3)}
    several |= {"flag": torch.tensor([True, False]), "whole": torch.tensor(5)}
    several |= {"part": torch.arange(10)[4:7]}
    torch.save(several, tmp_path / "several.pt")
    kinds = read_tensors(tmp_path / "several.pt")
    for name, tensor in several.items():
        assert kinds[name].dtype == tensor.numpy().dtype
        assert np.array_equal(kinds[name], tensor.numpy()), name
    turned = torch.arange(6).reshape(2, 3).T
    torch.save({"turned": turned}, tmp_path / "turned.pt")
    with pytest.raises(ValueError, match="not in one piece"):
        read_tensors(tmp_path / "turned.pt")


def archive(path, content):
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("archive/data.pkl", content)
    return path


class Hostile:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Hostile()),
        pickle.dumps({"a": Hostile()}),
        pickle.dumps({"a": 1}),
        pickle.dumps([1, 2]),
        pickle.dumps({"a": np.ones(2)}),
        b"\x80\x02cos\nsystem\nU\x04trueR.",
        b"\x80\x02}U\x01aK",
        b"",
        b"nonsense",
    ],
)
def test_a_file_that_names_anything_but_tensors_is_refused(content, tmp_path, capsys):
    with pytest.raises(ValueError, match="expected"):
        read_tensors(archive(tmp_path / "hostile.pt", content))
    assert capsys.readouterr().out == ""


def test_what_is_no_checkpoint_is_refused(tmp_path):
    plain = tmp_path / "plain.model"
    plain.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"expected .*plain\.model to be a PyTorch checkpoint"):
        read_tensors(plain)
    with zipfile.ZipFile(tmp_path / "empty.model", "w") as packed:
        packed.writestr("readme", "nothing")
    with pytest.raises(ValueError, match=r"no data\.pkl"):
        read_tensors(tmp_path / "empty.model")


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    torch = pytest.importorskip("torch", reason="no extra with torch is installed")
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.model")
    with pytest.raises(ValueError, match="to be a checkpoint of LR-ASD"):
        LrAsd(tmp_path / "other.model")
