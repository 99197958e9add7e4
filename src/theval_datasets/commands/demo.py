"""`theval-data demo`: the whole pipeline on a generated sample, without a network."""

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
from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from .options import Output, Workers

_log = logging.getLogger(__name__)

_METRICS: Final = (
    "lip_dynamics",
    "head_motion",
    "eyebrow_dynamics",
    "silent_lip_stability",
    "lip_sync",
)
_EXTRACTOR: Final = "theval_signals"
"""Extractor of the metrics, with which their entries of `missing` begin."""
_LEFT_OUT: Final = {"not-extracted", "weights-missing", "extra-missing"}
"""Reasons caused by the installation, not by the clip."""
_LOAD: Final = """\
import json, sys
from datasets import load_dataset
names, wanted = sys.argv[1].split(","), sys.argv[2:]
clips = {name: sum(split.num_rows for split in load_dataset(name).values()) for name in names}
rows = load_dataset(names[0], split="train")
rows = [{name: row[name] for name in wanted} for row in rows]
json.dump({"clips": clips, "rows": rows}, sys.stdout)
"""
_DATASETS: Final = ("theval/theval", "theval/thqa-mt", "theval/gen3dhf")


@dataclass(frozen=True, slots=True)
class DemoReport(Report):
    """Result of the demo.

    Attributes:
        folder: Output folder.
        rows: One dict per clip of `theval/theval`, as loaded by `load_dataset`: `clip_id`, the
            metrics, `missing`.
        clips: Number of clips that `load_dataset` returned, by dataset.
        seconds: Wall time of each step.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    clips: dict[str, int]
    seconds: dict[str, float]

    def to_plain(self) -> dict[str, Any]:
        """The rows, and the folder they were loaded from."""
        return {
            "folder": str(self.folder),
            "dataset": "theval/theval",
            "rows": list(self.rows),
            "clips": self.clips,
            "seconds": self.seconds,
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per clip of ``theval/theval``."""
        return list(self.rows)

    def to_text(self) -> str:
        """A table of the clips, and the lines that load the datasets."""
        width = max(len(row["clip_id"]) for row in self.rows)
        lines = [f"{'clip':<{width}}  {'  '.join(_METRICS)}"]
        for row in self.rows:
            cells = [f"{_shown(row[name]):>{len(name)}}" for name in _METRICS]
            lines.append(f"{row['clip_id']:<{width}}  {'  '.join(cells)}")
        lines += ["", "– means undefined; the column `missing` gives the reason:"]
        for row in self.rows:
            entries = [entry.partition(":") for entry in row["missing"]]
            reasons = sorted(
                {reason for name, _, reason in entries if name == _EXTRACTOR} - _LEFT_OUT
            )
            if reasons:
                lines.append(f"  {row['clip_id']}: {', '.join(reasons)}")
        took = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in self.seconds.items())
        lines += [
            "",
            f"Everything is in {self.folder} ({took}). To load it:",
            "",
            f"  cd {self.folder}",
            f"  {_python()}",
            "  >>> from datasets import load_dataset",
            '  >>> load_dataset("theval/theval")["train"].to_pandas()',
            "",
            "Generators and ratings of the following datasets are simulated: no clip was generated",
            "by a model or rated by a person:",
            "",
            *(
                f'  >>> load_dataset("{name}")["train"].to_pandas()  # {count_of(count, "clip")}'
                for name, count in self.clips.items()
                if name != _DATASETS[0]
            ),
        ]
        return "\n".join(lines)


def demo(output: Output = "demo-out", *, workers: Workers = None) -> DemoReport:
    """Generate sample clips; curate, extract, build, verify and load three datasets of them.

    No network is needed. ``theval/theval`` holds sample clips; ``theval/thqa-mt`` and
    ``theval/gen3dhf`` hold made-up generators with simulated ratings.

    Args:
        output: Output folder; files of an earlier demo in it are replaced.
        workers: Number of processes. Default: the number of cores.

    Raises:
        MissingExtraError: Without the extra ``[demo]``.
        BuildError: If a step failed.
    """
    need("media")
    from theval_datasets.demo.clips import make_sample
    from theval_datasets.demo.generated import make_faces, make_rated
    from theval_datasets.engines.limits import default_workers

    folder = Path(output)
    workers = workers or default_workers()
    clock = _Stopwatch()
    make_sample(folder / "videos", workers=workers)
    inputs: dict[str, dict[str, Path]] = {
        "theval": {"videos": folder / "videos"},
        "thqa-mt": make_rated(folder / "rated", workers=workers),
        "gen3dhf": make_faces(folder / "faces", workers=workers),
    }
    clock.done("sample")
    for name, given in inputs.items():
        _make_dataset(name, given, folder, workers, clock)
    loaded = _load_afresh(folder)
    clock.done("load")
    return DemoReport(folder, tuple(loaded["rows"]), loaded["clips"], clock.seconds)


def _make_dataset(
    name: str, given: dict[str, Path], folder: Path, workers: int, clock: _Stopwatch
) -> None:
    """Curate, extract, build and verify one dataset."""
    from .build import build
    from .curate import curate
    from .extract import extract
    from .verify import verify

    cache = str(folder / "cache")
    work = folder / "work" / name
    curated = curate([str(given["videos"])], work, root=folder, workers=workers)
    clock.done("curate")
    extracted = extract(curated.manifest, cache=cache, workers=workers)
    clock.done("extract")
    tables = [f"{kind}={path}" for kind, path in given.items() if kind != "videos"]
    build(name, folder, manifest=curated.manifest, cache=cache, tables=tables)
    clock.done("build")
    verified = verify(folder / "theval" / name)
    clock.done("verify")
    for report in (curated, extracted, verified):
        if report.exit_code:
            raise BuildError(
                f"The demo of {name} failed. Report of the failed step:\n{report.to_text()}"
            )


class _Stopwatch:
    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def done(self, step: str) -> None:
        now = time.perf_counter()
        took = now - self._last
        self.seconds[step] = round(self.seconds.get(step, 0.0) + took, 1)
        self._last = now
        _log.info("%s: %.1f s", step, took)


def _load_afresh(folder: Path) -> dict[str, Any]:
    """The rows that a new process loads in `folder` with `datasets` alone."""
    with tempfile.TemporaryDirectory(prefix="theval-demo-") as cache:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, ",".join(_DATASETS), "clip_id", *_METRICS, "missing"],
            cwd=folder,
            env=os.environ
            | {"HF_HOME": cache, "HF_DATASETS_CACHE": f"{cache}/datasets", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BuildError(f"load_dataset could not open the built datasets:\n{done.stderr}")
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def _python() -> str:
    """Command of the Python interpreter in which `datasets` is installed."""
    on_path = shutil.which("python")
    here = Path(sys.executable)
    return "python" if on_path and Path(on_path).absolute() == here.absolute() else str(here)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
