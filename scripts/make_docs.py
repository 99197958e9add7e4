"""Collect the pages of the documentation site, written and generated, in `build/docs`.

``python scripts/make_docs.py && zensical build --strict`` builds the site; so does ``make docs``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Final

import reference

import theval_datasets as td
from theval_datasets import evaluation

ROOT: Final = Path(__file__).resolve().parents[1]
_LINK_TO_DOCS: Final = re.compile(r"\]\(docs/")
_REPOSITORY_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)")


def generated_pages() -> dict[str, str]:
    """Markdown of every page that is generated from code or a root file, by path below the root."""
    pages = {
        "reference/cli.md": reference.commands_page(),
        "reference/api.md": api_page(),
        "reference/evaluation.md": evaluation_page(),
        "reference/library.md": reference.library_page(),
        "reference/datasets.md": from_root("DATASETS.md", up="../"),
        "reference/changes.md": from_root("CHANGELOG.md"),
        "how-to/contribute.md": from_root("CONTRIBUTING.md"),
        "reference/extractors.md": reference.units_page(
            "extractors", "Extractors", "`theval-data extract --features NAME` runs one."
        ),
        "reference/filters.md": reference.units_page(
            "filters", "Filters", "Recipes name filters with their parameters."
        ),
        "reference/recipes.md": reference.units_page(
            "recipes", "Recipes", "`theval-data curate --recipe NAME` follows one."
        ),
        "reference/lists.md": reference.units_page(
            "lists", "Formats of clip lists", "`theval-data import LIST --as NAME` reads one."
        ),
        "reference/presets.md": reference.units_page(
            "presets", "Presets of studies", "`theval-data study --preset NAME` uses one."
        ),
    }
    for unit in reference.dataset_units():
        pages[f"reference/datasets/{unit.NAME}.md"] = reference.dataset_page(unit)
    return pages


def api_page() -> str:
    """Reference of the functions of `theval_datasets`, one for every command."""
    parts = ["# Python API\n\n```python\nimport theval_datasets as td\n```\n"]
    for name in td.__all__:
        if name != "evaluation":
            function = getattr(td, name)
            parts.append(f"::: {function.__module__}.{function.__qualname__}\n")
    return "\n".join(parts)


def evaluation_page() -> str:
    """Reference of `theval_datasets.evaluation`."""
    parts = ["# Evaluation\n\nEverything here is a name of `theval_datasets.evaluation`.\n"]
    for name in sorted(evaluation.__all__):
        value = getattr(evaluation, name)
        if callable(value) and hasattr(value, "__qualname__"):
            parts.append(f"::: {value.__module__}.{value.__qualname__}\n")
    return "\n".join(parts)


def from_root(name: str, up: str | None = None) -> str:
    """A page of the repository's root; links to pages of the site are kept, others become plain text.

    Args:
        name: Name of the file in the root.
        up: Relative path from the page to the site's root; None if it links to no page of the site.
    """
    text = (ROOT / name).read_text("utf-8")
    if up is not None:
        return _LINK_TO_DOCS.sub(f"]({up}", text)
    return _REPOSITORY_LINK.sub(r"\1", text)


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its text, and its code as blocks."""
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return "\n\n".join(parts) + "\n"


def gather(target: Path) -> list[Path]:
    """Write all pages below a folder, which is emptied first.

    Args:
        target: Folder to write to.

    Returns:
        Paths of the pages, sorted.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target)
    for notebook in sorted(target.rglob("*.ipynb")):
        notebook.with_suffix(".md").write_text(notebook_page(notebook), "utf-8")
    for name, text in generated_pages().items():
        page = target / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")
    return sorted(target.rglob("*.md"))


def main() -> int:
    """Collect the pages in `build/docs`."""
    pages = gather(ROOT / "build" / "docs")
    print(f"{len(pages)} pages in build/docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
