"""The generated tables of DATASETS.md are those of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def script(repo: Path):
    spec = importlib.util.spec_from_file_location("update_docs", repo / "scripts/update_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_datasets_md_is_up_to_date(script, repo):
    text = (repo / "DATASETS.md").read_text(encoding="utf-8")
    assert text.count("<!-- generated: ") >= 4
    assert script.updated(text) == text, "run python scripts/update_docs.py"


def test_staleness_is_seen(script, repo):
    text = (repo / "DATASETS.md").read_text(encoding="utf-8")
    stale = text.replace("| `lip_sync` | float64", "| `lip_sink` | float64")
    assert stale != text
    assert script.updated(stale) == text
    with pytest.raises(SystemExit, match="no block"):
        script.updated("<!-- generated: nothing -->\n<!-- end -->")
