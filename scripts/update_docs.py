"""Write the generated tables of committed pages; ``--check`` only compares.

Everything between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is generated from the code's
declarations. Pages that are generated as a whole are made by `make_docs.py`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import reference

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (ROOT / "DATASETS.md", ROOT / "docs" / "concepts" / "manifest.md")
_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "datasets": reference.datasets_table,
    "inputs": reference.common_inputs_table,
    "common": reference.common_columns_table,
    "special": reference.special_sections,
    "manifest": reference.manifest_tables,
}


def updated(text: str) -> str:
    """A page with its blocks generated again.

    Raises:
        SystemExit: The page names an unknown block.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        if name not in BLOCKS:
            raise SystemExit(f"there is no block {name!r}; known: {', '.join(BLOCKS)}")
        return f"{match[1]}{BLOCKS[name]()}{match[3]}"

    return _BLOCK.sub(replace, text)


def main() -> int:
    """Return 1 if `--check` finds an outdated page, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if stale")
    check = parser.parse_args().check
    stale = {page: new for page in PAGES if (new := updated(old := page.read_text("utf-8"))) != old}
    for page, text in stale.items():
        if check:
            print(
                f"{page.relative_to(ROOT)} is stale: run python scripts/update_docs.py",
                file=sys.stderr,
            )
        else:
            page.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
