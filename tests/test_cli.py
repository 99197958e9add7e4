"""The command line: options out of signatures, help, examples, errors, and interruption."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from theval_datasets import cli
from theval_datasets.commands.options import Fields
from theval_datasets.commands.signatures import Documentation, command_line
from theval_datasets.errors import BuildError, InputError

COMMANDS = {name: entry for entries in cli.GROUPS.values() for name, entry in entries.items()}


def run(*arguments: str):
    return CliRunner().invoke(cli.app, arguments)


def command_of(function):
    """A command line of one function; the call's arguments are returned by `invoke`."""
    app = typer.Typer(rich_markup_mode=None)
    calls = []
    app.command()(command_line(function, lambda report, as_json: calls.append((report, as_json))))

    def invoke(*arguments: str):
        done = CliRunner().invoke(app, arguments)
        return calls.pop() if done.exit_code == 0 else (done.exit_code, done.output)

    return app, invoke


def sample(
    place: str | os.PathLike[str],
    *,
    names: str | Sequence[str] = (),
    tables: Annotated[Sequence[str], typer.Option("--with")] = (),
    mode: Literal["one", "two"] = "one",
    count: int | None = None,
    loud: bool = False,
):
    """Do something.

    More of it.

    Args:
        place: Folder of
            everything.
        names: Names, such as ``a``.
        tables: Further input.
        mode: Mode.
        count: Number of things.
        loud: Loud output.

    Returns:
        What was given.
    """
    return place, names, tables, mode, count, loud


def test_a_docstring_is_taken_apart():
    result = Documentation.of(sample)
    assert result.text == "Do something.\n\nMore of it."
    assert result.entries["place"] == "Folder of everything."
    assert result.entries["names"] == "Names, such as `a`."
    assert list(result.entries) == list(inspect.signature(sample).parameters)


def test_options_come_from_the_signature():
    _, invoke = command_of(sample)
    assert invoke("x") == ((Path("x"), "", [], "one", None, False), False)
    given = invoke(
        "x", "--names", "a,b", "--with", "c", "--with", "d", "--mode", "two", "--count", "3",
        "--loud", "--json",
    )  # fmt: skip
    assert given == ((Path("x"), "a,b", ["c", "d"], "two", 3, True), True)
    assert invoke("x", "--mode", "three")[0] == 2
    assert invoke("x", "--no-loud")[0] == 2
    assert invoke()[0] == 2


def test_help_comes_from_the_docstring():
    app, _ = command_of(sample)
    shown = CliRunner().invoke(app, ["--help"]).output
    for text in ("Do something.", "Folder of everything.", "Number of things.", "Loud output."):
        assert text in shown
    assert "Returns" not in shown


def test_a_parameter_without_a_word_is_refused():
    def bare(*, number: int = 1) -> None:
        """Do something."""

    with pytest.raises(TypeError, match="bare does not explain number"):
        command_line(bare, print)


def test_fields_of_a_dataclass_are_options():
    def fetched(*, fetch=None):
        """Fetch something.

        Args:
            fetch: Options.
        """
        return fetch

    fetched.__annotations__["fetch"] = Annotated[
        object, Fields("theval_datasets.curation.sources.fetching.options", "FetchOptions",
                       frozenset({"min_free"})),
    ]  # fmt: skip
    _, invoke = command_of(fetched)
    report, _ = invoke("--max-height", "720", "--retry")
    assert (report.max_height, report.retry, report.retries) == (720, True, 5)
    assert invoke("--min-free", "1")[0] == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_all_its_options(name):
    group = typer.main.get_command(cli.app)
    for part in name.split():
        group = group.commands[part]  # type: ignore[attr-defined]
    assert group.help
    for parameter in group.params:
        assert parameter.help, parameter.name
        assert parameter.help[0].isupper(), parameter.help
        assert parameter.help.endswith((".", "exit")), parameter.help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_valid(name):
    function, example = COMMANDS[name]
    app, calls = typer.Typer(), []

    def record(report, as_json):
        calls.append(report)

    def stand_in(**given):
        return given

    command = command_line(function, record)
    stand_in.__signature__ = inspect.signature(command)
    stand_in.__annotations__ = command.__annotations__
    app.command()(stand_in)
    done = CliRunner().invoke(app, shlex.split(example))
    assert done.exit_code == 0, done.output


