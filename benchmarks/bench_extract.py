"""Extraction: overhead over decoding and one mesh, scaling, cost of a cached run, memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._media import SHARED, clips
from benchmarks._rows import Row, at_least, at_most
from theval_datasets import media
from theval_datasets.extraction.cache import Cache, spec_of
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.extraction.runner import Runner
from theval_datasets.features.head_pose import HeadPose
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.loudness import Loudness
from theval_datasets.features.networks.face_mesh import FaceMesh
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.features.vad import Vad
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    FileStamp,
    ManifestRow,
    Source,
    write_manifest,
)
from theval_datasets.utils.files import sha256_file

EXTRACTORS = (Landmarks(), HeadPose(), Vad(), Loudness(), ThevalSignals())
N_CACHED = 2_000
_MEMORY = "single/latentsync_demo2.mp4"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        folder = Path(name)
        paths, what = clips(folder / "sample")
        return [
            *_cost(paths, what, folder),
            _workers(paths, what, folder),
            _cached(folder),
            _memory(paths, folder),
        ]


def jobs_of(paths: list[Path]) -> list[ClipJob]:
    return [ClipJob(path.stem, str(path), sha256_file(path)) for path in paths]


def cpu_seconds() -> float:
    """CPU seconds of this process and of its child processes that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def bare_pass(paths: list[Path]) -> dict[str, float]:
    """CPU seconds of decoding every frame to RGB once, and of tracking one mesh over the frames."""
    mesh = FaceMesh(max_faces=1, refine=True, static=False)
    spent = {"decode": 0.0, "mesh": 0.0}
    n_frames = 0
    for path in paths:
        mesh.reset()
        with media.open_video(path, threads=1) as video:
            batches = video.frames()
            while True:
                started = cpu_seconds()
                batch = next(batches, None)
                spent["decode"] += cpu_seconds() - started
                if batch is None:
                    break
                started = cpu_seconds()
                for frame in batch.pixels:
                    mesh.faces(frame)
                spent["mesh"] += cpu_seconds() - started
                n_frames += len(batch)
    return spent | {"frames": n_frames}


def _cost(paths: list[Path], what: str, folder: Path) -> list[Row]:
    bare_pass(paths[:1])
    runner = Runner(Plan(EXTRACTORS, str(folder / "warm")))
    jobs = jobs_of(paths)
    runner.process(jobs[0])
    bare = bare_pass(paths)
    runner = Runner(Plan(EXTRACTORS, str(folder / "cost")))
    for extractor in EXTRACTORS:
        runner.model(extractor)
    started = cpu_seconds()
    spent: dict[str, float] = {}
    for job in jobs:
        for name, seconds in runner.process(job).seconds.items():
            spent[name] = spent.get(name, 0.0) + seconds
    full = cpu_seconds() - started
    total = sum(spent.values())
    shares = ", ".join(
        f"{name} {seconds / total:.0%}" for name, seconds in sorted(spent.items(), key=_by_value)
    )
    limit = bare["decode"] + bare["mesh"]
    rows = [
        at_most(
            "CPU of the full extraction / (one mesh pass + one decode)", full / limit, "x", 1.25,
            f"{what}; wall time by part: {shares}",
        ),
        Row("mesh alone", bare["frames"] / bare["mesh"], "frames/CPU s", note=what),
        Row("decode to RGB alone", bare["frames"] / bare["decode"], "frames/CPU s", note=what),
    ]  # fmt: skip
    for name, seconds in sorted(spent.items(), key=_by_value):
        rows.append(Row(f"{name} in the pass", bare["frames"] / max(seconds, 1e-9), "frames/s"))
    return rows


def _by_value(item: tuple[str, float]) -> float:
    return -item[1]


_CONFINED = """
import json, os, sys, time
from pathlib import Path
cores, workers = json.loads(sys.argv[1]), int(sys.argv[2])
os.sched_setaffinity(0, cores)
from benchmarks.bench_extract import EXTRACTORS, jobs_of
from theval_datasets.engines.local import LocalEngine
from theval_datasets.extraction.jobs import Plan
from theval_datasets.extraction.measure import run_plan
if __name__ == "__main__":
    jobs = jobs_of([Path(p) for p in sys.argv[4:]])
    plan = Plan(EXTRACTORS, sys.argv[3], decode_threads=1)
    started = time.perf_counter()
    reports = list(run_plan(LocalEngine(workers), jobs, plan))
    print(time.perf_counter() - started)
    assert len(reports) == len(jobs)
    assert all(report.computed for report in reports), reports
"""


