"""`theval-data demo`: the whole way on a sample it makes itself, without a network."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import BuildError

_log = logging.getLogger(__name__)

_METRICS: Final = (
    "lip_dynamics",
    "head_motion",
    "eyebrow_dynamics",
    "silent_lip_stability",
    "lip_sync",
)
_LEFT_OUT: Final = {"not-extracted", "weights-missing", "extra-missing"}
"""Reasons that lie in the installation, not in the clip."""
_LOAD: Final = """\
import json, sys
from datasets import load_dataset
rows = load_dataset("theval/theval", split="train")
json.dump([{name: row[name] for name in sys.argv[1:]} for row in rows], sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo made.

    Attributes:
        folder: Where everything lies.
        rows: One dict a clip, as `load_dataset` gave it: `clip_id`, the metrics, `missing`.
        seconds: Wall time of each step.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    seconds: dict[str, float]

    exit_code = 0

    def to_plain(self) -> dict[str, Any]:
        """The rows, and where they were loaded from."""
        return {
            "folder": str(self.folder),
            "dataset": "theval/theval",
            "rows": list(self.rows),
            "seconds": self.seconds,
        }

    def to_text(self) -> str:
        """A table, and the lines to type."""
        width = max(len(row["clip_id"]) for row in self.rows)
        lines = [f"{'clip':<{width}}  {'  '.join(_METRICS)}"]
        for row in self.rows:
            cells = [f"{_shown(row[name]):>{len(name)}}" for name in _METRICS]
            lines.append(f"{row['clip_id']:<{width}}  {'  '.join(cells)}")
        lines += ["", "– is undefined; why is in the column `missing`:"]
        for row in self.rows:
            reasons = sorted({entry.rpartition(":")[2] for entry in row["missing"]} - _LEFT_OUT)
            if reasons:
                lines.append(f"  {row['clip_id']}: {', '.join(reasons)}")
        took = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in self.seconds.items())
        lines += [
            "",
            f"Everything lies in {self.folder} ({took}). Load it as anybody would:",
            "",
            f"  cd {self.folder}",
            f"  {_python()}",
            "  >>> from datasets import load_dataset",
            '  >>> load_dataset("theval/theval")["train"].to_pandas()',
        ]
        return "\n".join(lines)


def demo(folder: Path, *, workers: int | None = None) -> DemoReport:
    """Make a sample, curate, extract, build and verify `theval/theval`, and load it afresh.

    Args:
        folder: For everything; an earlier demo's files in it are replaced.
        workers: Processes; the number of cores if not given.

    Raises:
        MissingExtraError: Without the extra ``[demo]``.
        BuildError: If a step does not come out as it should.
    """
    from theval_datasets.commands.build import build
    from theval_datasets.commands.curate import curate
    from theval_datasets.commands.extract import extract
    from theval_datasets.commands.verify import verify
    from theval_datasets.engines.local import default_workers
    from theval_datasets.sample.clips import make_sample

    workers = workers or default_workers()
    clock = _Clock()
    make_sample(folder / "videos", workers=workers)
    clock.done("sample")
    curated = curate([str(folder / "videos")], folder / "work", root=folder, workers=workers)
    clock.done("curate")
    cache = str(folder / "cache")
    extracted = extract(curated.manifest, cache=cache, workers=workers)
    clock.done("extract")
    build("theval", folder, manifest=curated.manifest, cache=cache)
    clock.done("build")
    verified = verify(folder / "theval" / "theval")
    clock.done("verify")
    for report in (curated, extracted, verified):
        if report.exit_code:
            raise BuildError(f"The demo went wrong; the step's own words:\n{report.to_text()}")
    rows = _load_afresh(folder)
    clock.done("load")
    return DemoReport(folder, tuple(rows), clock.seconds)


class _Clock:
    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def done(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = round(now - self._last, 1)
        self._last = now
        _log.info("%s: %.1f s", step, self.seconds[step])


def _load_afresh(folder: Path) -> list[dict[str, Any]]:
    """What a new process that only knows `datasets` loads in `folder`."""
    with tempfile.TemporaryDirectory(prefix="theval-demo-") as cache:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, "clip_id", *_METRICS, "missing"],
            cwd=folder,
            env=os.environ
            | {"HF_HOME": cache, "HF_DATASETS_CACHE": f"{cache}/datasets", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BuildError(f"load_dataset does not open what was built:\n{done.stderr}")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def _python() -> str:
    """What to type for the Python that has `datasets`."""
    found = shutil.which("python")
    here = Path(sys.executable)
    return "python" if found and Path(found).absolute() == here.absolute() else str(here)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
