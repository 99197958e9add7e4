"""Loading of a built dataset: `features` with cold caches, `landmarks` from disk and into arrays."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks._rows import Row, at_most
from theval_datasets.builders.base.fields import schema_of
from theval_datasets.builders.release.parquet_file import ParquetFileWriter
from theval_datasets.builders.release.write import card_text
from theval_datasets.builders.theval import Theval
from theval_datasets.cards.facts import read_facts
from theval_datasets.cards.render import render_card
from theval_datasets.manifest.info import CARD_NAME, ConfigInfo, Info, SplitInfo

CLIPS = 5492
"""Number of rows of THQA-MT, for which the target is set."""
FRAME_CLIPS = 64
N_FRAMES = 325  # 13 s at 25 frames a second
_COLD = """
import sys, time
started = time.perf_counter()
from datasets import load_dataset
imported = time.perf_counter()
rows = load_dataset(sys.argv[1], split="train", cache_dir=sys.argv[2])
loaded = time.perf_counter()
assert rows.num_rows == int(sys.argv[3]), rows.num_rows
print(loaded - imported, imported - started)
"""
_READ = """
import json, sys, time
from datasets import load_dataset
started = time.perf_counter()
rows = load_dataset("parquet", data_files={"train": sys.argv[1]}, split="train", cache_dir=sys.argv[2])
loaded = time.perf_counter()
rows = rows.with_format("arrow")
numbers = 0
for n in range(len(rows)):
    mesh = rows[n]["mesh"].combine_chunks().flatten().to_numpy().reshape(-1, 478, 3)
    numbers += mesh.size
read = time.perf_counter()
rows = rows.with_format("numpy")
for n in range(len(rows)):
    mesh = rows[n]["mesh"].reshape(-1, 478, 3) * rows[n]["scale"]
done = time.perf_counter()
print(json.dumps([loaded - started, read - loaded, done - read, numbers]))
"""


def run() -> list[Row]:
    """Measure each figure in processes of its own, with fresh caches."""
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as scratch:
        return [*_features(Path(scratch)), *_landmarks(Path(scratch))]


def _features(scratch: Path) -> list[Row]:
    path = _write("features", _feature_tables(), scratch)
    _write_card(scratch, path)
    seconds, imports = [], []
    for turn in range(3):
        done = _python(_COLD, scratch, scratch / f"cold-{turn}", CLIPS)
        loading, importing = map(float, done.split())
        seconds.append(loading)
        imports.append(importing)
    note = f"embedding of 512; {path.stat().st_size / 1e6:.1f} MB; import {statistics.median(imports):.2f} s before"
    name = f"load_dataset of features, {CLIPS} rows, cold"
    return [at_most(name, statistics.median(seconds), "s", 0.3, note)]


def _write(config: str, tables: list[pa.Table], folder: Path) -> Path:
    """The Parquet file of a table, in the layout of a release."""
    path = folder / config / "train-00000-of-00001.parquet"
    schema = schema_of(Theval.FIELDS[config])
    with ParquetFileWriter(path, Theval.builder_configs[config], schema) as writer:
        for table in tables:
            writer.write(table)
    return path


def _write_card(folder: Path, path: Path) -> None:
    """The card of a release with this one config, since loading includes reading the card."""
    columns = tuple(field.info() for field in Theval.FIELDS["features"])
    size = path.stat().st_size
    split = SplitInfo(CLIPS, size, size, (path.relative_to(folder).as_posix(),))
    info = Info(
        dataset=Theval.repository(),
        version="0.1.0",
        toolkit="0",
        configs={"features": ConfigInfo("", columns, {"train": split})},
        files={},
        card_sha256="",
        counts={"clips": CLIPS},
    )
    (folder / CARD_NAME).write_text(render_card(info, read_facts(folder, info), card_text(Theval)))


def _landmarks(scratch: Path) -> list[Row]:
    tables = list(_landmark_tables())
    started = time.perf_counter()
    path = _write("landmarks", tables, scratch)
    writing = time.perf_counter() - started
    size = path.stat().st_size / FRAME_CLIPS / 1e6
    loading, reading, scaling, numbers = json.loads(_python(_READ, path, scratch / "read"))
    raw = numbers * 2 / 1e6
    clips = f"{FRAME_CLIPS} clips of {N_FRAMES} frames"
    return [
        at_most("landmarks on disk, a 13 s clip", size, "MB", 0.6, "a moving, noisy mesh"),
        Row("landmarks written", raw / writing, "MB/s", note=f"int16 mesh; {clips}"),
        Row("landmarks loaded, cold", raw / loading, "MB/s", note=clips),
        Row("landmarks read as int16 arrays", raw / reading, "MB/s", note=clips),
        Row("landmarks read and scaled, numpy format", scaling / FRAME_CLIPS * 1e3, "ms a clip"),
    ]


def _feature_tables() -> list[pa.Table]:
    rng = np.random.default_rng(0)
    columns = []
    for field in schema_of(Theval.FIELDS["features"]):
        if field.name == "clip_id":
            values = [f"clip-{n:05d}" for n in range(CLIPS)]
        elif field.name == "arcface":
            values = list(rng.normal(size=(CLIPS, 512)).astype(np.float32))
        elif field.name == "missing":
            values = [["iqa:not-extracted"]] * CLIPS
        elif pa.types.is_string(field.type):
            values = [f"{field.name}-{n % 400}" for n in range(CLIPS)]
        elif pa.types.is_integer(field.type):
            values = rng.integers(1, 2000, CLIPS)
        else:
            values = rng.random(CLIPS)
        columns.append(pa.array(values, type=field.type))
    table = pa.Table.from_arrays(columns, schema=schema_of(Theval.FIELDS["features"]))
    return [table.slice(at, 1000) for at in range(0, CLIPS, 1000)]


def _landmark_tables() -> list[pa.Table]:
    from theval_datasets.builders.tables.arrow import tables_of

    schema = schema_of(Theval.FIELDS["landmarks"])
    return list(tables_of((_clip(seed) for seed in range(FRAME_CLIPS)), 16, schema))


def _clip(seed: int) -> dict[str, object]:
    """A face of 478 points that drifts, nods and trembles by half a pixel in a frame of 512."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(0.3, 0.7, (478, 3))
    drift = np.cumsum(rng.normal(0, 0.0008, (N_FRAMES, 1, 3)), axis=0)
    own = np.sin(np.arange(N_FRAMES)[:, None, None] / 7 + shape) * 0.01
    noise = rng.normal(0, 0.001, (N_FRAMES, 478, 3))
    mesh = np.clip((shape + drift + own + noise) * 16384, -32768, 32767).astype(np.int16)
    each = rng.random(N_FRAMES)
    return {
        "clip_id": f"clip-{seed}", "sha256": f"{seed:064x}", "width": 512, "height": 512,
        "fps": 25.0, "n_frames": N_FRAMES, "scale": 1 / 16384, "time": np.arange(N_FRAMES) / 25,
        "face": np.ones(N_FRAMES, bool), "mesh": mesh, "pitch": each, "yaw": each, "roll": each,
        "openness": each, "loudness": each, "speech_probability": each, "speech": each > 0.5,
        "silence": each > 0.9, "missing": [],
    }  # fmt: skip


def _python(script: str, path: Path, cache: Path, *further: object) -> str:
    environment = {**os.environ, "HF_HOME": str(cache / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", script, path, cache, *further]
    done = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]
