"""Worker processes: what dies in one, and what happens to the others, to the item and to its children."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from theval_datasets.errors import ThevalError
from theval_datasets.utils.workers import WorkerLost, WorkerPool, time_allowed


def echo():
    return functools.partial(str)


def fragile():
    def work(item):
        folder, name = item
        if name.startswith("bad"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.startswith("once"):
            mark = folder / name
            if not mark.exists():
                mark.touch()
                os.abort()
        return name, os.getpid(), os.environ.get("THEVAL_OF_A_TEST")

    return work


def stillborn():
    os.abort()


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_every_item_has_its_result(size):
    with WorkerPool(size, echo) as pool:
        assert dict(pool.map(range(4))) == {n: str(n) for n in range(4)}
        assert list(pool.map([])) == []
        assert dict(pool.map([7])) == {7: "7"}


def test_a_worker_that_dies_takes_no_other_item_with_it(tmp_path, monkeypatch):
    names = ["a", "bad", "b", "once", "c"]
    with WorkerPool(2, fragile) as pool:
        results = {item[1]: r for item, r in pool.map([(tmp_path, name) for name in names])}
    lost = results.pop("bad")
    assert isinstance(lost, WorkerLost)
    assert lost.exit_code == -signal.SIGSEGV
    assert sorted(results) == ["a", "b", "c", "once"]
    assert all(not isinstance(one, WorkerLost) for one in results.values())
    assert os.getpid() not in {pid for _, pid, _ in results.values()}


def test_workers_see_the_environment_as_it_is_when_they_start(tmp_path, monkeypatch):
    for value in ("one", "two"):
        monkeypatch.setenv("THEVAL_OF_A_TEST", value)
        with WorkerPool(1, fragile) as pool:
            ((_, result),) = pool.map([(tmp_path, "a")])
        assert result[2] == value


def test_workers_that_cannot_begin_end_the_run_instead_of_losing_every_item():
    with WorkerPool(1, stillborn) as pool, pytest.raises(ThevalError, match="__main__"):
        list(pool.map([1, 2]))


def test_a_run_that_is_given_up_leaves_no_process(tmp_path):
    with WorkerPool(2, sleeper) as pool:
        for _ in pool.map([(tmp_path, 1), (tmp_path, 60), (tmp_path, 60)]):
            break
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) >= 2
    assert all(gone(pid) for pid in pids)


def sleeper():
    def work(item):
        folder, seconds = item
        child = subprocess.Popen(["sleep", str(seconds)])
        (folder / str(child.pid)).touch()
        child.wait()

    return work


def stuck():
    """Work that holds the interpreter: neither signals nor threads of Python have a say."""

    def work(item):
        folder, name = item
        if name != "stuck":
            return name
        child = subprocess.Popen(["sleep", "60"])
        (folder / str(child.pid)).touch()
        (folder / str(os.getpid())).touch()
        ctypes.PyDLL(None).sleep(60)

    return work


def test_an_item_that_takes_too_long_is_ended_with_its_programs_and_the_others_go_on(tmp_path):
    items = [(tmp_path, name) for name in ("a", "stuck", "b", "stuck", "c")]
    with WorkerPool(2, stuck, lambda item: 1.5 if item[1] == "stuck" else 600.0) as pool:
        results = list(pool.map(items))
    assert sorted(item[1] for item, _ in results) == sorted(name for _, name in items)
    late = [result for (_, name), result in results if name == "stuck"]
    assert late == [WorkerLost(seconds=1.5)] * 2
    assert {one.reason for one in late} == {"timeout"}
    assert [result for (_, name), result in results if name != "stuck"] == ["a", "b", "c"]
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 4
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("seconds", [3600.0, 1e9, math.inf])
def test_a_limit_may_be_longer_than_the_system_can_wait(seconds):
    with WorkerPool(1, echo, lambda _: seconds) as pool:
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
    assert time_allowed(tmp_path / "a.mp4", factor) == pytest.approx(seconds)
    assert time_allowed(tmp_path / "gone.mp4", 100.0) == 1800.0


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("setup", "item", "processes"), [("sleeper", 60, 1), ("stuck", "stuck", 2)]
)
def test_workers_and_their_programs_do_not_outlive_a_killed_parent(
    tmp_path, setup, item, processes
):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_workers import *;"
        f"from pathlib import Path; pool = WorkerPool(2, {setup});"
        f"list(pool.map([(Path(sys.argv[2]), {item!r})] * 2))"
    )
    here = str(Path(__file__).parent)
    parent = subprocess.Popen([sys.executable, "-c", code, here, str(tmp_path)])
    try:
        for _ in range(200):
            if len(list(tmp_path.iterdir())) == 2 * processes:
                break
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 2 * processes
    assert all(gone(pid) for pid in pids)


SCRIPT = """
from collections.abc import Callable
from pathlib import Path
from theval_datasets.utils.workers import WorkerPool
{setup}
Path("runs").open("a").write("x")
with WorkerPool(2, {name}) as pool:
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
        timeout=60,
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
        "with WorkerPool", "    with WorkerPool"
    )
    guarded = guarded.replace("    print", "        print")
    (tmp_path / "script.py").write_text(guarded.format(setup=own, name="setup"))
    again = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.stdout == "['1', '2']\n", again.stderr
