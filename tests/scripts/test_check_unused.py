"""The check for unused code reports what is unused, and nothing that a framework calls."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.fixture(scope="module")
def script(repo):
    spec = importlib.util.spec_from_file_location("check_unused", repo / "scripts/check_unused.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_unused_code_is_reported(script, tmp_path):
    (tmp_path / "code.py").write_text(
        "import json\n\n\ndef used():\n    return 1\n\n\ndef unused():\n    return used()\n\n\n"
        "class Unit:\n    field = 1\n\n    def do_GET(self):\n        return 2\n"
    )
    lines = script.unused([tmp_path], ["Unit"])
    assert [line.partition(": ")[2] for line in lines] == [
        "unused import json", "unused function unused",
    ]  # fmt: skip
    assert len(script.unused([tmp_path / "code.py"], [])) == 3


def test_linked_folders_are_not_read_twice(script, tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "code.py").write_text("def unused(): ...\n")
    (tmp_path / "floor").mkdir()
    (tmp_path / "floor" / "room").symlink_to(tmp_path / "room")
    assert len(script.unused([tmp_path / "room", tmp_path / "floor"], [])) == 1


def test_units_are_known(script):
    assert {"Vad", "Duration", "Theval"} <= script.units()
