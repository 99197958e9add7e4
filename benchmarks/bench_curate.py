"""CPU time of `curate` on 1080p footage with the recipe `theval`, by step, and its peak memory."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks._media import SHARED, clips
from benchmarks._rows import Row, at_most
from theval_datasets import media
from theval_datasets.curation.pipeline.curate import CurateOptions, curate
from theval_datasets.curation.recipes.recipe import load_recipe
from theval_datasets.curation.sources.local import Local
from theval_datasets.curation.tasks import Tasks
from theval_datasets.engines.local import LocalEngine
from theval_datasets.extraction.measure import compute

MINUTES = float(os.environ.get("THEVAL_BENCH_MINUTES", "1.5"))
"""Length of the footage in minutes; a minute of it takes about four CPU minutes."""
_WIDTH, _HEIGHT, _FPS = 1080, 1920, 25
_UNSEEN = ("mead", "vexpress")  # clips without sound or shorter than a shot
_TO_CUT = 0.35
_IN_ALL = 0.8
_AGAIN = 0.05
_PEAK_MB = 800


def run() -> list[Row]:
    if (SHARED / "models").is_dir():
        os.environ.setdefault("THEVAL_MODELS", str(SHARED / "models"))
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        folder = Path(name)
        file, what = footage(folder, MINUTES)
        length = media.probe(file).duration
        first, kept = _curate(folder)
        again, _ = _curate(folder)
        peak = _peak_mb()
    note = f"{length:.0f} s of {_WIDTH}x{_HEIGHT} at {_FPS} frames/s, {what}; {kept} clips kept"
    rows = [
        Row(f"curate: {step}", spent / length * 60, "CPU-s/min", note="of footage")
        for step, spent in first.items()
    ]
    to_cut = sum(first[step] for step in ("hash", "scan", "cut"))
    unit = "x real time"
    return [
        *rows,
        at_most("curate, to the cut", to_cut / length, unit, _TO_CUT, note),
        at_most("curate in all", sum(first.values()) / length, unit, _IN_ALL, note),
        at_most("curate again, cached", sum(again.values()) / length, unit, _AGAIN, note),
        at_most(
            "curate, peak memory", peak, "MB", _PEAK_MB, "all steps in one process, ffmpeg apart"
        ),
    ]


def footage(folder: Path, minutes: float) -> tuple[Path, str]:
    """One file of 1080×1920 that holds clips of speakers, joined and repeated by stream copy."""
    target = folder / "footage" / "joined.mp4"
    target.parent.mkdir()
    paths, what = clips(folder / "sample")
    parts = []
    shape = (
        f"scale={_WIDTH}:{_HEIGHT}:force_original_aspect_ratio=increase,"
        f"crop={_WIDTH}:{_HEIGHT},fps={_FPS},setsar=1"
    )
    for number, path in enumerate(p for p in paths if not p.name.startswith(_UNSEEN)):
        part = folder / f"{number}.mp4"
        _ffmpeg("-i", path, "-vf", shape, "-preset", "veryfast", "-crf", 20, "-pix_fmt", "yuv420p",
                "-threads", 2, "-c:a", "aac", "-ar", 48_000, "-ac", 2, part)  # fmt: skip
        parts.append(part)
    once = sum(media.probe(part).duration for part in parts)
    rounds = max(1, round(minutes * 60 / once))
    listed = folder / "parts.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts * rounds))
    _ffmpeg("-f", "concat", "-safe", 0, "-i", listed, "-c", "copy", target)
    return target, f"{what} joined and repeated {rounds} times"


def _ffmpeg(*words: object) -> None:
    command = [media.ffmpeg_binary(), "-nostdin", "-v", "error", *map(str, words)]
    subprocess.run(command, check=True)


def _curate(folder: Path) -> tuple[dict[str, float], int]:
    """Run in this process, so that all CPU time is counted; CPU seconds by step, and clips kept."""
    options = CurateOptions(str(folder / "cache"), LocalEngine(0), language="en")
    source = Local(folder / "footage", folder)
    with _Clock() as clock:
        result = curate([source], load_recipe("theval"), folder / "out", options)
    return clock.spent, len(result.kept)


class _Clock:
    """CPU seconds of this process and its children, by the label of the running step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._taken: dict[str, float] = defaultdict(float)
        self._patches = ExitStack()

    def __enter__(self) -> _Clock:
        taken, run = self._taken, Tasks.run

        def timed_run(
            tasks: Tasks, task: Any, items: Any, label: Any, *rest: Any, **named: Any
        ) -> Any:
            return _timed(run(tasks, task, items, label, *rest, **named), taken, str(label))

        def timed_compute(store: Any, jobs: Any, engine: Any, label: str) -> Any:
            return _timed_call(lambda: compute(store, jobs, engine, label), taken, label)

        self._patches.enter_context(mock.patch.object(Tasks, "run", timed_run))
        for name in ("curate", "segments"):
            module = f"theval_datasets.curation.pipeline.{name}"
            self._patches.enter_context(mock.patch(f"{module}.compute", timed_compute))
        self._started = _cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()
        others = _cpu() - self._started - sum(self._taken.values())
        self.spent = {**self._taken, "judging and all else": others}


def _timed(items: Iterator[Any], taken: dict[str, float], label: str) -> Iterator[Any]:
    while True:
        started = _cpu()
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            taken[label] += _cpu() - started
        yield item


def _timed_call(call: Callable[[], Any], taken: dict[str, float], label: str) -> Any:
    started = _cpu()
    try:
        return call()
    finally:
        taken[label] += _cpu() - started


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _peak_mb() -> float:
    """Peak memory of this process in MB, without the ffmpeg processes that cut."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
