"""What a release needs beside the code agrees with the code."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import theval_datasets


def project(repo: Path) -> dict:
    with (repo / "pyproject.toml").open("rb") as stream:
        return tomllib.load(stream)["project"]


def test_the_version_is_the_same_everywhere(repo):
    citation = yaml.safe_load((repo / "CITATION.cff").read_text("utf-8"))
    assert project(repo)["version"] == theval_datasets.__version__ == citation["version"]
    assert citation["license"] == project(repo)["license"]
    assert citation["title"] == project(repo)["name"]


def test_every_requirement_has_a_tested_range(repo):
    open_ended = {
        "packaging",
        "pillow",
        "fsspec",
        "s3fs",
        "yt-dlp[default]",
    }  # versions are years or grow slowly
    result = project(repo)
    extras = {name: v for name, v in result["optional-dependencies"].items() if name != "dev"}
    for line in [*result["dependencies"], *(item for lines in extras.values() for item in lines)]:
        name = re.match(r"[\w.\-]+(\[[\w,]+\])?", line)[0]
        if not name.startswith("theval-datasets"):
            assert "<" in line or "==" in line or name in open_ended, line


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md", "RELEASING.md", "LICENSE"])
def test_pages_are_there(repo, name):
    assert len((repo / name).read_text("utf-8")) > 500


def test_the_workflow_runs_scripts_that_exist(repo):
    workflow = yaml.safe_load((repo / ".github/workflows/check.yml").read_text("utf-8"))
    commands = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert ".ci/run" in commands
    for command in commands:
        assert os.access(repo / command, os.X_OK), command
    pythons = {
        str(version)
        for job in workflow["jobs"].values()
        for version in job["strategy"]["matrix"]["python"]
    }
    classified = {
        item.rpartition(" ")[2] for item in project(repo)["classifiers"] if ":: 3." in item
    }
    assert pythons == classified


def test_hooks_run_what_the_check_runs(repo):
    config = yaml.safe_load((repo / ".pre-commit-config.yaml").read_text("utf-8"))
    entries = [hook["entry"] for feature in config["repos"] for hook in feature["hooks"]]
    assert {entry.split()[0] for entry in entries} <= {".venv/bin/ruff", ".venv/bin/python"}
    for entry in entries:
        for path in re.findall(r"(?:tests|scripts)/[\w/.]+", entry):
            assert (repo / path).is_file(), path


def test_a_fault_report_asks_for_what_is_needed(repo):
    form = yaml.safe_load((repo / ".github/ISSUE_TEMPLATE/fault.yml").read_text("utf-8"))
    asked = {part["id"]: part for part in form["body"]}
    assert len(asked) == len(form["body"])
    assert "doctor --json" in asked["doctor"]["attributes"]["label"]
    required = {name for name, part in asked.items() if part.get("validations", {}).get("required")}
    assert {"command", "received", "expected", "doctor"} <= required
