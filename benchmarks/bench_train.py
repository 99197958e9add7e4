"""Training of a metric from stored features, compared with extraction; streaming of the first row."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._media import clips
from benchmarks._rows import Row
from theval_datasets.commands.build import build
from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.commands.train import train

SIGNALS = ("landmarks", "head_pose", "vad", "loudness", "theval_signals")
_MOST = 10
_FIRST = """
import sys, time
from datasets import load_dataset
started = time.perf_counter()
rows = load_dataset(sys.argv[1], "features", split="train", streaming=True)
next(iter(rows))
print(time.perf_counter() - started)
"""


def run() -> list[Row]:
    """Measure on up to ten clips with simulated scores."""
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as scratch:
        return _measure(Path(scratch))


def _measure(scratch: Path) -> list[Row]:
    sample, called = clips(scratch / "sample")
    folder = scratch / "videos"
    folder.mkdir()
    for number, path in enumerate(sample[:_MOST]):
        shutil.copy(path, folder / f"portrait-{number}__generator{path.suffix}")
    curated = curate([str(folder)], scratch / "work", root=scratch)
    cache = str(scratch / "cache")
    started = time.perf_counter()
    extract(curated.manifest, features=SIGNALS, cache=cache)
    extracting = time.perf_counter() - started
    ratings = _ratings(scratch / "ratings-simulated.csv", [p.stem for p in folder.iterdir()])
    made = build(
        "thqa-mt",
        scratch,
        manifest=curated.manifest,
        cache=cache,
        tables=[f"ratings={ratings}"],
        configs=["features"],
    ).release.folder
    started = time.perf_counter()
    train(made, model="forest")
    training = time.perf_counter() - started
    first = subprocess.run(
        [sys.executable, "-c", _FIRST, str(made)], capture_output=True, text=True, check=True
    )
    note = f"{min(len(sample), _MOST)} of {called}, signals only; loading and five forests"
    return [
        Row("extraction first, then training", extracting + training, "s", note=note),
        Row("training on stored features", training, "s", note=note),
        Row("extraction and training against training alone",
            (extracting + training) / training, "x", note="grows with the length of the clips"),
        Row("features streamed, first row", float(first.stdout), "s", note="from disk"),
    ]  # fmt: skip


def _ratings(path: Path, names: list[str]) -> Path:
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["subject", "clip_id", "score"])
        for subject in range(8):
            for quality, name in enumerate(sorted(names)):
                score = np.clip(quality / len(names) * 4 + rng.normal(0, 0.5), 0, 5)
                writer.writerow([f"simulated-{subject}", name, round(float(score), 2)])
    return path
