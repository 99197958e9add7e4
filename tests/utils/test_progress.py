"""Progress outside a terminal: lines with counts, rate and time left, never more often than asked."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from theval_datasets.utils import progress as module
from theval_datasets.utils.progress import Lines, duration, progress, shown


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.seconds)
    return now


def test_a_line_comes_every_interval(clock, capsys):
    with Lines(1000, "cut", "clip", interval=30) as lines:
        clock.seconds += 29.9
        lines.update(10)
        assert capsys.readouterr().err == ""
        clock.seconds += 0.1
        lines.set_postfix(failed=2, refresh=False)
        lines.update(20)
        assert capsys.readouterr().err == (
            "cut: 30 of 1,000 clips (3 %), 1 clips/s, 16 min 10 s left, failed 2\n"
        )
        clock.seconds += 29
        lines.update(970)
        assert capsys.readouterr().err == ""
    assert "1,000 of 1,000 clips (100 %)" in capsys.readouterr().err


def test_short_work_prints_nothing(clock, capsys):
    with Lines(3, "cut", "clip") as lines:
        clock.seconds += 5
        lines.update(3)
    assert capsys.readouterr().err == ""


def test_an_unknown_total_has_no_time_left(clock, capsys):
    with Lines(None, "build", "row") as lines:
        clock.seconds += 60
        lines.update(1200)
        assert capsys.readouterr().err == "build: 1,200 rows, 20 rows/s\n"


def test_without_a_terminal_there_are_lines(monkeypatch):
    monkeypatch.delenv("THEVAL_NO_PROGRESS")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert not shown()
    assert isinstance(progress(3, "x"), Lines)


def test_terminals_and_notebooks_have_bars(monkeypatch):
    monkeypatch.delenv("THEVAL_NO_PROGRESS")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress(3, "x") as bar:
        assert not isinstance(bar, Lines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert shown()


def test_the_switch_turns_everything_off(monkeypatch, clock, capsys):
    monkeypatch.setenv("THEVAL_NO_PROGRESS", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert not shown()
    with progress(3, "x") as bar:
        clock.seconds += 3600
        bar.update()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
