"""Imports point one way, and importing is free.

builders may import cards, curation and features; curation may import features; all may import the
floor (`src/theval_datasets/`), which imports no room. Only the floor's `commands/` may import every
room, inside its functions, and `cli.py` imports nothing but commands and errors. Inside a room, and
inside a package of the floor, imports are relative; across them they begin with `theval_datasets`.
A module whose name begins with `_` is imported by its own package only, and no modules import each
other in a circle.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from theval_datasets import catalog

FLOOR = "src/theval_datasets"
ROOMS = {
    "features": {"features"},
    "cards": {"cards"},
    "curation": {"curation", "features"},
    "builders": {"builders", "cards", "curation", "features"},
}
HEAVY = {
    "datasets", "decord", "dlib", "insightface", "matplotlib", "mediapipe", "onnxruntime", "parselmouth",
    "polars", "pyannote", "pyiqa", "ray", "skimage", "torch", "torchaudio", "yt_dlp",
}  # fmt: skip
HEAVY_AT_THE_TOP = {"builders": {"datasets"}, "cards": {"datasets"}}
"""A builder is a subclass of one of `datasets`, and cards are only imported by builders."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports.

    Attributes:
        target: Absolute dotted name; a leading ``theval_datasets.`` is dropped.
        line: Where.
        eager: Whether it happens when the module is imported.
        relative: Whether it is written with dots.
        own: Whether the target lies in this project.
    """

    target: str
    line: int
    eager: bool
    relative: bool
    own: bool


def module_name(relative: str) -> str:
    """The dotted name below `theval_datasets` of a file of the checkout."""
    inner = relative.removeprefix(FLOOR + "/").removesuffix(".py")
    return inner.removesuffix("/__init__").removesuffix("__init__").replace("/", ".")


@functools.cache
def imports(relative: str, text: str) -> tuple[Import, ...]:
    is_package = relative.endswith("/__init__.py")
    here = module_name(relative).split(".")
    package = here if is_package else here[:-1]

    def walk(node: ast.AST, eager: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                own = alias.name.partition(".")[0] == "theval_datasets"
                target = alias.name.removeprefix("theval_datasets").lstrip(".")
                yield Import(target if own else alias.name, node.lineno, eager, False, own)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                own = True
            else:
                first, *base = (node.module or "").split(".")
                own = first == "theval_datasets"
                if not own:
                    base = [first, *base]
            if node.level and node.module:
                base = [*base, *node.module.split(".")]
            for alias in node.names:
                target = ".".join([*base, alias.name]) if own else ".".join(base)
                yield Import(target, node.lineno, eager, bool(node.level), own)
        lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            lazy = True
        for child in ast.iter_child_nodes(node):
            yield from walk(child, eager and not lazy)

    return tuple(walk(ast.parse(text, relative), True))


def sources(root: Path) -> dict[str, str]:
    """Text of every module of the checkout, by path; each once, however it is linked."""
    by_name: dict[str, str] = {}
    for place in (FLOOR, *ROOMS):
        folder = root / place
        assert folder.is_dir(), f"{place} is not there: nothing would be checked"
        files = [
            path
            for path in sorted(folder.rglob("*.py"))
            if not any((root / above).is_symlink() for above in path.relative_to(root).parents)
        ]
        assert files, f"{place} holds no module: nothing would be checked"
        by_name |= {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in files}
    return by_name


def violations(files: Mapping[str, str]) -> list[str]:
    faults = [fault for path, text in files.items() for fault in violations_in(path, text)]
    return faults + private_imports(files) + circles(files)


def violations_in(relative: str, text: str) -> list[str]:
    return [
        f"{relative}:{imported.line}: imports {imported.target}, but {complaint}"
        for imported in imports(relative, text)
        for complaint in [_complaint(relative, imported)]
        if complaint
    ]


def _place(relative: str) -> tuple[str, str]:
    """The room or ``floor``, and the part inside which imports are relative."""
    if not relative.startswith(FLOOR):
        room = relative.partition("/")[0]
        return room, room
    inner = relative.removeprefix(FLOOR + "/")
    return "floor", inner.partition("/")[0] if "/" in inner else ""


def _complaint(relative: str, one: Import) -> str | None:
    place, part = _place(relative)
    if not one.own:
        package = one.target.partition(".")[0]
        if one.eager and package in HEAVY - HEAVY_AT_THE_TOP.get(place, set()):
            return "heavy packages are imported where they are used, not with the module"
        if package in ROOMS or package in ("core", "src"):
            return "the installed name is theval_datasets…"
        return None
    target = one.target.partition(".")[0]
    if one.relative != (part != "" and target == part):
        return "imports are relative inside a part, and absolute across parts"
    to_commands = target in ("commands", "cli")
    if place != "floor":
        if to_commands:
            return "nothing but the command line imports commands"
        allowed = target not in ROOMS or target in ROOMS[place]
        names = ", ".join(sorted(ROOMS[place]))
        return None if allowed else f"{place} may only import {names} and the floor"
    if relative == f"{FLOOR}/cli.py":
        allowed = target in ("commands", "errors", "utils", "__version__")
        return None if allowed else "the command line imports only commands, errors and utils"
    if relative == f"{FLOOR}/__init__.py":
        allowed = target in ("commands", "evaluation") and not one.eager
        return None if allowed else "the package only hands on commands and evaluation, lazily"
    if relative == f"{FLOOR}/__main__.py":
        return None if target in ("cli", "utils") else "it only starts the command line"
    if part == "commands":
        lazily = target not in ROOMS or not one.eager
        return None if lazily else "commands import rooms inside functions"
    if target in ROOMS:
        return "the floor imports no room"
    return "the floor imports no command" if to_commands else None


def private_imports(files: Mapping[str, str]) -> list[str]:
    """Imports of a `_private` module by another package than its own."""
    faults = []
    for relative, text in files.items():
        own = module_name(relative)
        package = own if relative.endswith("/__init__.py") else own.rpartition(".")[0]
        for imported in imports(relative, text):
            parts = imported.target.split(".") if imported.own else []
            for depth, name in enumerate(parts):
                hidden = name.startswith("_") and not name.startswith("__")
                if hidden and ".".join(parts[:depth]) != package:
                    faults.append(
                        f"{relative}:{imported.line}: {imported.target} is private to its package"
                    )
    return faults


def graph(files: Mapping[str, str]) -> dict[str, set[str]]:
    """Module to the modules that it imports, at any time."""
    known = {module_name(path) for path in files}
    edges: dict[str, set[str]] = {name: set() for name in known}
    for path, text in files.items():
        name = module_name(path)
        for imported in imports(path, text):
            if imported.own:
                module = (
                    imported.target
                    if imported.target in known
                    else imported.target.rpartition(".")[0]
                )
                if module in known and module != name:
                    edges[name].add(module)
    return edges


def circles(files: Mapping[str, str]) -> list[str]:
    """One circle of imports, if there is any.

    A package's `__init__` that defines nothing only hands on what its modules define.
    """
    hallways = {
        module_name(path)
        for path, text in files.items()
        if path.endswith("/__init__.py")
        and not any(
            isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("__")
            for node in ast.parse(text).body
        )
    }
    edges = {
        name: {item for item in targets if item not in hallways}
        for name, targets in graph(files).items()
        if name not in hallways
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return ["imports go round: " + " -> ".join(error.args[1])]
    return []


@pytest.fixture(scope="module")
def files(repo) -> dict[str, str]:
    return sources(repo)


def test_imports_point_one_way(files):
    assert len(files) > 200
    assert violations(files) == []


def test_both_kinds_of_import_are_counted(files):
    result = [
        imported for path, text in files.items() for imported in imports(path, text) if imported.own
    ]
    assert sum(item.relative for item in result) > 200
    assert sum(not item.relative for item in result) > 200


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (f"{FLOOR}/extraction/cache.py", "import theval_datasets.features"),
        (f"{FLOOR}/extraction/cache.py", "def f():\n    from theval_datasets import builders"),
        (f"{FLOOR}/extraction/cache.py", "from theval_datasets.commands import score"),
        (f"{FLOOR}/extraction/cache.py", "from theval_datasets.extraction import mesh"),
        (f"{FLOOR}/extraction/cache.py", "from ..utils import files"),
        (f"{FLOOR}/catalog.py", "from .errors import InputError"),
        (f"{FLOOR}/cli.py", "from theval_datasets.extraction import cache"),
        (f"{FLOOR}/__main__.py", "from theval_datasets.extraction import cache"),
        (f"{FLOOR}/__init__.py", "from theval_datasets.extraction import cache"),
        (f"{FLOOR}/__init__.py", "from theval_datasets.commands.build import build"),
        (f"{FLOOR}/commands/__init__.py", "from theval_datasets.curation import filters"),
        ("features/vad.py", "from theval_datasets.curation import filters"),
        ("features/vad.py", "from theval_datasets.commands import score"),
        ("features/vad.py", "from theval_datasets.features.people import tracks"),
        ("curation/filters/__init__.py", "from theval_datasets.builders import base"),
        ("curation/filters/__init__.py", "import mediapipe.solutions"),
        ("cards/__init__.py", "import features"),
        ("builders/tables/arrow.py", "from theval_datasets.media import _open"),
        (f"{FLOOR}/extraction/outcomes.py", "from .runner import Runner"),
    ],
)
def test_a_planted_violation_is_found(files, path, line):
    planted = {**files, path: f"{files[path]}\n{line}\n"}
    faults = set(violations(planted)) - set(violations(files))
    assert faults
    assert all(path in fault or "imports go round" in fault for fault in faults)


def test_the_whole_tree_is_read(tmp_path):
    for place in (FLOOR, *ROOMS):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "__init__.py").touch()
    (tmp_path / FLOOR / "curation").symlink_to(tmp_path / "curation")
    deep = tmp_path / "curation" / "filters" / "deep" / "er.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("import theval_datasets.builders")
    (fault,) = violations(sources(tmp_path))
    assert fault.startswith("curation/filters/deep/er.py:1")


@pytest.mark.parametrize("place", [FLOOR, *ROOMS])
def test_a_folder_that_is_gone_is_a_fault(tmp_path, place):
    for other in {FLOOR, *ROOMS} - {place}:
        (tmp_path / other).mkdir(parents=True)
        (tmp_path / other / "__init__.py").touch()
    with pytest.raises(AssertionError, match="nothing would be checked"):
        sources(tmp_path)


def test_what_commands_do_inside_functions_is_allowed(files):
    path = f"{FLOOR}/commands/new.py"
    text = "def run():\n    from theval_datasets.builders.base import builder\n"
    assert violations({**files, path: text}) == violations(files)


def test_no_two_classes_have_one_name(files):
    places: dict[str, list[str]] = {}
    for path, text in files.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path)
    assert len(places) > 300
    assert {name: by_name for name, by_name in places.items() if len(by_name) > 1} == {}


@pytest.mark.parametrize("kind", catalog.PACKAGES)
def test_every_unit_is_one_class_named_after_its_file_or_folder(kind):
    names = catalog.names(kind)
    assert names
    assert not set(names) & catalog.SHARED[kind]
    for name in names:
        unit = catalog.load(kind, name)
        plain = name.replace("_", "")
        assert unit.__name__.lower() in (plain, plain + kind)
        if kind == "extractor":
            assert unit.name == name
        if kind == "dataset":
            assert name.replace("_", "-") == unit.NAME


def test_what_units_share_is_there(repo):
    rooms = {
        "extractor": "features",
        "filter": "curation/filters",
        "source": "curation/sources",
        "dataset": "builders",
    }
    for kind, place in rooms.items():
        there = {path.stem for path in (repo / place).iterdir()}
        assert catalog.SHARED[kind] <= there


def test_importing_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, theval_datasets.cli; from theval_datasets import catalog;"
        "[catalog.names(kind) for kind in catalog.PACKAGES]; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "typer" in loaded
    assert loaded & (HEAVY | {"numpy", "pyarrow", "av", "cv2", "scipy", "huggingface_hub"}) == set()


MAY_WRITE = {
    "builders/release/place.py",
    "builders/release/parquet_file.py",
    "curation/sources/fetching/fetch.py",
    f"{FLOOR}/demo/clips.py",
    f"{FLOOR}/demo/speech.py",
    f"{FLOOR}/extraction/weights.py",
    f"{FLOOR}/utils/files.py",
    f"{FLOOR}/utils/jsonl.py",
    f"{FLOOR}/utils/locks.py",
    f"{FLOOR}/utils/stores.py",
}
"""Modules that write, move and remove files themselves; all others do so through `utils`, which checks
that untrusted paths stay in their folder and that files are written whole."""

CHANGES = {
    "hardlink_to", "removedirs", "rmdir", "rmtree", "symlink_to", "touch", "unlink", "write_bytes",
}  # fmt: skip
CHANGES_OF = {
    "os": {"link", "remove", "rename", "renames", "replace", "symlink", "truncate"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move"},
}


def file_changes(relative: str, text: str) -> list[str]:
    """Calls that write, move or remove files."""
    faults = []
    for node in ast.walk(ast.parse(text, relative)):
        if isinstance(node, ast.Call) and (name := _change(node, "polars" in text)):
            faults.append(f"{relative}:{node.lineno}: {name}; utils.files and utils.jsonl do that")
    return faults


def _change(call: ast.Call, frames: bool) -> str | None:
    """The name of a call that changes files; None for other calls.

    Args:
        call: The call.
        frames: Whether the module handles tables, whose columns are renamed.
    """
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
    if name in CHANGES or name in CHANGES_OF.get(owner, ()):
        return name
    if isinstance(function, ast.Attribute):
        moved = name == "replace" or (name == "rename" and not frames)
        if moved and len(call.args) == 1 and not call.keywords:
            return name  # of a path; text is replaced with two arguments
        if name == "write_text":
            return name
    if name == "open":
        given = [*call.args, *(item.value for item in call.keywords if item.arg == "mode")]
        modes = [imported.value for imported in given if isinstance(imported, ast.Constant)]
        kept = not any(word in ast.unparse(call) for word in ("devnull", "(held", "(stream"))
        if any(isinstance(m, str) and set(m) & set("wax+") and len(m) < 4 for m in modes):
            return "open for writing" if kept else None  # in memory, or to nowhere
    return None


def test_files_are_changed_in_few_places(files):
    assert set(files) >= MAY_WRITE
    faults = [
        fault
        for path, text in files.items()
        if path not in MAY_WRITE
        for fault in file_changes(path, text)
    ]
    assert faults == []
    idle = [path for path in MAY_WRITE if not file_changes(path, files[path])]
    assert idle == [], "these need no exception"


@pytest.mark.parametrize(
    "line",
    [
        "path.unlink(missing_ok=True)", "shutil.rmtree(folder)", "path.replace(target)",
        "part.rename(target)", "path.open('w')", "path.open(mode='ab')", "open(path, 'x')",
        "os.remove(path)", "os.replace(a, b)", "shutil.move(a, b)", "path.write_text('x')",
        "path.write_bytes(b'')", "path.touch()",
    ],
)  # fmt: skip
def test_a_planted_change_of_files_is_found(line):
    assert file_changes("curation/new.py", line)


@pytest.mark.parametrize(
    "line",
    ["path.open('rb')", "text.replace('a', 'b')", "replace(row, path=None)", "write_text(path, 'x')",
     "path.open()", "remove_inside(root, name)", "import polars\nframe.rename(names)"],
)  # fmt: skip
def test_what_changes_no_file_is_no_fault(line):
    assert file_changes("curation/new.py", line) == []
