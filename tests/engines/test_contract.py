"""What every engine keeps: who dies, what happens to the others, to the item and to child processes."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from theval_datasets.engines.base import WorkerPool
from theval_datasets.engines.local import LocalEngine
from theval_datasets.engines.messages import WorkerLost, raised
from theval_datasets.errors import (
    AbsentError,
    CacheError,
    InputError,
    StorageError,
    ThevalError,
    UnknownNameError,
)

RAY = pytest.param(
    "ray",
    marks=[
        pytest.mark.slow,
        pytest.mark.filterwarnings("ignore::ResourceWarning"),
        pytest.mark.filterwarnings("ignore::FutureWarning"),
        pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    ],
)
both = pytest.mark.parametrize("kind", ["local", RAY])


def ray_engine(workers):
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    pytest.importorskip("ray", reason="needs the extra [ray]")
    from theval_datasets.engines.ray import RayEngine

    return RayEngine(workers)


@pytest.fixture(scope="module")
def connection():
    """Makes one connection to Ray for the tests of this module, when one asks for it."""
    held = []

    def connect():
        if not held:
            held.append(ray_engine(3).__enter__())
            held[0].connected()

    yield connect
    for one in held:
        one.__exit__(None, None, None)


@pytest.fixture
def make(kind, connection):
    """Makes the engine of the test's kind."""
    if kind == "local":
        return LocalEngine
    ray_engine(1)
    connection()
    return ray_engine


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
        return name, os.getpid()

    return work


@pytest.mark.parametrize(
    ("kind", "size"), [("local", 1), ("local", 3), pytest.param("ray", 3, marks=RAY.marks)]
)
def test_every_item_has_its_result(make, size):
    with make(size) as engine, engine.pool(echo) as pool:
        for ordered in (False, True):
            assert dict(pool.map(range(7), ordered=ordered)) == {n: str(n) for n in range(7)}
        assert list(pool.map([])) == []
        assert list(pool.map([7])) == [(7, "7")]
        assert list(engine.map(echo, [1, 1])) == [(1, "1")] * 2


def test_this_process_gives_the_same():
    with LocalEngine(0).pool(echo) as pool:
        assert list(pool.map(range(3))) == [(n, str(n)) for n in range(3)]
        assert list(pool.map(range(3), ordered=True)) == [(n, str(n)) for n in range(3)]


def slow_first():
    """The first item is done after the seventh, which is handed out when the sixth has its result."""

    def work(item):
        folder, number = item
        for _ in range(2400):
            if number != 0 or (folder / "6").exists():
                break
            time.sleep(0.05)
        (folder / str(number)).touch()

    return work


@both
def test_results_come_in_order_if_that_is_asked_for(make, tmp_path):
    with make(2) as engine, engine.pool(slow_first) as pool:
        items = [(tmp_path, n) for n in range(40)]
        assert [item for item, _ in pool.map(items, ordered=True)] == items
        (tmp_path / "6").unlink()
        later = [item[1] for item, _ in pool.map(items[:7])]
        assert later.index(5) < later.index(0)


@both
@pytest.mark.parametrize(("ordered", "most"), [(False, 2 + 2), (True, 4 * 2 + 2)])
def test_items_are_taken_as_workers_become_free(make, tmp_path, ordered, most):
    """At most as many as there are workers, beyond those whose results were handed on or are held."""
    taken, given, widest = 0, 0, 0

    def items():
        nonlocal taken, widest
        for number in range(60):
            taken += 1
            widest = max(widest, taken - given)
            yield tmp_path, number

    with make(2) as engine:
        for _ in engine.map(slow_first, items(), ordered=ordered):
            given += 1
    assert taken == given == 60
    assert 2 <= widest <= most


@both
def test_a_worker_that_dies_takes_no_other_item_with_it(make, tmp_path):
    names = ["a", "bad", "b", "once", "c"]
    with make(2) as engine:
        found = {i[1]: r for i, r in engine.map(fragile, [(tmp_path, name) for name in names])}
    lost = found.pop("bad")
    assert lost == WorkerLost(-signal.SIGSEGV)
    assert sorted(found) == ["a", "b", "c", "once"]
    assert [result[0] for result in found.values()] == list(found)
    assert os.getpid() not in {pid for _, pid in found.values()}


@both
def test_a_death_is_reported_in_its_place_when_results_are_ordered(make, tmp_path):
    names = ["a", "bad", "b", "once", "c"]
    with make(2) as engine:
        found = list(engine.map(fragile, [(tmp_path, name) for name in names], ordered=True))
    assert [item[1] for item, _ in found] == names
    assert [isinstance(result, WorkerLost) for _, result in found] == [False, True] + [False] * 3


def failing():
    def work(item):
        if isinstance(item, Exception):
            raise item
        return threading.Lock() if item == "unsendable" else item

    return work


def no_setup():
    raise InputError("the recipe is wrong")


def stillborn():
    os.abort()


FAILURES = [
    (StorageError("the disk is full"), StorageError, "the disk is full", False),
    (OSError(errno.ENOSPC, "full", "/x"), OSError, "full: '/x'", False),
    (ConnectionResetError(104, "reset"), ConnectionResetError, "reset", False),
    (EOFError("the file ends"), ThevalError, "EOFError: the file ends", True),
    (KeyError("x"), ThevalError, "KeyError: 'x'", True),
    ("unsendable", ThevalError, "cannot pickle", True),
]


