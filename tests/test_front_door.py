"""`import theval_datasets as td`: what it offers, lazily, and reports that notebooks can show."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import theval_datasets as td
from theval_datasets import cli
from theval_datasets.commands.signatures import command_line
from theval_datasets.utils.report import Report


def functions() -> list[str]:
    return [name for name in td.__all__ if name != "evaluation"]


@pytest.mark.parametrize("name", functions())
def test_signatures_are_those_of_python(name):
    function = getattr(td, name)
    shown = str(inspect.signature(function))
    assert "typer" not in shown
    assert "Annotated" not in shown
    assert "ForwardRef" not in shown
    assert list(inspect.signature(function).parameters) == [
        parameter for parameter in function.__annotations__ if parameter != "return"
    ]


def test_the_command_line_keeps_its_options_after_a_look_at_the_function():
    assert "str | os.PathLike[str]" in str(inspect.signature(td.study))
    command = command_line(td.study, lambda report, as_json: None)
    (columns,) = inspect.signature(command).parameters["columns"].annotation.__metadata__
    assert columns.metavar == "NAME=COLUMN"


@pytest.mark.parametrize("name", functions())
def test_functions_are_those_of_the_commands(name):
    function = getattr(td, name)
    assert function in {entry for group in cli.GROUPS.values() for entry, _ in group.values()}
    assert inspect.getdoc(function)


def test_every_command_but_the_demo_is_a_function():
    commands = {entry.__name__ for group in cli.GROUPS.values() for entry, _ in group.values()}
    assert commands - {"demo"} == set(functions())


def test_names_can_be_completed():
    assert {"curate", "evaluation", "verify", "__version__"} <= set(dir(td))
    assert td.evaluation.srcc([1, 2, 3], [1, 2, 3]) == 1.0
    with pytest.raises(AttributeError, match="nonsense"):
        _ = td.nonsense


def test_importing_loads_nothing():
    code = (
        "import sys; before = set(sys.modules); import theval_datasets as td; dir(td);"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if "." not in name}
    assert "theval_datasets" in loaded
    assert not loaded & {"numpy", "polars", "pyarrow", "typer", "yaml", "datasets", "av"}


def test_paths_may_be_text_or_path_like(tmp_path):
    for folder in (str(tmp_path), tmp_path, Like(tmp_path)):
        with pytest.raises(td_error(), match=str(tmp_path.name)):
            td.verify(folder)


class Like(os.PathLike[str]):
    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


def td_error():
    from theval_datasets.errors import InputError

    return InputError


@dataclass(frozen=True)
class Sample(Report):
    rows: tuple[dict[str, object], ...]

    def to_plain(self):
        return {"rows": list(self.rows)}

    def to_text(self):
        return "1 < 2"

    def table(self):
        return self.rows


class Bare(Report):
    def to_plain(self):
        return {}

    def to_text(self):
        return "a & b"


def test_reports_are_tables():
    report = Sample(({"name": "<b>a</b>", "value": 1.23456}, {"name": "b", "value": None}))
    frame = report.to_polars()
    assert frame.columns == ["name", "value"]
    assert frame["value"].to_list() == [1.23456, None]
    page = report._repr_html_()
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "1.235" in page
    assert "–" in page
    assert "1 &lt; 2" in page
    assert "more rows" not in page
    assert "1 more rows" in Sample(tuple({"n": i} for i in range(101)))._repr_html_()
    assert "more rows" not in Sample(tuple({"n": i} for i in range(100)))._repr_html_()


def test_a_report_without_rows_is_an_empty_table_or_none():
    assert Sample(()).to_polars().is_empty()
    assert Bare()._repr_html_() == "<pre>a &amp; b</pre>"
    assert Bare().exit_code == 0
    with pytest.raises(TypeError, match="Bare has no table"):
        Bare().to_polars()


def test_the_doctor_can_be_shown_in_a_notebook():
    report = td.doctor()
    assert report.to_polars().height == len(report.checks)
    assert "<table>" in report._repr_html_()
