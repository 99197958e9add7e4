"""Imports point one way, and importing is free.

builders may import cards, curation and features; curation may import features; all may import the
floor (`core/`), which imports no room. Only `core/commands/` may reach every room, inside its
functions, and `core/cli.py` imports nothing but commands and errors.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = {
    "features": {"features"},
    "cards": {"cards"},
    "curation": {"curation", "features"},
    "builders": {"builders", "cards", "curation", "features"},
}
UNIT_FOLDERS = ("features", "curation/filters", "curation/sources", "builders")
HEAVY = {
    "datasets", "decord", "insightface", "matplotlib", "mediapipe", "onnxruntime", "parselmouth",
    "polars", "pyannote", "pyiqa", "ray", "skimage", "torch", "torchaudio", "yt_dlp",
}  # fmt: skip
HEAVY_AT_THE_TOP = {"builders": {"datasets"}, "cards": {"datasets"}}
"""A builder is a subclass of one of `datasets`, and cards are only imported by builders."""


def imports(tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """Absolute name, line, and whether it happens when the module is imported."""

    def walk(node: ast.AST, top: bool) -> Iterator[tuple[str, int, bool]]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, top
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or ""), node.lineno, top
            elif node.module == "theval_datasets":
                for alias in node.names:
                    yield f"theval_datasets.{alias.name}", node.lineno, top
            else:
                yield node.module or "", node.lineno, top
        lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            lazy = True
        for child in ast.iter_child_nodes(node):
            yield from walk(child, top and not lazy)

    return walk(tree, True)


def violations(root: Path) -> list[str]:
    found = []
    for place in ("core", *ROOMS):
        for path in sorted((root / place).rglob("*.py")):
            relative = path.relative_to(root).as_posix()
            tree = ast.parse(path.read_text(encoding="utf-8"), relative)
            for name, line, top in imports(tree):
                complaint = _complaint(relative, name, top)
                if complaint:
                    found.append(f"{relative}:{line}: imports {name}, but {complaint}")
    for folder in UNIT_FOLDERS:
        for path in sorted((root / folder).glob("[!_]*.py")):
            units = [
                node.name
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.bases
            ]
            if [name.lower() for name in units] != [path.stem.replace("_", "")]:
                found.append(
                    f"{path.relative_to(root)}: one unit, a class named after the file, got {units}"
                )
    return found


def _complaint(relative: str, name: str, top: bool) -> str | None:
    place = relative.partition("/")[0]
    package = name.partition(".")[0]
    if name.startswith("."):
        return "imports name the whole package, so that they read the same everywhere"
    if top and package in HEAVY - HEAVY_AT_THE_TOP.get(place, set()):
        return "heavy packages are imported where they are used, not with the module"
    if package in (*ROOMS, "core"):
        return "the installed name is theval_datasets…"
    if package != "theval_datasets":
        return None
    target = [*name.split("."), ""][1]
    to_commands = target in ("commands", "cli")
    if place != "core":
        if to_commands:
            return "nothing but the command line imports commands"
        return (
            None
            if target not in ROOMS or target in ROOMS[place]
            else f"{place} may only import {', '.join(sorted(ROOMS[place]))} and the floor"
        )
    if relative == "core/cli.py":
        allowed = target in ("commands", "errors", "__version__")
        return None if allowed else "the command line imports only commands"
    if relative == "core/__main__.py":
        return None if target == "cli" else "it only starts the command line"
    if relative.startswith("core/commands/"):
        return "commands import rooms inside functions" if target in ROOMS and top else None
    if target in ROOMS:
        return "the floor imports no room"
    return "the floor imports no command" if to_commands else None


def test_imports_point_one_way(repo):
    assert violations(repo) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/cache.py", "import theval_datasets.features"),
        ("core/cache.py", "def f():\n    from theval_datasets import builders"),
        ("core/cli.py", "from theval_datasets import cache"),
        ("core/__main__.py", "from theval_datasets import cache"),
        ("core/commands/__init__.py", "from theval_datasets.curation import filters"),
        ("features/_base.py", "from theval_datasets.curation import filters"),
        ("features/_base.py", "from theval_datasets.commands import score"),
        ("curation/filters/__init__.py", "from theval_datasets.builders import _base"),
        ("curation/filters/__init__.py", "import mediapipe.solutions"),
        ("cards/__init__.py", "import features"),
        ("builders/__init__.py", "from . import _base"),
        ("features/unit.py", "class Other(Extractor): ..."),
    ],
)
def test_a_planted_violation_is_found(repo, tmp_path, path, line):
    for place in ("core", *ROOMS):
        shutil.copytree(
            repo / place, tmp_path / place, ignore=shutil.ignore_patterns("__pycache__")
        )
    before = violations(tmp_path)
    with (tmp_path / path).open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")
    new = set(violations(tmp_path)) - set(before)
    assert len(new) == 1
    assert new.pop().startswith(path)


def test_what_commands_do_inside_functions_is_allowed(repo, tmp_path):
    file = tmp_path / "core" / "commands" / "new.py"
    file.parent.mkdir(parents=True)
    file.write_text("def run():\n    from theval_datasets.builders import _base\n")
    assert violations(tmp_path) == []


def test_importing_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, theval_datasets.cli; from theval_datasets import catalog;"
        "[catalog.names(kind) for kind in catalog.PACKAGES]; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "typer" in loaded
    assert loaded & (HEAVY | {"numpy", "pyarrow", "av", "cv2", "scipy", "huggingface_hub"}) == set()
