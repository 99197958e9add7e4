"""The campaign of `benchmarks.faults` in small, and that it notices what is lost."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.faults import disk, hub, kills, media, writers
from benchmarks.faults._runs import Tally, contents, difference, run
from theval_datasets.curation.sources.local import SUFFIXES


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> list[Path]:
    return media.make_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="module")
def prepared() -> Iterator[kills.Base]:
    with kills.prepared() as base:
        yield base


@pytest.fixture
def one_base(prepared, monkeypatch) -> None:
    """Campaigns begin from the same clips, features and release, which are made once."""
    monkeypatch.setattr(kills, "prepared", lambda: contextlib.nullcontext(prepared))


def test_a_seed_gives_the_same_files(bases, tmp_path):
    first = {p.name: p.read_bytes() for p in media.mutated(bases, tmp_path / "a", 40, 1)}
    again = {p.name: p.read_bytes() for p in media.mutated(bases, tmp_path / "b", 40, 1)}
    other = {p.name: p.read_bytes() for p in media.mutated(bases, tmp_path / "c", 40, 2)}
    assert len(first) == 40
    assert first == again
    assert first != other
    whole = {base.read_bytes() for base in bases}
    assert sum(data in whole for data in first.values()) <= 2


PROGRAMS = {
    "a signal": ("import os; os.kill(os.getpid(), 11)", "ended by signal 11"),
    "a traceback": ("raise ValueError('no')", "a traceback: ValueError: no"),
    "no end": ("import time; time.sleep(60)", "no end within 1 s"),
    "too much memory": (
        "import time; x = bytearray(1200 << 20); x[::4096] = b'x' * len(x[::4096]); time.sleep(2)",
        "GiB of memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROGRAMS)
def test_faults_of_a_process_are_noticed(kind):
    code, fault = PROGRAMS[kind]
    ended = run([sys.executable, "-c", code], limit=1 if kind == "no end" else 30)
    assert ended.fault is not None
    assert fault in ended.fault


def test_an_end_with_a_sentence_is_no_fault():
    ended = run(
        [sys.executable, "-c", "import sys; print('Error: x', file=sys.stderr); sys.exit(1)"]
    )
    assert (ended.code, ended.fault, ended.err) == (1, None, "Error: x\n")


def test_processes_that_outlive_their_parent_are_noticed_and_ended(monkeypatch):
    from benchmarks.faults import _runs

    patient = _runs._survivors
    monkeypatch.setattr(_runs, "_survivors", lambda group: patient(group, 0.5))
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {!r}])".format(
        "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    )
    ended = run([sys.executable, "-c", f"{child}; import time; time.sleep(1)"])
    assert ended.survivors == 1
    assert "outlived" in str(ended.fault)
    time.sleep(0.2)
    number = int(ended.out)
    assert not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE


def test_differences_are_named(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / ".lock").write_text("1")
    before = contents(tmp_path)
    assert list(before) == ["a"]
    assert difference(before, before) is None
    assert difference(before, {}) == "a is missing"
    assert difference({}, before) == "a is extra"
    assert difference(before, {"a": "other"}) == "a is other"


def test_no_trial_begins_after_the_time(tmp_path):
    assert media.campaign(4, 1, tmp_path, time.monotonic()).tried == 0
    tally = Tally("x", 0.0)
    tally.count(None)
    tally.count("y")
    assert (tally.tried, tally.lost, tally.goes_on) == (2, ["y"], False)


@pytest.mark.slow
def test_damaged_media(tmp_path):
    tally = media.campaign(48, 20_260_101, tmp_path)
    assert (tally.tried, tally.lost) == (48, [])


@pytest.mark.slow
def test_damaged_media_of_earlier_campaigns(shared_data, tmp_path):
    files = sorted(
        path for path in (shared_data / "faults").rglob("*.*") if path.suffix in SUFFIXES
    )
    assert files
    assert media.trial(files, tmp_path / "all", limit=300) is None


@pytest.mark.slow
@pytest.mark.usefixtures("one_base")
@pytest.mark.parametrize("case", kills.CASES, ids=lambda case: case.name)
def test_kills(case):
    (tally,) = kills.campaign(1, 20_260_101, which=lambda value: value is case)
    assert (tally.tried, tally.lost) == (1, [])


@pytest.mark.slow
@pytest.mark.usefixtures("one_base")
def test_errors_of_the_hub():
    tally = hub.campaign(3, 20_260_101)
    assert (tally.tried, tally.lost) == (3, [])


@pytest.mark.slow
@pytest.mark.usefixtures("one_base")
def test_two_writers():
    tally = writers.campaign(1, 20_260_101)
    assert tally.tried > 2
    assert tally.lost == []


@pytest.mark.slow
@pytest.mark.usefixtures("one_base")
def test_a_full_disk(tmp_path):
    with disk.small_disk(tmp_path / "disk", 1 << 16) as mounted:
        pass
    if not mounted:
        pytest.skip("only root may mount a small disk")
    tally = disk.campaign(1, 20_260_101)
    assert tally.tried > 2
    assert tally.lost == []