def test_the_overview_lists_everything_in_full():
    shown = run("-h").output
    assert shown == run("--help").output
    for heading, entries in cli.GROUPS.items():
        assert f"{heading}:" in shown
        for name, (function, example) in entries.items():
            if " " not in name:
                assert Documentation.of(function).text.partition("\n")[0] in shown
                assert f"theval-data {name} {example}".rstrip() in shown
    assert "..." not in shown.partition("Options:")[2]
    assert "--install-completion" in shown


def fail_with(monkeypatch, error: BaseException, *arguments: str) -> int:
    """The exit code of `main` when its command raises."""

    def broken(**kwargs):
        raise error

    monkeypatch.setattr(cli, "app", broken)
    return leave(monkeypatch, *arguments)


def leave(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["theval-data", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code


@pytest.mark.parametrize(
    ("error", "code"), [(InputError("no such thing"), 2), (BuildError("no such thing"), 1)]
)
def test_errors_end_with_a_sentence_and_a_code(monkeypatch, capsys, error, code):
    assert fail_with(monkeypatch, error, "build", "x") == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Error: no such thing\n")
    assert fail_with(monkeypatch, error, "build", "x", "--json") == code
    shown = capsys.readouterr()
    assert shown.err == ""
    kind = type(error).__name__
    assert json.loads(shown.out) == {
        "error": {"type": kind, "message": "no such thing", "exit_code": code}
    }


def test_wrong_use_ends_with_code_2(monkeypatch, capsys):
    assert leave(monkeypatch, "build") == 2
    assert "NAME" in capsys.readouterr().err
    assert leave(monkeypatch, "diff", "a", "b", "--tolerance", "no", "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["exit_code"] == 2
    assert "--tolerance" in error["message"]
    assert leave(monkeypatch, "diff", "a", "b", "--tolerance", "-1") == 2
    assert "--tolerance" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interrupted_command_says_how_to_continue(monkeypatch, capsys, error):
    assert fail_with(monkeypatch, error, "curate", "my videos", "-o", "work") == 130
    assert "theval-data curate 'my videos' -o work" in capsys.readouterr().err


def test_ctrl_c_inside_a_command_reaches_the_user(monkeypatch, capsys):
    def interrupted(folder, **options):
        raise KeyboardInterrupt

    app = typer.Typer()
    app.command("extract")(lambda: interrupted(None))
    app.command("other")(lambda: None)
    monkeypatch.setattr(cli, "app", app)
    assert leave(monkeypatch, "extract") == 130
    assert "theval-data extract" in capsys.readouterr().err


def test_success_is_code_0(monkeypatch, capsys):
    assert leave(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("theval-data ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("theval-data build thqa-", {"thqa-mt", "thqa-ntire"}),
        ("theval-data curate videos --recipe thev", {"theval"}),
        ("theval-data extract work --features vad,head_p", {"vad,head_pose"}),
        ("theval-data study ratings.csv --preset p9", {"p913"}),
        ("theval-data explain near_", {"near_duplicates"}),
        ("theval-data fun", {"funnel"}),
    ],
)
def test_the_shell_completes_names(monkeypatch, words, expected):
    environment = {
        "_THEVAL_DATA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = CliRunner().invoke(cli.app, [], env=environment, prog_name="theval-data")
    assert set(done.output.split()) == expected


def test_help_names_arguments_without_types():
    assert "theval-data curate [OPTIONS] SOURCE...\n" in run("curate", "-h").output
    assert "theval-data list [OPTIONS] [KIND]\n" in run("list", "-h").output
    for name in ("curate", "explain", "locate", "score", "study"):
        shown = run(name, "-h").output
        assert "list[" not in shown
        assert "<str>" not in shown
        assert "<path>" not in shown
