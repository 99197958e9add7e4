"""The explorer of `view` in Chromium: first view, filters, sorting, scrolling and plots."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._rows import Row, at_most
from theval_datasets.cards.explorer.write import write_explorer
from theval_datasets.manifest.info import ColumnInfo, ConfigInfo, Info, SplitInfo, write_info

CLIPS = 5492
"""Number of rows of THQA-MT, for which the targets are set."""
SUBJECTS = 40
NUMBERS = 40
REPEATS = 5

_SHOWN = "performance.getEntriesByName('explorer-shown').length"
_PAINTED = """async () => {{
  const begin = performance.now();
  {action};
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - begin;
}}"""
_TYPE = "const e = {field}; e.value = e.value ? '' : '{text}'; e.dispatchEvent(new Event('input'))"
_ACTIONS = {
    "search": _TYPE.format(field="document.getElementById('search')", text="clip-1"),
    "limit": _TYPE.format(field="document.querySelector('.chip input')", text="3"),
    "sort": "document.querySelector('th:nth-child(2) button').click()",
    "scroll": "document.getElementById('rows').scrollTop = Math.random() * 150000",
    "scatter": "document.getElementById('tab-scatter').click()",
    "table": "document.getElementById('tab-table').click()",
}


def run() -> list[Row]:
    """Measure in one browser; no rows if there is none."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return []
    if chromium is None:
        return []
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        release, out = Path(name, "release"), Path(name, "view")
        _write_release(release)
        started = time.perf_counter()
        written = write_explorer(release, out)
        seconds = time.perf_counter() - started
        page = out.joinpath("index.html").as_uri()
        with sync_playwright() as api:
            browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            shown = statistics.median(_first_view(browser, page) for _ in range(REPEATS))
            painted = _painted(browser, page)
            browser.close()
    note = f"{NUMBERS} columns of numbers, opened as a file, until painted"
    slowest = max(painted[name] for name in ("search", "limit", "sort"))
    return [
        Row(f"explorer of {CLIPS} clips, {CLIPS * SUBJECTS} ratings written", seconds, "s",
            note=f"{written.n_bytes / 1e6:.0f} MB"),
        at_most(f"explorer of {CLIPS} clips, first view", shown / 1000, "s", 1.0, note),
        at_most(f"explorer of {CLIPS} clips, filter or sort", slowest, "ms", 100.0,
                "the slowest of: " + ", ".join(f"{k} {v:.0f} ms" for k, v in painted.items())),
    ]  # fmt: skip


def _first_view(browser: Any, address: str) -> float:
    """Milliseconds from the request for the page until its rows are painted, in a fresh context."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    while not page.evaluate(_SHOWN):
        page.wait_for_timeout(5)
    shown: float = page.evaluate("performance.getEntriesByName('explorer-shown')[0].startTime")
    context.close()
    return shown


def _painted(browser: Any, address: str) -> dict[str, float]:
    """The slowest of several repetitions of each action, in milliseconds."""
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("tr[data-place]")
    page.select_option("#add-filter", "mos")
    slowest = {}
    for name, action in _ACTIONS.items():
        times = [page.evaluate(_PAINTED.format(action=action)) for _ in range(REPEATS)]
        slowest[name] = max(times)
    return slowest


def _write_release(folder: Path) -> None:
    random = np.random.default_rng(0)
    clips = [f"portrait-{i % 400:03d}__method-{i % 15:02d}__clip-{i}" for i in range(CLIPS)]
    features = {
        "clip_id": clips,
        "generator": [f"method-{i % 15:02d}" for i in range(CLIPS)],
        "portrait_id": [f"portrait-{i % 400:03d}" for i in range(CLIPS)],
        "mos": random.uniform(0, 5, CLIPS),
        "distortions": [["blur", "flicker", "jitter"][: i % 4] for i in range(CLIPS)],
        **{f"number_{k}": random.normal(size=CLIPS) for k in range(NUMBERS)},
        "missing": [["iqa:extra-missing"]] * CLIPS,
    }
    ratings = {
        "clip_id": [clip for clip in clips for _ in range(SUBJECTS)],
        "dimension": ["quality"] * CLIPS * SUBJECTS,
        "subject": [f"subject-{s:02d}" for s in range(SUBJECTS)] * CLIPS,
        "score": random.integers(1, 6, CLIPS * SUBJECTS).astype(float),
    }
    configs = {}
    for name, columns in {"features": features, "ratings": ratings}.items():
        path = folder / name / "train.parquet"
        path.parent.mkdir(parents=True)
        table = pa.table(columns)
        pq.write_table(table, path)
        split = SplitInfo(table.num_rows, 0, 0, (f"{name}/train.parquet",))
        about = tuple(ColumnInfo(column, "", "") for column in columns)
        configs[name] = ConfigInfo("", about, {"train": split})
    write_info(folder, Info("theval/thqa-mt", "0.1.0", "0", configs, {}, ""))
