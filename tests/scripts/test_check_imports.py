"""Imports that do not resolve are noticed wherever they stand, and those of optional packages are not."""

from __future__ import annotations

import pytest
from check_imports import check, only_imports

MODULE = """\
import json

def work():
    from .there import (
        x,
    )
    try:
        from .gone import y; import json.gone
    except ImportError:
        import torch.no_such_part
    return x, y, json
"""


def test_imports_stay_in_their_lines():
    assert only_imports(MODULE).splitlines() == [
        "import json", "", "", "from .there import x", "", "", "",
        "from .gone import y; import json.gone", "", "import torch.no_such_part",
    ]  # fmt: skip


@pytest.mark.slow
def test_imports_that_lead_nowhere_are_named(tmp_path):
    pytest.importorskip("basedpyright", reason="the extra [dev] is not installed")
    package, room = tmp_path / "src" / "package", tmp_path / "room"
    package.mkdir(parents=True)
    room.mkdir()
    (package / "room").symlink_to("../../room")
    (package / "__init__.py").touch()
    (room / "__init__.py").write_text("x: int = 'no integer'\n")
    (package / "there.py").write_text("from package.room import x\nfrom .room import unknown\n")
    (package / "work.py").write_text(MODULE)
    settings = '[tool.basedpyright]\ninclude = ["src", "room"]\nexclude = ["src/package/room"]\n'
    (tmp_path / "pyproject.toml").write_text(f'{settings}extraPaths = ["src"]\n')
    count, faults = check(tmp_path)
    assert count == 4
    assert [fault.partition(": ")[0] for fault in faults] == [
        "src/package/work.py:8", "src/package/work.py:8",
    ]  # fmt: skip
