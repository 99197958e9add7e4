"""Type-check the sources under the names they are installed by.

The folders of the repository are rooms of one package, `theval_datasets`; a type checker has to
see them so. This lays a tree of links under `build/types` and runs mypy on it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOMS = ("builders", "cards", "curation", "features")


def link_tree(root: Path, target: Path) -> Path:
    """Make `target/theval_datasets` out of links to the rooms; return it."""
    package = target / "theval_datasets"
    package.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path for path in (root / "core").iterdir() if path.name != "__pycache__"}
    wanted |= {room: root / room for room in ROOMS}
    for old in package.iterdir():
        if old.is_symlink():
            old.unlink()
    for name, path in wanted.items():
        (package / name).symlink_to(path.resolve())
    return package


def main() -> int:
    """Run mypy; further arguments go to it."""
    root = Path(__file__).resolve().parents[1]
    package = link_tree(root, root / "build" / "types")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(root / "pyproject.toml"),
        *sys.argv[1:],
    ]
    return subprocess.call([*command, "-p", package.name], cwd=package.parent)


if __name__ == "__main__":
    sys.exit(main())
