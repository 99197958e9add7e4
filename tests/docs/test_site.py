"""The site builds strictly: every page is reachable, no link and no reference leads nowhere."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import make_docs
import pytest


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "docs"
    return {page.relative_to(folder).as_posix() for page in make_docs.gather(folder)}


def listed(nav):
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else listed(value)


def test_the_navigation_lists_every_page_once(repo, pages):
    with (repo / "zensical.toml").open("rb") as stream:
        nav = tomllib.load(stream)["project"]["nav"]
    names = list(listed(nav))
    assert len(names) == len(set(names))
    assert set(names) == pages


def test_links_of_root_pages_lead_to_the_site_or_become_text():
    assert "](../how-to/ratings.md)" in make_docs.from_root("DATASETS.md", up="../")
    assert "](CHANGELOG.md)" not in make_docs.from_root("CONTRIBUTING.md")


def test_a_notebook_becomes_text_and_code(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": ["a = 1"]},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    text = "# Title\ntext\n\n```python\na = 1\n```\n"
    assert make_docs.notebook_page(tmp_path / "n.ipynb") == text


@pytest.mark.slow
def test_the_site_builds_strictly_and_asks_for_nothing_from_outside(repo, tmp_path):
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("the extra [docs] is not installed")
    shutil.copy(repo / "zensical.toml", tmp_path)
    (tmp_path / "src").symlink_to(repo / "src")
    make_docs.gather(tmp_path / "build" / "docs")
    done = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    index = (tmp_path / "build" / "site" / "index.html").read_text("utf-8")
    assert "fonts.googleapis.com" not in index
    assert (tmp_path / "build" / "site" / "reference" / "api.html").is_file()
