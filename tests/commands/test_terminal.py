"""Whatever names and errors hold, a terminal gets text."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import subprocess
import sys

import pytest
import typer

from theval_datasets import cli
from theval_datasets.commands.signatures import command_line
from theval_datasets.errors import InputError, StorageError
from theval_datasets.utils.report import Report

HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202eb"
SHOWN = "a\\u001b]0;owned\\u0007\\u009b31m\\u202eb"


def run(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["theval-data", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


class Named(Report):
    def to_plain(self):
        return {"name": HOSTILE}

    def to_text(self) -> str:
        return f"name\n  {HOSTILE}"


def test_reports_are_shown_without_control_characters(capsys):
    cli._show(Named(), False)
    assert capsys.readouterr().out == f"name\n  {SHOWN}\n"
    cli._show(Named(), True)
    out = capsys.readouterr().out
    assert SHOWN in out
    assert json.loads(out) == {"name": HOSTILE}


def test_errors_are_shown_without_control_characters_and_secrets(monkeypatch, capsys):
    def fail(**_: object) -> None:
        raise InputError(f"{HOSTILE} at https://h/f?X-Amz-Signature=SECRET")

    monkeypatch.setattr(cli, "app", fail)
    assert run(monkeypatch, "verify", "x") == 2
    assert capsys.readouterr().err == f"Error: {SHOWN} at https://h/f?X-Amz-Signature=***\n"
    assert run(monkeypatch, "verify", "x", "--json") == 2
    out = capsys.readouterr().out
    assert "SECRET" not in out
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_a_path_that_does_not_exist_is_shown_without_control_characters(monkeypatch, capsys):
    assert run(monkeypatch, "curate", f"no{HOSTILE}", "-o", "out", "--recipe", "as-is") == 2
    assert SHOWN in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/there/x"),
            "/there/x cannot be written",
        ),
        (OSError(errno.EACCES, "Permission denied", "/there/x"), "/there/x: Permission denied"),
        (StorageError("/there/x cannot be written: full"), "/there/x cannot be written: full"),
    ],
)
def test_an_error_of_the_file_system_is_a_sentence(monkeypatch, capsys, error, expected):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert run(monkeypatch, "build", "x") == 1
    assert expected in capsys.readouterr().err


def test_logs_are_shown_without_control_characters(monkeypatch, capsys):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    cli._options(verbose=True)
    logging.getLogger("some.module").info("%s hf_abcdefgh12345678", HOSTILE)
    assert capsys.readouterr().err == f"INFO some.module: {SHOWN} hf_***\n"


def noisy(place: str) -> Named:
    """Print as libraries do, in three ways.

    Args:
        place: Anything.
    """
    sys.stdout.write("from Python\n")
    os.write(1, b"from native code\n")
    subprocess.run(["echo", "from a program"], check=True)
    if place == "broken":
        raise InputError("no")
    return Named()


@pytest.mark.parametrize("place", ["x", "broken"])
def test_nothing_but_the_result_reaches_standard_output(place, capfd):
    app = typer.Typer()
    app.command()(command_line(noisy, cli._show))
    try:
        app([place, "--json"], standalone_mode=False)
        result = Named().to_plain()
    except InputError:
        result = None
    sys.stdout.write('"after"\n')
    out, err = capfd.readouterr()
    *lines, after = out.splitlines()
    assert json.loads("\n".join(lines) or "null") == result
    assert after == '"after"'
    assert err.split("\n")[:3] == ["from Python", "from native code", "from a program"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize(
    "words",
    [["explain", "watermarks"], ["explain", "watermarks", "--json"], ["list"], ["study", "-h"],
     ["explain", "no…such"]],
)  # fmt: skip
def test_an_output_of_any_encoding_can_be_written(monkeypatch, encoding, words):
    """As where the locale is not UTF-8; JSON keeps its meaning."""
    monkeypatch.setattr(sys, "argv", ["theval-data", *words])
    outs = []
    for own in (encoding, "utf-8"):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), own))
        with contextlib.suppress(SystemExit):
            cli.main()
        sys.stdout.flush()
        outs.append(sys.stdout.buffer.getvalue().decode(own))
    if "--json" in words:
        assert json.loads(outs[0]) == json.loads(outs[1])
        assert "抖音" in json.loads(outs[0])["units"][0]["parameters"][-2]["value"]
    assert len(outs[0]) >= len(outs[1])


@pytest.mark.parametrize("name", ["a\udcff", "…", "\U0001f600"])
def test_names_that_no_encoding_has_keep_their_json(monkeypatch, name):
    class One(Report):
        def to_plain(self):
            return {"name": name}

        def to_text(self) -> str:
            return name

    monkeypatch.setattr(cli, "app", lambda **_: cli._show(One(), True))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    with pytest.raises(SystemExit):
        cli.main()
    sys.stdout.flush()
    assert json.loads(sys.stdout.buffer.getvalue()) == {"name": name}