def _workers(paths: list[Path], what: str, folder: Path) -> Row:
    """Wall time, including the start of the workers, whose share is reduced by using every clip twice.

    The better of two runs counts, since other load on the machine can only slow a run down.
    """
    cores = sorted(os.sched_getaffinity(0))
    twice = [*paths, *(_of_other_bytes(path, folder) for path in paths)]
    script = folder / "confined.py"
    script.write_text(_CONFINED)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    seconds: dict[int, float] = {}
    for run in range(2):
        for workers in (1, 2):
            command = [sys.executable, str(script), json.dumps(cores[:workers]), str(workers)]
            command += [str(folder / f"cache-{workers}-{run}"), *map(str, twice)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
            took = float(done.stdout.split()[-1])
            seconds[workers] = min(took, seconds.get(workers, took))
    return at_least(
        "2 workers on 2 cores / 1 worker on 1 core", seconds[1] / seconds[2], "x", 1.7,
        f"{what}, twice; {seconds[1]:.1f} s and {seconds[2]:.1f} s, starting them included",
    )  # fmt: skip


def _of_other_bytes(path: Path, folder: Path) -> Path:
    """A copy of a clip with an empty box at its end: the same pictures, another hash."""
    copy = folder / f"{path.stem}-again{path.suffix}"
    copy.write_bytes(path.read_bytes() + b"\0\0\0\x08free")
    return copy


def _cached(folder: Path) -> Row:
    """The command on clips whose features are all cached."""
    from theval_datasets.commands.extract import extract

    work = folder / "cached"
    (work / "clips").mkdir(parents=True)
    cache = Cache(work / "cache")
    recipes = [spec_of(extractor, media.decoder_version()) for extractor in EXTRACTORS]
    feature = Feature(Outcome("ok"), {"mesh": np.zeros((50, 478, 3), np.int16)})
    rows = []
    for i in range(N_CACHED):
        path = work / "clips" / f"{i}.mp4"
        path.write_bytes(b"%d" % i)
        sha, stat = sha256_file(path), path.stat()
        for recipe in recipes:
            cache.write(recipe, sha, feature)
        stamp = FileStamp(stat.st_size, stat.st_mtime_ns)
        source = Source("local", path.name)
        rows.append(ManifestRow(str(i), f"clips/{i}.mp4", source, sha, stamp=stamp))
    write_manifest(work / MANIFEST_NAME, rows)
    started = time.perf_counter()
    names = [extractor.name for extractor in EXTRACTORS]
    report = extract(work, features=names, cache=str(work / "cache"))
    seconds = time.perf_counter() - started
    assert report.clips == N_CACHED
    assert not report.computed
    return at_least(
        "extract again with everything cached", N_CACHED / seconds, "clips/s", 1_000,
        f"{N_CACHED} clips × {len(names)} extractors",
    )  # fmt: skip


_PEAK = """
import resource, sys
from benchmarks.bench_extract import EXTRACTORS, jobs_of
from pathlib import Path
from theval_datasets.extraction.jobs import Plan
from theval_datasets.extraction.runner import Runner
runner = Runner(Plan(EXTRACTORS, sys.argv[1], decode_threads=1))
report = runner.process(jobs_of([Path(sys.argv[2])])[0])
assert all(o.status == "ok" for o in report.outcomes.values()), report
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _memory(paths: list[Path], folder: Path) -> Row:
    real = SHARED / "media" / _MEMORY
    path = real if real.is_file() else max(paths, key=lambda p: p.stat().st_size)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", _PEAK, str(folder / "peak"), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    facts = media.probe(path)
    return at_most(
        "peak memory of a worker", float(done.stdout.split()[-1]), "MB", 800,
        f"{facts.duration:.0f} s of {facts.width}×{facts.height}",
    )  # fmt: skip
