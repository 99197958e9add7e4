"""Building, verifying and opening `features` of growing synthetic collections: time, memory, growth.

The figures are plotted in ``bench-out/build.png``. Each size is measured in processes of their own.
``THEVAL_BENCH_ROWS`` sets the number of rows of the largest collection; a million takes an hour or so.
The clips share the cached features of `MEDIA` files of 13 s, so that every row is looked up, read, checked
and decompressed as always, but mostly from the memory of the operating system.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from benchmarks._rows import Row, at_most
from theval_datasets.builders.base.clips import CLIP_EXTRACTORS
from theval_datasets.builders.base.columns import load_extractors
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import ThevalError
from theval_datasets.extraction.cache import Cache, FeatureSpec, spec_of
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.extraction.store import with_needs
from theval_datasets.manifest.rows import Judgement, ManifestRow, Source
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import digest

ROWS = int(os.environ.get("THEVAL_BENCH_ROWS", "20000"))
SIZES = tuple(sorted({max(1, ROWS // part) for part in (100, 10, 3, 1)}))
MEDIA = 1000
N_FRAMES = 325
WORKERS = 2
DECODER = "synthetic-1"
STEPS: Final = ("build", "verify", "open")


def run() -> list[Row]:
    """Seconds and memory at the largest size, and the growth of both."""
    with tempfile.TemporaryDirectory(prefix="theval-bench-", dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        make_cache(folder / "cache")
        points = [_points(folder, n) for n in SIZES]
    _draw(points, Path("bench-out") / "build.png")
    rows = []
    for step in STEPS:
        seconds = [point[step]["cpu"] for point in points]
        slope = math.log(seconds[-1] / seconds[-2]) / math.log(SIZES[-1] / SIZES[-2])
        note = ", ".join(
            f"{n:,}: {p[step]['wall']:.1f} s, {p[step]['cpu']:.1f} CPU-s, {p[step]['memory']:.0f} MB"
            for n, p in zip(SIZES, points, strict=True)
        )
        rows += [
            Row(f"{step}, {SIZES[-1]:,} rows", points[-1][step]["wall"], "s", note=note),
            at_most(f"{step}, growth of CPU time", slope, "exponent of n", 1.1),
        ]
    return rows


def _points(folder: Path, n: int) -> dict[str, dict[str, float]]:
    make_manifest(folder / "manifest.jsonl", n)
    point = {}
    for step in STEPS:
        script = (
            f"from benchmarks import bench_build as b; b.measure({step!r}, {str(folder)!r}, {n})"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        point[step] = json.loads(done.stdout.splitlines()[-1])
        print(step, n, point[step], file=sys.stderr, flush=True)
    return point


def make_cache(place: Path) -> None:
    """Features of `MEDIA` clips, with values of the usual sizes; those of the paper's own definition."""
    cache = Cache(place)
    specs: dict[str, FeatureSpec] = {}
    for extractor in with_needs(load_extractors(CLIP_EXTRACTORS)):
        try:
            specs[extractor.name] = spec_of(extractor, DECODER)
        except ThevalError:  # as where its model is installed: builds find what the cache records
            facts = {
                "version": extractor.version,
                "parameters": extractor.parameters(),
                "weights": "synthetic",
                "decoder": DECODER,
                "needs": {need.name: specs[need.name].digest for need in extractor.needs()},
            }
            known = digest({"name": extractor.name, **facts})
            specs[extractor.name] = FeatureSpec(extractor.name, known, facts)
    for number in range(MEDIA):
        values = _values(number)
        for name in CLIP_EXTRACTORS:
            given = values.get(name)
            outcome = Outcome("ok") if given else Outcome("empty", "no-face")
            cache.write(specs[name], _sha256(number), Feature(outcome, given or {}))


def _values(seed: int) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    mesh = rng.integers(0, 16384, (1, 478, 3)) + np.cumsum(
        rng.integers(-2, 3, (N_FRAMES, 478, 3)), 0
    )
    embedding = rng.normal(size=512).astype(np.float32)
    signals = ("lip_dynamics", "head_motion", "head_motion_scale_invariant", "eyebrow_dynamics",
               "silent_lip_stability", "lip_sync")  # fmt: skip
    return {
        "landmarks": {
            "time": np.arange(N_FRAMES) / 25,
            "face": np.ones(N_FRAMES, bool),
            "mesh": (mesh % 16384).astype(np.int16),
        },
        "head_pose": {
            name: rng.normal(0, 10, N_FRAMES).astype(np.float32)
            for name in ("pitch", "yaw", "roll")
        },
        "vad": {"probability": rng.random(406).astype(np.float32), "speech_ratio": np.array(0.4)},
        "theval_signals": {name: np.array(rng.random()) for name in signals}
        | {"openness": rng.random(N_FRAMES)},
        "faces": {"n_subjects": np.array(1, np.int32)},
        "arcface": {"embedding": embedding / np.linalg.norm(embedding)},
    }


