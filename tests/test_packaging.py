"""What the built wheel holds is what the tree holds, and nothing else is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOMS = ("builders", "cards", "curation", "features")
DATA = (".json", ".yaml", ".jinja", ".csv", "py.typed")


def _installed_name(path: str) -> str:
    first, _, rest = path.partition("/")
    return f"theval_datasets/{rest}" if first == "core" else f"theval_datasets/{path}"


def _tree(repo: Path) -> set[str]:
    return {
        _installed_name(path.relative_to(repo).as_posix())
        for place in ("core", *ROOMS)
        for path in (repo / place).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def test_every_folder_with_code_is_listed(repo):
    with (repo / "pyproject.toml").open("rb") as stream:
        listed = tomllib.load(stream)["tool"]["setuptools"]["packages"]
    folders = {
        _installed_name((path.parent / "x").relative_to(repo).as_posix())[:-2].replace("/", ".")
        for place in ("core", *ROOMS)
        for path in (repo / place).rglob("*.py")
    }
    assert set(listed) == folders
    assert listed == sorted(listed)


def test_every_file_in_the_rooms_is_of_a_kind_that_is_packaged(repo):
    odd = {name for name in _tree(repo) if not name.endswith((".py", *DATA))}
    assert odd == set()


def test_extras_that_messages_name_can_be_installed(repo):
    with (repo / "pyproject.toml").open("rb") as stream:
        extras = set(tomllib.load(stream)["project"]["optional-dependencies"])
    named = {
        extra
        for place in ("core", *ROOMS)
        for path in (repo / place).rglob("*.py")
        for extra in re.findall(
            r"""extra(?::[^=\n]+)?\s*=\s*["'](\w+)["']""", path.read_text("utf-8")
        )
    }
    assert {"demo", "youtube"} <= named
    assert named <= extras


@pytest.mark.slow
def test_the_wheel_holds_the_tree(repo, tmp_path):
    source = tmp_path / "source"
    keep = {"core", *ROOMS, "pyproject.toml", "README.md", "LICENSE"}
    shutil.copytree(
        repo,
        source,
        ignore=lambda folder, names: [
            name
            for name in names
            if (Path(folder) == repo and name not in keep) or name == "__pycache__"
        ],
    )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(source),
        ],
        check=True,
        timeout=240,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "theval_datasets/py.typed" in names
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"theval_datasets"}
    assert {name for name in names if name.startswith("theval_datasets/")} == _tree(repo)


@pytest.mark.slow
def test_a_planted_type_error_in_a_room_is_found(repo, tmp_path):
    for place in ("core", "scripts", *ROOMS):
        shutil.copytree(
            repo / place, tmp_path / place, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(repo / "pyproject.toml", tmp_path)
    planted = tmp_path / "curation" / "filters" / "_planted.py"
    planted.write_text('"""Planted."""\n\nCOUNT: int = "three"\n')
    done = subprocess.run(
        [sys.executable, "scripts/typecheck.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 1
    assert "theval_datasets/curation/filters/_planted.py:3" in done.stdout
