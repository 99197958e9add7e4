"""Time and memory against the size of the corpus: ``python -m benchmarks.scaling``.

Makes 1,000 clips or more from the real or sample clips (one second each, all with different hashes),
extracts growing parts of them with both engines, and plots wall time and peak memory. It takes some
minutes and is not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import numpy as np
import psutil

from benchmarks._media import clips
from benchmarks.bench_extract import EXTRACTORS, jobs_of
from theval_datasets.engines.base import Engine
from theval_datasets.engines.local import LocalEngine
from theval_datasets.engines.ray import RayEngine
from theval_datasets.extraction.measure import run_plan
from theval_datasets.extraction.runner import ClipJob, Plan
from theval_datasets.media import ffmpeg_binary

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One run: clips, wall seconds, peak memory of one process of the run in MB."""

    engine: str
    clips: int
    seconds: float
    memory: float


def corpus(folder: Path, size: int) -> list[ClipJob]:
    """`size` clips of one second, all with different bytes."""
    paths, _ = clips(folder / "sample")
    short = []
    for path in paths:
        target = folder / f"{path.stem}.mp4"
        ffmpeg.input(str(path), t=1).output(
            str(target), vcodec="libx264", preset="veryfast", pix_fmt="yuv420p", vf="scale=-2:256"
        ).run(cmd=ffmpeg_binary(), quiet=True)
        short.append(target)
    made = []
    for i in range(size):
        target = folder / f"clip-{i:05d}.mp4"
        shutil.copy(short[i % len(short)], target)
        with target.open(
            "ab"
        ) as stream:  # a box that players ignore: another hash, the same frames
            stream.write((16).to_bytes(4) + b"free" + i.to_bytes(8))
        made.append(target)
    jobs = jobs_of(made)
    assert len({job.sha256 for job in jobs}) == size
    return jobs


class Watch:
    """Samples the memory of this process's descendants, and of Ray's, twice a second."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            for process in psutil.Process().children(recursive=True):
                try:
                    name = " ".join(process.cmdline())
                    if "multiprocessing" in name or "ray::" in name:
                        self.peak = max(self.peak, process.memory_info().rss / 2**20)
                except psutil.Error:
                    continue


def measure(name: str, engine: Engine, jobs: list[ClipJob], cache: Path) -> Point:
    """Extract the signal features of all jobs with a fresh cache."""
    plan = Plan(EXTRACTORS, str(cache), decode_threads=1)
    with Watch() as watch:
        started = time.perf_counter()
        reports = list(run_plan(engine, jobs, plan))
        seconds = time.perf_counter() - started
    assert len(reports) == len(jobs)
    failed = [o for r in reports for o in r.outcomes.values() if o.status == "failed"]
    assert not failed, failed[:3]
    return Point(name, len(jobs), seconds, watch.peak)


def draw(points: list[Point], path: Path) -> None:
    """Wall time and peak memory against the number of clips."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in dict.fromkeys(point.engine for point in points):
        mine = [point for point in points if point.engine == name]
        sizes = [point.clips for point in mine]
        left.plot(sizes, [point.seconds for point in mine], "o-", label=name)
        right.plot(sizes, [point.memory for point in mine], "o-", label=name)
    left.set(xlabel="clips", ylabel="wall seconds", title="time", xlim=(0, None), ylim=(0, None))
    right.set(
        xlabel="clips", ylabel="MB", title="peak memory of a worker", xlim=(0, None), ylim=(0, None)
    )
    left.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> int:
    """Print and plot a table; return 1 if time is not linear or memory not constant."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("-o", "--output", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    points: list[Point] = []
    with tempfile.TemporaryDirectory(prefix="theval-scaling-") as name:
        folder = Path(name)
        jobs = corpus(folder, options.clips)
        sizes = [options.clips // 4, options.clips // 2, options.clips]
        engines: dict[str, Engine] = {"local": LocalEngine(WORKERS), "ray": RayEngine(WORKERS)}
        for size in sizes:
            for label, engine in engines.items():
                point = measure(label, engine, jobs[:size], folder / f"{label}-{size}")
                print(
                    f"{label:<6} {size:>6} clips {point.seconds:>7.1f} s "
                    f"{size / point.seconds:>6.2f} clips/s {point.memory:>5.0f} MB",
                    flush=True,
                )
                points.append(point)
    draw(points, options.output / "scaling.png")
    faults = 0
    for label in engines:
        mine = [point for point in points if point.engine == label]
        rates = np.array([point.clips / point.seconds for point in mine])
        memory = [point.memory for point in mine]
        linear = rates[-1] >= 0.85 * rates.max()
        flat = memory[-1] <= 1.15 * memory[0]
        print(f"{label}: time {'linear' if linear else 'NOT LINEAR'}, "
              f"memory {'flat' if flat else 'NOT FLAT'}")  # fmt: skip
        faults += (not linear) + (not flat)
    ours, theirs = (next(p for p in reversed(points) if p.engine == e) for e in engines)
    print(f"ray / local throughput at {WORKERS} workers: {ours.seconds / theirs.seconds:.2f}")
    print(f"drawn in {options.output / 'scaling.png'}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
