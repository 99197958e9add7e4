"""Distances to the real partner: against reference implementations, and paired by time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.errors import AbsentError, InputError, MissingExtraError, WeightsMissingError
from theval_datasets.evaluation import pictures, references
from theval_datasets.extraction import mesh as _mesh
from theval_datasets.utils.optional import available


def pair(seed=0, shape=(40, 50, 3), noise=20.0):
    rng = np.random.default_rng(seed)
    real = rng.integers(0, 256, shape).astype(np.uint8)
    return np.clip(real + rng.normal(0, noise, shape), 0, 255).astype(np.uint8), real


@pytest.mark.parametrize("shape", [(40, 50, 3), (40, 50), (11, 11, 3)])
@pytest.mark.parametrize("noise", [0.5, 10.0, 80.0])
def test_as_scikit_image_has_them(shape, noise):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    ours, real = pair(1, shape, noise)
    assert pictures.psnr(ours, real) == pytest.approx(
        metrics.peak_signal_noise_ratio(real, ours, data_range=255)
    )
    expected = metrics.structural_similarity(
        ours, real, data_range=255, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, channel_axis=2 if len(shape) == 3 else None,
    )  # fmt: skip
    assert pictures.ssim(ours, real) == pytest.approx(expected, abs=1e-9)


def test_equal_and_unequal_pictures():
    _, real = pair()
    assert pictures.psnr(real, real) == math.inf
    assert pictures.ssim(real, real) == pytest.approx(1)
    for measure in (pictures.psnr, pictures.ssim):
        with pytest.raises(InputError, match="one size"):
            measure(real, real[:-1])
    with pytest.raises(InputError, match="11"):
        pictures.ssim(real[:9], real[:9])


def test_frames_are_paired_by_time_and_what_is_beyond_has_no_partner():
    real = np.arange(10) / 25
    assert references.pair_by_time(real, real).generated.tolist() == list(range(10))
    fast = np.arange(40) / 50
    pairing = references.pair_by_time(fast, real)
    assert pairing.generated.tolist() == list(range(0, 20, 2))
    short = references.pair_by_time(real[:4], real)
    assert short.real.tolist() == [0, 1, 2, 3]
    slow = references.pair_by_time(np.arange(5) / 12.5, real)
    assert slow.generated.tolist() == list(range(5))
    assert len(references.pair_by_time(np.zeros(0), real)) == 0
    assert len(references.pair_by_time(np.zeros(1), np.zeros(1))) == 1


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 999))
def test_no_pair_is_further_apart_than_half_an_interval(n, m, seed):
    rng = np.random.default_rng(seed)
    ours, real = (np.cumsum(rng.uniform(0.01, 0.1, k)) for k in (n, m))
    pairing = references.pair_by_time(ours, real)
    assert len(pairing.generated) == len(pairing.real)
    if m > 1:
        apart = np.abs(ours[pairing.generated] - real[pairing.real])
        assert (apart <= np.median(np.diff(real)) / 2 + 1e-5).all()
    assert (np.diff(pairing.generated) >= 0).all()


def test_videos_at_other_sizes_and_rates(media):
    same = references.video_distances(media("plain"), media("plain"))
    assert same == {"psnr": None, "ssim": pytest.approx(1), "pairs": 50}
    other = references.video_distances(media("vp9"), media("plain"))
    assert 20 < other["psnr"] < 50
    assert 0.7 < other["ssim"] < 1
    thin = references.video_distances(media("vfr"), media("plain"))
    assert thin["pairs"] < 50
    assert thin["ssim"] > 0.9


def mesh(seed=0, frames=6, fps=25.0, shift=0.0, scale=1.0, mouth=0.0):
    """Values of `landmarks`: a face of its own for each seed, moved, scaled, with its lips moved."""
    rng = np.random.default_rng(seed)
    face = rng.uniform(0.3, 0.6, (478, 3))
    face[list(_mesh.LIPS), 1] += np.where(np.arange(40) % 2, mouth, -mouth)
    points = np.repeat((face * scale + shift)[None], frames, axis=0)
    return {
        "time": np.arange(frames) / fps,
        "face": np.ones(frames, bool),
        "mesh": _mesh.quantise(points),
        "width": np.array(400, np.int32),
        "height": np.array(400, np.int32),
    }


def test_landmark_distances_see_shape_and_neither_place_nor_size():
    assert references.landmark_distances(mesh(), mesh()) == (0, 0)
    face, mouth = references.landmark_distances(mesh(shift=0.1, scale=0.8), mesh())
    assert face < 0.01
    assert mouth < 0.01
    face, mouth = references.landmark_distances(mesh(mouth=0.02), mesh())
    scale = float(_mesh.inter_ocular(_mesh.pixels(mesh()["mesh"], 400, 400))[0]) / 400
    assert mouth == pytest.approx(0.02 / scale, rel=0.01)
    assert face == pytest.approx(mouth * 40 / 468, rel=0.2)


def test_landmarks_pair_only_where_both_have_a_face():
    ours, real = mesh(frames=6), mesh(frames=6)
    ours["face"][:3] = False
    ours["mesh"] = ours["mesh"][3:]
    assert references.landmark_distances(ours, real) == (0, 0)
    real["face"][3:] = False
    real["mesh"] = real["mesh"][:3]
    with pytest.raises(AbsentError) as none:
        references.landmark_distances(ours, real)
    assert none.value.reason == "no-pairs"


def test_lse_tables(tmp_path):
    table = tmp_path / "lse.csv"
    table.write_text("clip_id,lse_c,lse_d,more\na,6.5,7.25,x\nb/c,-1,9,\n", encoding="utf-8")
    assert references.read_lse(table) == {"a": (6.5, 7.25), "b/c": (-1.0, 9.0)}
    table.write_bytes("clip_id;lse_c ;lse_d\r\na;6,5;7,25\r\n\r\n".encode("utf-16"))  # Excel's
    assert references.read_lse(table) == {"a": (6.5, 7.25)}
    for text, what in (
        ("clip_id,lse_c\na,1\n", "lse_d"),
        ("clip_id,lse_c,lse_d\na,1,nan\n", "row 1"),
        ("clip_id,lse_c,lse_d\nb,1,2\na,1\n", "row 2"),
        ("clip_id,lse_c,lse_d\n,1,2\n", "row 1: expected a clip_id"),
        ('clip_id,lse_c,lse_d\na,"1,234",2\n', "row 1: expected two numbers"),  # a thousand?
        ("clip_id,lse_c,lse_c,lse_d\na,1,2,3\n", "several columns are named 'lse_c'"),
        ("clip_id,lse_c,lse_d\na,1,2\na,1,2\n", "twice"),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=what):
            references.read_lse(table)
    with pytest.raises(InputError, match="there is no file"):
        references.read_lse(tmp_path / "none.csv")


@pytest.mark.skipif(available("lpips"), reason="the extra [lpips] is installed")
def test_lpips_names_its_extra():
    with pytest.raises(MissingExtraError, match=r"\[lpips\]"):
        pictures.lpips()


@pytest.mark.skipif(not available("lpips"), reason="the extra [lpips] is not installed")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_lpips_with_an_untrained_backbone(monkeypatch, tmp_path):
    import torch
    from torchvision.models import alexnet

    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(WeightsMissingError, match="alexnet-owt"):
        pictures.lpips()
    (tmp_path / "torchvision").mkdir()
    torch.manual_seed(2)
    torch.save(alexnet().state_dict(), tmp_path / "torchvision/alexnet-owt-7be5be79.pth")
    distance = pictures.lpips()
    near, real = pair(3, (64, 64, 3), 4.0)
    far, _ = pair(3, (64, 64, 3), 120.0)
    assert distance(real, real) == 0
    assert 0 < distance(near, real) < distance(far, real)
    torch.manual_seed(2)
    assert distance(near, real) == pictures.lpips()(near, real)
