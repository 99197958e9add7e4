"""What is particular to processes of this machine; test_contract holds what every engine keeps."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys

import pytest

from theval_datasets.engines.limits import time_allowed
from theval_datasets.engines.local import LocalEngine, LocalPool
from theval_datasets.errors import ThevalError


def echo():
    return functools.partial(str)


def variable():
    return lambda name: os.environ.get(name)


def stillborn():
    os.abort()


def test_workers_see_the_environment_as_it_is_when_they_start(monkeypatch):
    for value in ("one", "two"):
        monkeypatch.setenv("THEVAL_OF_A_TEST", value)
        with LocalPool(1, variable) as pool:
            assert list(pool.map(["THEVAL_OF_A_TEST"])) == [("THEVAL_OF_A_TEST", value)]


def test_workers_that_cannot_begin_end_the_run_instead_of_losing_every_item():
    with LocalPool(1, stillborn) as pool, pytest.raises(ThevalError, match="__main__"):
        list(pool.map([1, 2]))


@pytest.mark.parametrize("seconds", [3600.0, 1e9, math.inf])
def test_a_limit_may_be_longer_than_the_system_can_wait(seconds):
    with LocalPool(1, echo, lambda _: seconds) as pool:
        assert dict(pool.map(range(2))) == {0: "0", 1: "1"}


@pytest.mark.parametrize(
    ("size", "factor", "seconds"),
    [
        (0, 100.0, 1800.0),
        (450_000, 100.0, 1800.0),
        (450_025, 100.0, 1800.1),
        (25_000_000, 100.0, 100_000.0),
        (25_000_000, 2.5, 2500.0),
        (25_000_000, 0.0, math.inf),
    ],
)
def test_the_time_allowed_grows_with_the_file(tmp_path, size, factor, seconds):
    with (tmp_path / "a.mp4").open("wb") as stream:
        stream.truncate(size)
    assert time_allowed(size, factor) == pytest.approx(seconds)
    assert LocalEngine(1, factor).time_allowed(tmp_path / "a.mp4") == pytest.approx(seconds)
    assert LocalEngine(1).time_allowed(tmp_path / "gone.mp4") == 1800.0


SCRIPT = """
from collections.abc import Callable
from pathlib import Path
from theval_datasets.engines.local import LocalPool
{setup}
Path("runs").open("a").write("x")
with LocalPool(2, {name}) as pool:
    print(sorted(result for _, result in pool.map([1, 2])))
"""


def run_script(folder, **parts):
    (folder / "script.py").write_text(SCRIPT.format(**parts))
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_without_a_guard_is_not_run_by_the_workers(tmp_path):
    theirs = "from functools import partial"
    done = run_script(tmp_path, setup=theirs, name="partial(partial, str)")
    assert done.stdout == "['1', '2']\n", done.stderr
    assert (tmp_path / "runs").read_text() == "x"


def test_units_of_a_script_without_a_guard_end_it_with_what_to_do(tmp_path):
    own = "def setup():\n    return str\n"
    done = run_script(tmp_path, setup=own, name="setup")
    assert done.returncode == 1
    assert "units of its own" in done.stderr
    guarded = SCRIPT.replace("Path(", "if __name__ == '__main__':\n    Path(").replace(
        "with LocalPool", "    with LocalPool"
    )
    guarded = guarded.replace("    print", "        print")
    (tmp_path / "script.py").write_text(guarded.format(setup=own, name="setup"))
    again = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.stdout == "['1', '2']\n", again.stderr


@pytest.mark.parametrize(
    ("workers", "n_items", "n_bytes", "used"),
    [
        (2, 2, 64 << 20, 2),
        (2, 2, (64 << 20) - 1, 0),
        (2, 1, 64 << 20, 0),
        (1, 2, 64 << 20, 0),
        (0, 2, 64 << 20, 0),
    ],
)
def test_workers_are_started_for_own_files_where_they_pay(workers, n_items, n_bytes, used):
    assert LocalEngine(workers).for_own_files(n_items, n_bytes).workers == used
