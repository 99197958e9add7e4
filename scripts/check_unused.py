"""Find unused functions, classes and imports with vulture.

Variables are left out, since fields of dataclasses are written to files as a whole. Also left out are the
units that `theval_datasets.catalog` finds by the names of their files, and methods called by a framework.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from vulture import Vulture

from theval_datasets import catalog

ROOT: Final = Path(__file__).resolve().parents[1]
PLACES: Final = ("src", "builders", "cards", "curation", "features", "benchmarks", "examples", "scripts", "tests")  # fmt: skip
KINDS: Final = ("class", "function", "import", "method", "property")
CALLED_BY_FRAMEWORKS: Final = (
    "__dir__", "__getattr__",  # Python, of a module
    "_generate_tables", "_info", "_split_generators",  # datasets
    "do_*", "log_message",  # http.server
    "find_class", "persistent_load",  # pickle
    "readable", "readinto",  # io
    "format_commands",  # typer
    "forward",  # torch
    "_repr_html_",  # notebooks
    "pytest_*",
)  # fmt: skip


def units() -> set[str]:
    """Names of the classes in the catalogue."""
    return {
        catalog.load(kind, name).__name__
        for kind in catalog.PACKAGES
        for name in catalog.names(kind)
    }


def unused(paths: Iterable[Path], expected: Iterable[str]) -> list[str]:
    """Lines ``file:line: unused KIND NAME``.

    Args:
        paths: Files and folders; links in them are not followed.
        expected: Names, or patterns of them, that may be unused.
    """
    vulture = Vulture(ignore_decorators=["@pytest.fixture*", "@app.*"])
    files = [
        file
        for path in paths
        for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))
        if not any(above.is_symlink() for above in file.parents)
    ]
    vulture.scavenge(files)
    names = [*expected, *CALLED_BY_FRAMEWORKS]
    return [
        f"{item.filename}:{item.first_lineno}: unused {item.typ} {item.name}"
        for item in vulture.get_unused_code(min_confidence=60)
        if item.typ in KINDS and not any(fnmatch(item.name, name) for name in names)
    ]


def main() -> int:
    """Return 1 if something is unused, else 0."""
    lines = unused((ROOT / place for place in PLACES), units())
    print("\n".join([*lines, f"{len(lines)} unused names"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
