"""Near-duplicates and identities of growing collections of synthetic clips: seconds, memory, growth.

The figures are plotted in ``bench-out/index.png``. Each size is measured in a process of its own.
``THEVAL_BENCH_CLIPS`` sets the number of clips of the largest collection.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks._rows import Row, at_most
from theval_datasets.curation.duplicates.face_index import FaceIndex, people_of
from theval_datasets.curation.duplicates.matching import Prints
from theval_datasets.curation.duplicates.reference_index import (
    ReferenceClip,
    read_index,
    write_index,
)
from theval_datasets.curation.filters.base import Clip, Features
from theval_datasets.curation.filters.near_duplicates import NearDuplicates
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.manifest.rows import Source
from theval_datasets.media.facts import MediaFacts

CLIPS = int(os.environ.get("THEVAL_BENCH_CLIPS", "85000"))
SIZES = tuple(round(CLIPS / 17 * part) for part in (1, 2, 4, 8, 17))
N_FRAMES, N_STEPS = 26, 198
COPIES = 0.1
PEOPLE = 20  # clips of one person
DIM = 512
ADDED = 1000


def _prints(n: int) -> list[Prints]:
    """Clips of 13 s with sound, whose frames differ by 4 of 64 bits; one in ten copies another one."""
    rng = np.random.default_rng(11)
    scenes = rng.integers(0, 2**64, (n, 1), dtype=np.uint64)
    changes = np.ones((n, N_FRAMES), np.uint64) << rng.integers(0, 64, (n, N_FRAMES), np.uint64)
    for _ in range(3):
        changes ^= np.uint64(1) << rng.integers(0, 64, (n, N_FRAMES), np.uint64)
    frames = scenes ^ np.bitwise_xor.accumulate(changes, axis=1)
    audio = rng.integers(0, 2**32, (n, N_STEPS), dtype=np.uint32)
    copies = int(COPIES * n)
    frames[-copies:] = frames[:copies] ^ changes[-copies:]
    audio[-copies:] = audio[:copies] ^ (
        np.uint32(1) << rng.integers(0, 32, (copies, N_STEPS), np.uint32)
    )
    return [Prints(clip_frames, sound) for clip_frames, sound in zip(frames, audio, strict=True)]


def _near_duplicates(n: int) -> Callable[[], Any]:
    media = MediaFacts(
        duration=13.0, fps=25.0, width=1080, height=1920, n_frames=325, rotation=0,
        variable_rate=False, video_codec="h264", audio_codec="aac", audio_rate=48_000,
        audio_channels=1, audio_start=0.0, audio_duration=13.0, n_bytes=1,
    )  # fmt: skip
    clips = []
    for i, prints in enumerate(_prints(n)):
        values = {"frame_hash": prints.frames, "audio_hash": prints.audio}
        features = Features({"fingerprints": Feature(Outcome("ok"), values)})
        clips.append((Clip(f"{i:07d}", media, Source("local", "a.mp4")), features))

    def work() -> None:
        verdicts = NearDuplicates().judge(clips)
        duplicates = sum(verdict.verdict == "reject" for verdict in verdicts)
        assert duplicates == int(COPIES * n), duplicates

    return work


def _leakage(n: int) -> Callable[[], Any]:
    every = _prints(n + ADDED)
    path = Path(tempfile.mkdtemp(prefix="theval-bench-")) / "set.index"
    nobody = np.zeros((0, 0), np.float32)
    write_index(path, (ReferenceClip(f"{i:07d}", own, nobody) for i, own in enumerate(every[:n])))
    added = every[n:]

    def work() -> None:
        read_index(path).recordings.search(added, 0.2, 0.2)
        shutil.rmtree(path.parent)

    return work


def _identities(n: int) -> Callable[[], Any]:
    rng = np.random.default_rng(12)
    people = rng.normal(size=(max(1, n // PEOPLE), DIM)).astype(np.float32)
    faces = people[rng.integers(len(people), size=n)]
    faces += 0.9 * rng.normal(size=(n, DIM)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)

    def work() -> None:
        met = people_of([face[None] for face in faces], 0.4)
        who = FaceIndex(faces).identities(0.4)
        assert len({person for (person,) in met}) == who.max() + 1 <= len(people)

    return work


TASKS: Final[Mapping[str, Callable[[int], Callable[[], Any]]]] = {
    "near-duplicates": _near_duplicates,
    "identities": _identities,
    "leakage of 1,000 clips": _leakage,
}
"""A measurement: prepares a collection of a given size, and returns the work to time."""


def run() -> list[Row]:
    """Seconds and memory at the largest size, and the exponent of the growth."""
    points = {task: [_point(task, n) for n in SIZES] for task in TASKS}
    _draw(points, Path("bench-out") / "index.png")
    rows = []
    for task, measured in points.items():
        seconds = [point["cpu"] for point in measured]
        slope = math.log(seconds[-1] / seconds[0]) / math.log(SIZES[-1] / SIZES[0])
        note = ", ".join(
            f"{n:,}: {point['cpu']:.0f} CPU-s, {point['wall']:.0f} s"
            for n, point in zip(SIZES, measured, strict=True)
        )
        memory = measured[-1]["memory"]
        rows += [
            at_most(f"{task}, {SIZES[-1]:,} clips", measured[-1]["wall"], "s", 1200, note),
            at_most(f"{task}, growth of CPU time", slope, "exponent of n", 1.2),
            at_most(f"{task}, peak memory", memory, "MB", 4000),
        ]
    return rows


def _point(task: str, n: int) -> dict[str, float]:
    """One measurement, in a process of its own."""
    script = f"from benchmarks import bench_index as b; b.measure({task!r}, {n})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    point: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(task, n, point, file=sys.stderr, flush=True)
    return point


def measure(task: str, n: int) -> None:
    """Print wall seconds, CPU seconds and peak memory in MB as JSON."""
    work = TASKS[task](n)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": memory}))


def _draw(points: dict[str, list[dict[str, float]]], path: Path) -> None:
    """CPU time and peak memory against the number of clips."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for task, measured in points.items():
        left.loglog(SIZES, [point["cpu"] for point in measured], "o-", label=task)
        right.plot(SIZES, [point["memory"] for point in measured], "o-", label=task)
    start = points["near-duplicates"][0]["cpu"]
    for power, style in ((1, ":"), (2, "--")):
        steps = [start * (n / SIZES[0]) ** power for n in SIZES]
        left.loglog(SIZES, steps, style, color="grey", label=f"as n^{power}")
    left.set(xlabel="clips", ylabel="CPU seconds", title="time")
    left.legend(fontsize="small")
    right.set(xlabel="clips", ylabel="MB", title="peak memory", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
