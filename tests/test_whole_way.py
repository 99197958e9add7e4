"""From videos to a dataset, on the sample: what must hold of the whole."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from theval_datasets.commands.build import build
from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.commands.verify import verify
from theval_datasets.manifest.rows import MANIFEST_NAME, read_manifest

pytestmark = pytest.mark.slow

SIGNALS = ["landmarks", "head_pose", "vad", "loudness", "theval_signals"]


@pytest.fixture(scope="module")
def made(sample, tmp_path_factory):
    """The sample curated, its features extracted, `theval/theval` built."""
    folder = tmp_path_factory.mktemp("whole")
    videos = next(iter(sample.values())).parent
    curate([str(videos)], folder / "work", root=videos.parent)
    extract(folder / "work", features=SIGNALS, cache=str(folder / "cache"))
    build("theval", folder / "out", manifest=folder / "work", cache=str(folder / "cache"))
    return folder


def dataset_bytes(folder: Path) -> dict[str, bytes]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    assert files
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_it_is_what_it_says(made):
    report = verify(made / "out" / "theval" / "theval")
    assert report.exit_code == 0, report.to_text()


def test_metrics_recompute_from_the_landmarks_config_alone(made):
    """An independent few lines, from the stored integers, to 1e-9."""
    folder = made / "out" / "theval" / "theval"
    rows = pl.concat(pl.read_parquet(p) for p in sorted((folder / "landmarks").glob("*.parquet")))
    table = pl.concat(pl.read_parquet(p) for p in sorted((folder / "features").glob("*.parquet")))
    compared = 0
    for row in rows.iter_rows(named=True):
        (expected,) = table.filter(pl.col("clip_id") == row["clip_id"]).iter_rows(named=True)
        if row["mesh"] is None:
            assert expected["lip_dynamics"] is None
            continue
        for name, value in recomputed(row).items():
            if value is None:
                assert expected[name] is None, (row["clip_id"], name)
            else:
                assert expected[name] == pytest.approx(value, rel=1e-9), (row["clip_id"], name)
                compared += 1
    assert compared > 20


def recomputed(row) -> dict[str, float | None]:
    mesh = np.array(row["mesh"], float).reshape(-1, 478, 3)[:, :, :2] * row["scale"]
    px = mesh * (row["width"], row["height"])
    face = np.array(row["face"])
    lips = [0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185,
            191, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405,
            409, 415]  # fmt: skip
    brows = [[276, 282, 283, 285, 293, 295, 296, 300, 334, 336],
             [46, 52, 53, 55, 63, 65, 66, 70, 105, 107]]  # fmt: skip
    eyes = [[249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466],
            [7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246]]  # fmt: skip
    upper, lower = [191, 80, 81, 82, 13, 312, 311, 310], [95, 88, 178, 87, 14, 317, 402, 318]
    scale = np.linalg.norm(px[:, eyes[0]].mean(1) - px[:, eyes[1]].mean(1), axis=1)
    of_face = lambda name: np.array(row[name], float)[face]  # noqa: E731
    spoken = np.array([s is True for s in row["speech"]])[face]
    silent = np.array([s is True for s in row["silence"]])[face]

    spreads = [
        np.linalg.norm((mesh[:, a] - mesh[:, b]) * 256, axis=1).std(ddof=1)
        for a, b in itertools.combinations(lips, 2)
    ]
    angles = np.stack([of_face(name) for name in ("pitch", "yaw", "roll")])
    steps = np.diff(angles)[:, np.diff(np.flatnonzero(face)) == 1]
    centre = (px[:, :468].min(1) + px[:, :468].max(1)) / 2
    brow = np.mean(
        [abs(px[:, b, 1].mean(1) - px[:, e, 1].mean(1)) for b, e in zip(brows, eyes, strict=True)],
        axis=0,
    )
    gap = abs(px[:, upper, 1] - px[:, lower, 1]).mean(1) / scale
    opening = abs(px[:, upper, 1].mean(1) - px[:, lower, 1].mean(1)) / scale
    by_name: dict[str, float | None] = {
        "lip_dynamics": float(np.mean(spreads)),
        "head_motion": float(
            np.sqrt(
                angles.std(axis=1, ddof=1).mean() * steps.var(axis=1, ddof=1).mean()
                + centre.var(axis=0, ddof=1).mean()
            )
        ),
        "eyebrow_dynamics": float((brow / scale).std(ddof=1)),
        "silent_lip_stability": None,
        "lip_sync": None,
    }
    if silent.sum() >= 2:
        by_name["silent_lip_stability"] = float(
            np.median(abs(gap[silent] - np.median(gap[silent])))
        )
    if spoken.sum() >= 2:
        unit = lambda x: (x - x.min()) / (x.max() - x.min())  # noqa: E731
        loud = of_face("loudness")[spoken]
        by_name["lip_sync"] = float(abs(unit(opening[spoken]) - unit(loud)).mean())
    return by_name


def test_a_second_run_computes_nothing(made):
    report = extract(made / "work", features=SIGNALS, cache=str(made / "cache"))
    assert report.clips > 5
    assert not report.computed


def test_order_changes_no_value(made, tmp_path):
    rows = read_manifest(made / "work").rows
    lines = [row.to_json() for row in reversed(rows)]
    shutil.copytree(made / "work", tmp_path / "work", copy_function=os.link)
    (tmp_path / "work" / MANIFEST_NAME).unlink()
    (tmp_path / "work" / MANIFEST_NAME).write_text("\n".join(lines) + "\n")
    cache = str(tmp_path / "cache")
    extract(tmp_path / "work", features=SIGNALS, cache=cache, workers=1)
    entries = {p.name: p.read_bytes() for p in Path(cache).rglob("*.feature")}
    before = {p.name: p.read_bytes() for p in (made / "cache").rglob("*.feature")}
    assert len(entries) == len(SIGNALS) * len(rows)
    assert entries == before


def test_killed_three_times_ends_in_the_same_bytes(made, tmp_path):
    command = [sys.executable, "-m", "theval_datasets", "extract", str(made / "work")]
    command += ["--cache", str(tmp_path / "cache"), "--features", ",".join(SIGNALS)]
    rng = random.Random(7)
    killed = 0
    for _ in range(3):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(rng.uniform(1.5, 4.0))
        if process.poll() is None:
            killed += 1
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert killed >= 1
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    build("theval", tmp_path / "out", manifest=made / "work", cache=str(tmp_path / "cache"))
    assert dataset_bytes(tmp_path / "out") == dataset_bytes(made / "out")
