"""`curate` killed at random points: run again, it ends with the bytes of a run that nobody disturbed.

Every command is killed in `tests/faults/test_campaign.py`; here a recipe cuts spans out of sources, some of them odd.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from theval_datasets.utils.files import sha256_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

KILLS = 4
RECIPE = """
name: r
about: Spans of talking faces.
cut: spans
reference_frame: best
segment: {min_seconds: 1, aim_seconds: 1.5, max_seconds: 2, min_speech: 0.0, fps: 2}
filters: {duration: {min_seconds: 0.5}, near_duplicates: {}}
"""


def tree(folder: Path) -> dict[str, str]:
    """Hashes of all files but of locks and of what a killed process left behind."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lock" not in path.name and ".part" not in str(path)
    }


def test_killed_anywhere_it_ends_with_the_same_bytes(sample, media, tmp_path):
    (tmp_path / "in").mkdir()
    for path in (sample["clear-en"], media("rotated"), media("text")):
        shutil.copy2(path, tmp_path / "in")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)

    def command(name: str) -> list[str]:
        words = [tmp_path / "in", "-o", tmp_path / name, "--recipe", recipe]
        words += ["--cache", tmp_path / f"cache-{name}"]
        return [sys.executable, "-m", "theval_datasets", "curate", *map(str, words)]

    started = time.monotonic()
    subprocess.run(command("undisturbed"), check=True, capture_output=True)
    took = time.monotonic() - started
    chance = random.Random("curate")
    for _ in range(KILLS):
        process = subprocess.Popen(
            command("killed"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout=chance.uniform(0.2, 1.0) * took)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    subprocess.run(command("killed"), check=True, capture_output=True)
    expected = tree(tmp_path / "undisturbed")
    assert sum(name.endswith(".mp4") for name in expected) > 2
    assert tree(tmp_path / "killed") == expected
