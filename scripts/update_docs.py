"""Write the tables of DATASETS.md from what the code declares; ``--check`` only compares.

Everything between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is generated: from the
catalogue, the builders' columns, and the extractors' `writes`.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from theval_datasets import catalog
from theval_datasets.cards.papers import PAPERS
from theval_datasets.cards.render import kind_in_words

PAGE: Final = Path(__file__).resolve().parents[1] / "DATASETS.md"
_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def first_line(unit: type[Any]) -> str:
    """The first line of a class's docstring."""
    return (inspect.getdoc(unit) or "").partition("\n")[0]


def datasets_table() -> str:
    """Every dataset: what it is, its configs, what it is built from."""
    rows = []
    for name in catalog.names("dataset"):
        unit = catalog.load("dataset", name)
        configs = ", ".join(f"`{config.name}`" for config in unit.BUILDER_CONFIGS)
        papers = ", ".join(PAPERS[key].title for key in unit.CITES)
        rows.append((f"`{unit.repository()}`", unit.SUMMARY, configs, papers))
    return table(("dataset", "what it is", "configs", "paper"), rows)


def kinds_table() -> str:
    """What each dataset takes by ``--with KIND=PATH``."""
    rows = [
        (f"`{unit.repository()}`", f"`{kind}`", meaning)
        for unit in (catalog.load("dataset", name) for name in catalog.names("dataset"))
        for kind, meaning in unit.kinds().items()
    ]
    return table(("dataset", "kind", "what it is"), rows)


def columns_tables() -> str:
    """The columns of every config of every dataset."""
    parts = []
    for name in catalog.names("dataset"):
        unit = catalog.load("dataset", name)
        for config in unit.BUILDER_CONFIGS:
            rows = [
                (
                    f"`{field.name}`",
                    kind_in_words(field.feature),
                    field.unit,
                    field.meaning,
                    f"`{field.origin}`",
                )
                for field in unit.FIELDS[config.name]
            ]
            head = ("column", "type", "unit", "meaning", "from")
            title = f"### `{unit.repository()}`, `{config.name}`\n\n{config.description}\n\n"
            parts.append(title + table(head, rows))
    return "\n".join(parts)


def extractors_table() -> str:
    """Every extractor and what it writes."""
    rows = []
    for name in catalog.names("extractor"):
        unit = catalog.load("extractor", name)
        extra = f"`[{unit.extra}]`" if unit.extra else ""
        writes = ", ".join(f"`{column.name}`" for column in unit.writes)
        rows.append((f"`{name}`", str(unit.version), extra, first_line(unit), writes))
    return table(("extractor", "version", "extra", "what it computes", "writes"), rows)


def units_table(kind: catalog.Kind) -> Callable[[], str]:
    """Every unit of a kind, with its docstring's first line."""

    def make() -> str:
        rows = [(f"`{n}`", first_line(catalog.load(kind, n))) for n in catalog.names(kind)]
        return table((kind, "what it does"), rows)

    return make


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "datasets": datasets_table,
    "kinds": kinds_table,
    "columns": columns_tables,
    "extractors": extractors_table,
    "filters": units_table("filter"),
}


def updated(text: str) -> str:
    """A page with its blocks written anew.

    Raises:
        SystemExit: If it names a block that is not known.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        if name not in BLOCKS:
            raise SystemExit(f"there is no block {name!r}; known: {', '.join(BLOCKS)}")
        return f"{match[1]}{BLOCKS[name]()}{match[3]}"

    return _BLOCK.sub(replace, text)


def main() -> int:
    """Returns 1 if `--check` finds a stale page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if stale")
    check = parser.parse_args().check
    before = PAGE.read_text(encoding="utf-8")
    after = updated(before)
    if check:
        if before != after:
            print("DATASETS.md is stale: run python scripts/update_docs.py", file=sys.stderr)
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