def _sha256(number: int) -> str:
    return f"{number % MEDIA:064x}"


def make_manifest(path: Path, n: int) -> None:
    """Rows of 1 kB, in order of `clip_id`."""
    media = MediaFacts(
        duration=13.0, fps=25.0, width=1080, height=1920, n_frames=N_FRAMES, rotation=0,
        variable_rate=False, video_codec="h264", audio_codec="aac", audio_rate=48_000,
        audio_channels=2, audio_start=0.0, audio_duration=13.0, n_bytes=4_321_000,
    )  # fmt: skip
    source = Source("url", "https://example.org/watch?v=NUMBER", site="example:NUMBER",
                    channel="A channel", license="cc-by-4.0", language="en")  # fmt: skip
    judgements = tuple(Judgement(name, "keep", None, {"value": 0.93}) for name in ("faces", "vad"))
    line = ManifestRow("CLIP", "clips/CLIP.mp4", source, "f" * 64, 0.0, 13.0, media=media,
                       phash="0123456789abcdef" * 13, judgements=judgements).to_json()  # fmt: skip
    with path.open("w") as stream:
        for i in range(n):
            own = line.replace("NUMBER", f"{i // 20:07d}").replace("CLIP", f"example-{i:07d}")
            stream.write(own.replace("f" * 64, _sha256(i)) + "\n")


def measure(step: str, folder: str, n: int) -> None:
    """Print wall seconds, CPU seconds of all processes, and their peak memory in MB, as JSON."""
    work = {"build": _build, "verify": _verify, "open": _open}[step]
    with _Watch() as watch:
        started = time.perf_counter()
        work(Path(folder), n)
        wall = time.perf_counter() - started
    print(json.dumps({"wall": wall, "cpu": watch.cpu, "memory": watch.peak}))


def _build(folder: Path, n: int) -> None:
    from theval_datasets.builders.base.inputs import Inputs
    from theval_datasets.builders.release.write import write_release
    from theval_datasets.builders.theval import Theval

    inputs = Inputs(folder / "manifest.jsonl", Cache(folder / "cache"))
    made = write_release(
        Theval,
        inputs,
        folder / "out",
        configs=["features"],
        decoder=DECODER,
        engine=LocalEngine(WORKERS),
    )
    assert made.info.configs["features"].rows == n


def _verify(folder: Path, _: int) -> None:
    from theval_datasets.builders.release.verify.report import verify

    report = verify(folder / "out" / "theval" / "theval", engine=LocalEngine(WORKERS))
    assert report.exit_code == 0, report.to_text()


def _open(folder: Path, n: int) -> None:
    """Load it into a cold cache, and read a row."""
    import datasets

    place = str(folder / "out" / "theval" / "theval")
    with tempfile.TemporaryDirectory(dir=folder) as cold:
        rows = datasets.load_dataset(place, split="train", cache_dir=cold)
        assert rows.num_rows == n
        assert rows[n - 1]["clip_id"] == f"example-{n - 1:07d}"


class _Watch:
    """CPU time of this process and its descendants, and the peak of their resident memory together."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._used: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._look()
        self._stop.set()
        self._thread.join()

    @property
    def cpu(self) -> float:
        """Seconds until the block ended."""
        return sum(self._used.values())

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            self._look()

    def _look(self) -> None:
        here = psutil.Process()
        memory = 0.0
        for process in (here, *here.children(recursive=True)):
            try:
                times = process.cpu_times()
                self._used[process.pid] = times.user + times.system
                memory += process.memory_info().rss / 2**20
            except psutil.Error:
                continue
        self.peak = max(self.peak, memory)


def _draw(points: list[dict[str, dict[str, float]]], path: Path) -> None:
    """CPU time and peak memory against the number of rows."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for step in STEPS:
        left.loglog(SIZES, [point[step]["cpu"] for point in points], "o-", label=step)
        right.semilogx(SIZES, [point[step]["memory"] for point in points], "o-", label=step)
    first = points[0]["build"]["cpu"]
    left.loglog(SIZES, [first * n / SIZES[0] for n in SIZES], ":", color="grey", label="as n")
    left.set(xlabel="rows", ylabel="CPU seconds", title="time")
    left.legend(fontsize="small")
    right.set(xlabel="rows", ylabel="MB", title="peak memory of all processes", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
