"""What the built wheel holds is what the tree holds, and nothing else is installed."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = ("builders", "cards", "curation", "features")
DATA = (".json", ".yaml", ".jinja", ".csv", ".css", ".js", "py.typed")


PLACES = ("src/theval_datasets", *ROOMS)


def _installed_name(path: str) -> str:
    inner = path.removeprefix("src/")
    return inner if inner != path else f"theval_datasets/{path}"


def _real_files(repo: Path, pattern: str) -> Iterator[str]:
    """Files of the rooms and the floor, each once: links to rooms are not followed."""
    for place in PLACES:
        result = [path for path in (repo / place).rglob(pattern) if path.is_file()]
        assert result, f"{place} is empty"
        for path in result:
            relative = path.relative_to(repo)
            linked = any((repo / parent).is_symlink() for parent in relative.parents)
            if not linked and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield relative.as_posix()


def _tree(repo: Path) -> set[str]:
    return {_installed_name(path) for path in _real_files(repo, "*")}


def test_every_folder_with_code_is_listed(repo):
    with (repo / "pyproject.toml").open("rb") as stream:
        listed = tomllib.load(stream)["tool"]["setuptools"]["packages"]
    folders = {
        _installed_name(path).rpartition("/")[0].replace("/", ".")
        for path in _real_files(repo, "*.py")
    }
    assert set(listed) == folders
    assert listed == sorted(listed)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_linked_into_the_package(repo, room):
    link = repo / "src" / "theval_datasets" / room
    assert link.is_symlink(), f"{link} has to be a symbolic link to {room}/"
    assert link.readlink() == Path("../..") / room


def test_every_file_in_the_rooms_is_of_a_kind_that_is_packaged(repo):
    odd = {name for name in _tree(repo) if not name.endswith((".py", *DATA))}
    assert odd == set()


def test_extras_that_messages_name_can_be_installed(repo):
    with (repo / "pyproject.toml").open("rb") as stream:
        extras = set(tomllib.load(stream)["project"]["optional-dependencies"])
    named = {
        extra
        for path in _real_files(repo, "*.py")
        for extra in re.findall(
            r"""extra(?::[^=\n]+)?\s*=\s*["'](\w+)["']""", (repo / path).read_text("utf-8")
        )
    }
    assert {"demo", "youtube"} <= named
    assert named <= extras


@pytest.mark.slow
def test_the_wheel_holds_the_tree(repo, archives):
    with zipfile.ZipFile(archives[0]) as archive:
        names = set(archive.namelist())
    assert "theval_datasets/py.typed" in names
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"theval_datasets"}
    assert {name for name in names if name.startswith("theval_datasets/")} == _tree(repo)


@pytest.mark.slow
def test_the_sdist_holds_every_module(repo, archives):
    with tarfile.open(archives[1]) as archive:
        names = {name.partition("/src/")[2] for name in archive.getnames() if "/src/" in name}
    assert {name for name in _tree(repo) if name.endswith(".py")} <= names
