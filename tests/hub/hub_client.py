"""The command line and `datasets`, in a process of its own that knows another Hub.

The Hub's address is read when `huggingface_hub` is imported, so that the process of the tests cannot
change it. One such process answers many calls, each with an environment and a cache of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def plain(self) -> dict[str, Any]:
        return json.loads(self.out)


class Client:
    """Calls into the process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(self, command: str, *arguments: object, token: str | None = None) -> Said:
        """A command of `theval-data`."""
        words = ["theval-data", "--verbose", command, *map(str, arguments)]
        return Said(**self._ask({"argv": words, "token": token}))

    def push(self, *arguments: object, token: str | None = None) -> Said:
        """`theval-data push`."""
        return self.run("push", *arguments, token=token)

    def load(self, code: str, *, token: str | None = None) -> Any:
        """What an expression gives, after `from datasets import load_dataset` with a fresh cache.

        In it, `fresh` names the cache's folder.
        """
        result = self._ask({"code": code, "token": token})
        assert "value" in result, result
        return result["value"]

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the client's process died"
        return json.loads(answer)


def environment(url: str, home: Path) -> dict[str, str]:
    """Of a process that takes `url` for the Hub."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return {
        **kept,
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(home),
        "THEVAL_NO_PROGRESS": "1",
    }


@contextmanager
def client_of(url: str, home: Path, python: str | Path = sys.executable) -> Iterator[Client]:
    """A client of the Hub at `url`."""
    with subprocess.Popen(
        [python, str(Path(__file__))],
        env=environment(url, home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Client(process)
        finally:
            process.kill()


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    import tempfile

    if question.get("token"):
        os.environ["HF_TOKEN"] = question["token"]
    else:
        os.environ.pop("HF_TOKEN", None)
    if "argv" in question:
        return _command(question["argv"])
    import datasets
    import huggingface_hub

    names = {"datasets": datasets, "load_dataset": datasets.load_dataset, "hub": huggingface_hub}
    try:
        from theval_datasets.commands.diff import diff

        names["diff"] = diff
    except ImportError:
        pass
    with tempfile.TemporaryDirectory() as fresh:
        try:
            return {"value": eval(question["code"], {**names, "fresh": fresh, "Path": Path})}
        except Exception as error:  # noqa: BLE001  # said to the test
            return {"error": f"{type(error).__name__}: {error}"}


def _command(argv: list[str]) -> dict[str, Any]:
    import contextlib
    import io
    import logging

    from theval_datasets import cli

    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    sys.argv = argv
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