@both
@pytest.mark.usefixtures("errors_expected")
def test_an_exception_ends_the_run_with_its_message(make, caplog):
    """One after another in the same workers, which go on."""
    with make(1) as engine, engine.pool(failing) as pool:
        for item, kind_of, says, logged in FAILURES:
            caplog.clear()
            with pytest.raises(kind_of, match=says) as met:
                list(pool.map(["a", item, "b"]))
            assert type(met.value) is kind_of
            assert list(pool.map(["c"])) == [("c", "c")]
            assert ("Traceback" in caplog.text) == logged, item


@both
def test_a_setup_that_fails_ends_the_run(make):
    with make(2) as engine, pytest.raises(InputError, match="the recipe is wrong"):
        list(engine.map(no_setup, [1, 2, 3]))


@both
def test_workers_that_cannot_begin_end_the_run_instead_of_losing_every_item(make):
    with make(1) as engine, pytest.raises(ThevalError, match="before it was ready"):
        list(engine.map(stillborn, [1, 2]))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnknownNameError("split", "trian", ["train"]), InputError),
        (AbsentError("no-face", "nobody is seen"), AbsentError),
        (ValueError("no number"), ThevalError),
        (CacheError("damaged"), CacheError),
        (OSError(errno.ENOSPC, "full"), OSError),
        (MemoryError("too little"), MemoryError),
    ],
)
def test_every_kind_of_error_arrives_with_its_message(error, kind):
    message = raised(error)
    assert type(message.error) is kind
    assert str(error) in str(message.error)
    assert bool(message.trace) == isinstance(error, ValueError)


def test_a_pool_is_not_used_twice_at_once():
    with LocalEngine(1).pool(echo) as pool:
        first = pool.map([1, 2, 3])
        next(first)
        with pytest.raises(RuntimeError, match="in use"):
            next(pool.map([4]))
        assert isinstance(pool, WorkerPool)
        assert len(list(first)) == 2


@both
def test_pools_of_one_engine_take_turns(make, tmp_path):
    with make(3) as engine, engine.pool(echo) as one, engine.pool(fragile) as two:
        for _ in range(2):
            assert len(list(one.map(range(6)))) == 6
            assert len(list(two.map([(tmp_path, str(n)) for n in range(6)]))) == 6


def where():
    return lambda _: (str(Path.cwd()), os.environ.get("THEVAL_DEVICE"))


@both
def test_workers_work_in_the_folder_and_on_the_device_of_the_run(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for device in ("cpu", "cuda:1"):
        monkeypatch.setenv("THEVAL_DEVICE", device)
        with make(1) as engine:
            assert list(engine.map(where, [None])) == [(None, (str(tmp_path), device))]


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


@both
def test_a_run_that_is_given_up_leaves_no_process(make, tmp_path):
    with make(2) as engine, engine.pool(sleeper) as pool:
        for _ in pool.map([(tmp_path, 0), (tmp_path, 60), (tmp_path, 60)]):
            while len(list(tmp_path.iterdir())) < 2:  # until the next item has started its program
                time.sleep(0.05)
            break
        pids = [int(path.name) for path in tmp_path.iterdir()]
        assert all(gone(pid) for pid in pids)


@both
def test_an_item_that_takes_too_long_is_ended_with_its_programs_and_the_others_go_on(
    make, tmp_path
):
    items = [(tmp_path, name) for name in ("a", "stuck", "b", "stuck", "c")]
    with make(2) as engine:
        found = list(engine.map(stuck, items, lambda i: 1.5 if i[1] == "stuck" else 600.0))
    assert sorted(item[1] for item, _ in found) == sorted(name for _, name in items)
    late = [result for (_, name), result in found if name == "stuck"]
    assert late == [WorkerLost(seconds=1.5)] * 2
    assert {one.reason for one in late} == {"timeout"}
    assert [result for (_, name), result in found if name != "stuck"] == ["a", "b", "c"]
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 4
    assert all(gone(pid) for pid in pids)


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(int(seconds * 10)):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def sleeping_and_stuck():
    """One worker waits for its program, the other holds the interpreter."""
    wait, hold = sleeper(), stuck()
    return lambda item: hold(item) if item[1] == "stuck" else wait(item)


RUN = f"""
import sys
from pathlib import Path
from test_contract import *
folder, kind = Path(sys.argv[1]), sys.argv[2]
engine = LocalEngine(2) if kind == "local" else ray_engine(2)
with engine:
    list(engine.map({sleeping_and_stuck.__name__}, [(folder, 60), (folder, "stuck")]))
"""
N_PROCESSES = 1 + 2
"""What `RUN` starts and names: the programs of both workers, and the worker that is stuck."""


@both
@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_nothing_outlives_the_process_that_started_it(kind, how, tmp_path):
    psutil = pytest.importorskip("psutil")
    parent = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path), kind],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])},
        stderr=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    family = []
    try:
        for _ in range(2400):
            if len(list(tmp_path.iterdir())) == N_PROCESSES or parent.poll() is not None:
                break
            time.sleep(0.1)
        family = psutil.Process(parent.pid).children(recursive=True)
    finally:
        if how == "killed":
            parent.kill()
        else:
            os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        _, said = parent.communicate(timeout=60)
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == N_PROCESSES, said
    assert all(gone(pid) for pid in pids)
    assert family
    # Ray's own services look now and then whether they are still needed
    assert [one for one in family if not gone(one.pid, 10 if kind == "local" else 90)] == []
    if how == "interrupted":
        assert "KeyboardInterrupt" in said
        assert parent.returncode in (1, -signal.SIGINT, 130)
