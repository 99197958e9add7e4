"""Check with pyright that every import of the checkout resolves without search paths.

Packages of extras that are not installed are skipped: those that `[tool.mypy]` in `pyproject.toml` lists
as optional.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
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


def main() -> int:
    """Run pyright; return 1 if an import does not resolve."""
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    count = report["summary"]["filesAnalyzed"]
    faults = unresolved(report, optional_packages())
    print("\n".join([*faults, f"{count} files, {len(faults)} unresolved imports"]))
    return int(bool(faults) or count < 100)


if __name__ == "__main__":
    sys.exit(main())
