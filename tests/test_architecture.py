"""Imports point one way, and importing is free.

builders may import cards, curation and features; curation may import features; all may import the
floor (`core/`), which imports no room. Only `core/commands/` may reach every room, inside its
functions, and `core/cli.py` imports nothing but commands and errors.
"""

from __future__ import annotations

import ast
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
    return [
        said
        for place in ("core", *ROOMS)
        for path in sorted((root / place).rglob("*.py"))
        for said in violations_in(path.relative_to(root).as_posix(), path.read_text("utf-8"))
    ]


def violations_in(relative: str, text: str) -> list[str]:
    tree = ast.parse(text, relative)
    found = [
        f"{relative}:{line}: imports {name}, but {complaint}"
        for name, line, top in imports(tree)
        for complaint in [_complaint(relative, name, top)]
        if complaint
    ]
    folder, _, file = relative.rpartition("/")
    if folder in UNIT_FOLDERS and not file.startswith("_"):
        units = [
            node.name
            for node in tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.bases
        ]
        if [name.lower() for name in units] != [file.removesuffix(".py").replace("_", "")]:
            found.append(f"{relative}: one unit, a class named after the file, got {units}")
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
        return None if target in ("cli", "quiet") else "it only starts the command line"
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
def test_a_planted_violation_is_found(repo, path, line):
    file = repo / path
    text = file.read_text("utf-8") if file.exists() else ""
    (said,) = set(violations_in(path, f"{text}\n{line}\n")) - set(violations_in(path, text))
    assert said.startswith(path)


def test_the_whole_tree_is_read(repo, tmp_path):
    for place in ("core", *ROOMS):
        (tmp_path / place).mkdir()
    deep = tmp_path / "curation" / "filters" / "deep" / "er.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("import theval_datasets.builders")
    (said,) = violations(tmp_path)
    assert said.startswith("curation/filters/deep/er.py:1")


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
