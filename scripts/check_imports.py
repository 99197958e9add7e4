"""Check with pyright that every import of the checkout resolves without search paths.

Pyright infers types of everything that it reads, which takes minutes, so it reads a copy of the checkout
whose files hold their imports alone, in the same lines. Packages of extras that are not installed are
skipped: those that `[tool.mypy]` in `pyproject.toml` lists as optional.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_NAME: Final = re.compile(r'Import "(\w+)')


def optional_packages() -> set[str]:
    """Top-level packages that need not be installed."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        overrides = tomllib.load(stream)["tool"]["mypy"]["overrides"]
    return {name.partition(".")[0] for override in overrides for name in override["module"]}


def unresolved(report: dict[str, list[dict[str, object]]], optional: set[str]) -> list[str]:
    """Lines ``file:line: message``, one for each import that does not resolve but should."""
    faults = []
    for diagnostic in report["generalDiagnostics"]:
        match = _NAME.search(str(diagnostic["message"]))
        if diagnostic.get("rule") != "reportMissingImports" or (match and match[1] in optional):
            continue
        start = diagnostic["range"]["start"]["line"]  # type: ignore[index]
        faults.append(f"{diagnostic['file']}:{start + 1}: {diagnostic['message']}")
    return faults


def only_imports(text: str) -> str:
    """A module's imports, wherever in it they are, in the lines in which it has them."""
    lines = [""] * (text.count("\n") + 1)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            separator = "; " if lines[node.lineno - 1] else ""
            lines[node.lineno - 1] += separator + ast.unparse(node)
    return "\n".join(lines).rstrip()


def copy_imports(root: Path, target: Path) -> None:
    """Copy what pyright reads of a checkout: its settings, and the imports of its modules.

    Args:
        root: The checkout.
        target: Folder that is filled.
    """
    shutil.copy(root / "pyproject.toml", target)
    with (root / "pyproject.toml").open("rb") as stream:
        places = tomllib.load(stream)["tool"]["basedpyright"]["include"]
    for place in places:
        for path in sorted((root / place).rglob("*")):
            copy = target / path.relative_to(root)
            if path.is_symlink() or path.suffix == ".py":
                copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                copy.symlink_to(path.readlink())
            elif path.suffix == ".py":
                copy.write_text(only_imports(path.read_text("utf-8")), "utf-8")


def check(root: Path) -> tuple[int, list[str]]:
    """Run pyright on a checkout; the number of files that it read, and see `unresolved`."""
    with tempfile.TemporaryDirectory() as name:
        copy_imports(root, Path(name))
        done = subprocess.run(
            [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"],
            cwd=name, capture_output=True, text=True, check=False,
        )  # fmt: skip
        report = json.loads(done.stdout.replace(f"{Path(name).resolve()}/", ""))
    return report["summary"]["filesAnalyzed"], unresolved(report, optional_packages())


def main() -> int:
    """Check this checkout; return 1 if an import does not resolve."""
    count, faults = check(ROOT)
    print("\n".join([*faults, f"{count} files, {len(faults)} unresolved imports"]))
    return int(bool(faults) or count < 100)


if __name__ == "__main__":
    sys.exit(main())
