"""The code blocks of README and docs run, each page as a user would type it, one after another.

A page names the inputs that it expects in a comment, ``<!-- example: my-videos -->``; a block that
cannot run here stands below ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_INPUTS = re.compile(r"<!-- example: ([^>]+) -->")
_BLOCK = re.compile(
    r"(?P<skip><!-- not run: (?P<reason>[^>]+) -->\n)?"
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_LANGUAGES = {"sh", "python", "yaml", "csv", "json", "html"}


def blocks(page: Path) -> list[re.Match[str]]:
    return list(_BLOCK.finditer(page.read_text("utf-8")))


def runs(page: Path) -> bool:
    return any(
        block["language"] in ("sh", "python") and not block["skip"] for block in blocks(page)
    ) and bool(_INPUTS.search(page.read_text("utf-8")))


def test_every_block_has_a_known_language_and_runs_or_says_why_not():
    assert PAGES
    for page in PAGES:
        text = page.read_text("utf-8")
        assert text.count("\n```") == 2 * len(blocks(page)), page
        for block in blocks(page):
            assert block["language"] in _LANGUAGES, page
            if block["language"] in ("sh", "python") and not block["skip"]:
                assert _INPUTS.search(text), f"{page}: no inputs are named and a block is to run"


def test_the_tutorials_run():
    assert {page.stem for page in PAGES if runs(page)} >= {
        "README", "own-folder", "channel", "study", "train-a-metric"
    }  # fmt: skip


@pytest.fixture
def inputs(media, tmp_path):
    """Makes the inputs of a page, by the names that the page gives them."""

    def make(name: str) -> None:
        target = tmp_path / name
        if name == "my-videos":
            target.mkdir()
            shutil.copy(media("plain"), target / "one.mp4")
        elif name == "generated":
            target.mkdir()
            for generator in ("LIA", "FLOAT"):
                shutil.copy(media("plain"), target / f"anna__{generator}.mp4")
        elif name == "portraits":
            from PIL import Image

            target.mkdir()
            Image.new("RGB", (64, 64), (90, 120, 150)).save(target / "anna.png")
        elif name == "ratings.csv":
            lines = ["subject,clip_id,score,distortions"]
            for subject in range(6):
                for clip, base in (("anna__LIA", 2), ("anna__FLOAT", 4)):
                    lines.append(f"s{subject},{clip},{base + subject % 2},{'0' * 11}{subject % 2}")
            target.write_text("\n".join(lines) + "\n")
        elif name != "nothing":
            raise AssertionError(f"there is no example input {name!r}")

    return make


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run(page, inputs, tmp_path):
    text = page.read_text("utf-8")
    (named,) = _INPUTS.findall(text)
    for name in named.split(","):
        inputs(name.strip())
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }
    python = ""
    for block in blocks(page):
        if block["skip"]:
            continue
        if block["title"]:
            (tmp_path / block["title"]).write_text(block["code"])
        elif block["language"] == "sh":
            command = ["bash", "-eu", "-c", block["code"]]
        elif block["language"] == "python":
            python += block["code"]
            command = [sys.executable, "-c", python]
        else:
            continue
        if not block["title"]:
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, (
                f"{block['code']}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )


@pytest.mark.slow
def test_the_notebook_runs(repo, sample, tmp_path):
    del sample  # skips without the extra [demo]
    nbclient = pytest.importorskip("nbclient", reason="the notebook needs nbclient")
    nbformat = pytest.importorskip("nbformat", reason="the notebook needs nbclient")
    notebook = nbformat.read(repo / "docs/tutorials/first-dataset.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    client = nbclient.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [cell for cell in notebook.cells if cell.get("outputs")]
    assert len(shown) >= 5
