"""Commands killed at random points: run again, they end with the bytes of a run that nobody disturbed."""

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

from theval_datasets.commands.curate import curate
from theval_datasets.utils.files import sha256_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 6
RECIPE = """
name: r
about: One.
filters: {duration: {min_seconds: 0.5}, resolution: {min_side: 100}, near_duplicates: {}}
"""
COMMANDS = {
    "curate": ["curate", "{in}", "-o", "{out}", "--recipe", "{recipe}", "--cache", "{cache}"],
    "rebuild": ["rebuild", "{made}", "-o", "{out}", "--cache", "{cache}", "--root", "{made}"],
    "takedown": ["takedown", "late_audio", "vfr", "--manifest", "{out}", "--date", "2026-01-02"],
    "funnel": ["funnel", "{out}"],
    "index": ["index", "{out}", "-o", "{out}/work.index", "--cache", "{cache}"],
}


@pytest.fixture(scope="module")
def made(media, tmp_path_factory) -> Path:
    """A folder `in`, and what a recipe made of it in `made`."""
    folder = tmp_path_factory.mktemp("kills")
    (folder / "in").mkdir()
    for name in ("plain", "vfr", "late_audio", "rotated", "text"):
        shutil.copy2(media(name), folder / "in")
    (folder / "recipe.yaml").write_text(RECIPE)
    cache = str(folder / "cache")
    curate(
        [str(folder / "in")],
        folder / "made",
        recipe=str(folder / "recipe.yaml"),
        workers=1,
        cache=cache,
    )
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Hashes of all files but of locks and of what a killed process left behind."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lock" not in path.name and ".part-" not in str(path)
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_anywhere_it_ends_with_the_same_bytes(made, tmp_path, command):
    trees = []
    took = 1.0
    for name in ("undisturbed", "killed"):
        out = tmp_path / name / "out"
        if command not in ("curate", "rebuild"):
            shutil.copytree(made / "made", out, copy_function=shutil.copy2)
        places = {"in": made / "in", "made": made / "made", "recipe": made / "recipe.yaml"}
        places |= {"out": out, "cache": tmp_path / f"cache-{name}"}
        words = [word.format(**places) for word in COMMANDS[command]]
        code = (
            "import sys; from theval_datasets.cli import main; sys.argv[0] = 'theval-data'; main()"
        )
        run = [sys.executable, "-c", code, *words]
        if name == "killed":
            chance = random.Random(command)
            for _ in range(KILLS):
                process = subprocess.Popen(
                    run,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                try:
                    process.wait(timeout=chance.uniform(0.2, 1.0) * took)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        started = time.monotonic()
        done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=300)
        took = time.monotonic() - started
        assert done.returncode in (0, 1), done.stderr
        trees.append(tree(out))
    assert trees[0] == trees[1]
    assert trees[0]
