"""The worked examples of CONTRIBUTING.md, put where they belong, pass their own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(repo: Path) -> dict[str, str]:
    """Path of a file to its text."""
    return dict(_BLOCK.findall((repo / "CONTRIBUTING.md").read_text("utf-8")))


def test_there_is_an_example_of_each_kind_with_its_test(repo):
    files = list(blocks(repo))
    rooms = {path.partition("/")[0] for path in files if not path.startswith("tests/")}
    assert rooms == {"features", "curation", "builders"}
    for path in files:
        if not path.startswith("tests/"):
            room, _, name = path.rpartition("/")
            assert f"tests/{room}/test_{name}" in files
        assert not (repo / path).exists(), f"{path} is a real file: the example would replace it"


@pytest.fixture(scope="module")
def extended(repo, tmp_path_factory) -> Path:
    """A copy of the checkout with the examples in it."""
    copy = tmp_path_factory.mktemp("contributing") / "checkout"
    copy.mkdir()
    for name in ("src", "builders", "cards", "curation", "features", "scripts", "docs", "tests"):
        shutil.copytree(
            repo / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "DATASETS.md", "constraints.txt"):
        shutil.copy(repo / name, copy / name)
    for path, text in blocks(repo).items():
        (copy / path).write_text(text, "utf-8")
    return copy


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=copy, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_examples_pass_their_tests(extended, repo):
    tests = [path for path in blocks(repo) if path.startswith("tests/")]
    further = [
        "tests/test_architecture.py::test_imports_point_one_way",
        "tests/test_architecture.py::test_every_unit_is_one_class_named_after_its_file_or_folder",
        "tests/test_docstrings.py::test_examples_run[theval_datasets.features.zero_crossings]",
    ]
    done = run(extended, "pytest", "-q", *tests, *further)
    assert done.returncode == 0, done.stdout
    units = re.search(r"(\d+) passed", done.stdout)
    assert units
    assert int(units[1]) >= 10, done.stdout


@pytest.mark.slow
def test_the_examples_are_tidy(extended, repo):
    files = list(blocks(repo))
    for check in (("ruff", "format", "--check", *files), ("ruff", "check", *files)):
        done = run(extended, *check)
        assert done.returncode == 0, done.stdout
    done = run(extended, "mypy", "--no-incremental", *(f for f in files if "tests/" not in f))
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_page_of_datasets_is_updated(extended):
    assert run(extended, "pytest", "-q", "tests/docs/test_tables.py").returncode != 0
    done = subprocess.run(
        [sys.executable, "scripts/update_docs.py"], cwd=extended, check=False,
        env=os.environ | {"PYTHONPATH": str(extended / "src")},
    )  # fmt: skip
    assert done.returncode == 0
    text = (extended / "DATASETS.md").read_text("utf-8")
    assert "theval/lab-study" in text
