"""What README.md says exists does, and the other way round."""

from __future__ import annotations

import re
import tomllib

import typer.main

from theval_datasets.cli import app


def test_the_table_of_commands_is_complete(repo):
    table = re.findall(r"^\| `theval-data (\w+)", (repo / "README.md").read_text(), re.MULTILINE)
    group = typer.main.get_command(app)
    assert sorted(table) == sorted(group.commands)  # type: ignore[attr-defined]


def test_every_command_explains_itself(repo):
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name


def test_the_table_of_extras_is_complete(repo):
    table = re.findall(r"^\| `\[([\w-]+)\]` ", (repo / "README.md").read_text(), re.MULTILINE)
    with (repo / "pyproject.toml").open("rb") as stream:
        extras = tomllib.load(stream)["project"]["optional-dependencies"]
    assert sorted(table) == sorted(extras)


def test_files_that_are_named_are_there(repo):
    text = (repo / "README.md").read_text() + (repo / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"\]\(([\w./]+)\)", text))
    named |= {path for path in re.findall(r"`([\w.]+/[\w./]*)`", text) if path[0] not in "~"}
    named = {
        path
        for path in named
        if "NAME" not in path and path.split("/")[0] not in ("clips", "theval")
    }
    assert named
    assert {path for path in named if not (repo / path).exists()} == set()


def test_make_targets_are_there(repo):
    makefile = (repo / "Makefile").read_text()
    text = (repo / "README.md").read_text() + (repo / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"\bmake (demo|test|check|bench|\w+)(?=\s+#|`)", text))
    assert {"demo", "test", "check"} <= targets
    assert {name for name in targets if f"\n{name}:" not in makefile} == set()
