"""Files that the processes of a test run share are made once, and whole before anybody has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from shared_files import made_once

_RUN = """
import sys, time
from pathlib import Path
from shared_files import made_once

def make(path):
    with (path.parent.parent / "made").open("a") as stream:
        stream.write("x")
    path.write_text("half")
    time.sleep(0.3)
    path.write_text("whole")

print(made_once(Path(sys.argv[1]), make).read_text())
"""


def test_several_processes_make_one_file(tmp_path):
    (tmp_path / "folder").mkdir()
    support = str(Path(__file__).parent / "support")
    command = [sys.executable, "-c", f"import sys; sys.path.append({support!r})\n{_RUN}"]
    running = [
        subprocess.Popen([*command, tmp_path / "folder" / "a"], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [one.communicate()[0] for one in running] == ["whole\n"] * 3
    assert (tmp_path / "made").read_text() == "x"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a"]


def test_what_failed_is_tried_again(tmp_path):
    def fail(path):
        path.write_text("half")
        raise OSError("no space")

    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="no space"):
        made_once(tmp_path / "folder" / "a", fail)
    path = made_once(tmp_path / "folder" / "a", lambda path: path.write_text("whole"))
    assert path.read_text() == "whole"
