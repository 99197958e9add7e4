"""The command `theval-data`. Every command is a function of `commands`; this module registers them."""

from __future__ import annotations

import codecs
import io
import json
import logging
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from theval_datasets import __version__
from theval_datasets.commands.build import build
from theval_datasets.commands.collect import (
    collection_status,
    demo_collection,
    export_collection,
    prepare_collection,
    serve_collection,
)
from theval_datasets.commands.curate import curate
from theval_datasets.commands.demo import demo
from theval_datasets.commands.diff import diff
from theval_datasets.commands.doctor import doctor
from theval_datasets.commands.explain import explain, list_units
from theval_datasets.commands.export import export
from theval_datasets.commands.extract import extract
from theval_datasets.commands.funnel import funnel
from theval_datasets.commands.import_list import import_list
from theval_datasets.commands.index import index
from theval_datasets.commands.inspect import inspect
from theval_datasets.commands.locate import locate
from theval_datasets.commands.models import fetch_models, list_models
from theval_datasets.commands.predict import predict
from theval_datasets.commands.push import push
from theval_datasets.commands.rebuild import rebuild
from theval_datasets.commands.report import report
from theval_datasets.commands.score import score
from theval_datasets.commands.signatures import command_line
from theval_datasets.commands.study import study
from theval_datasets.commands.takedown import takedown
from theval_datasets.commands.train import train
from theval_datasets.commands.verify import verify
from theval_datasets.commands.view import view
from theval_datasets.errors import InputError, MissingExtraError, ThevalError
from theval_datasets.utils.files import storage_error
from theval_datasets.utils.memory import address_space, is_out_of_memory, limit_error
from theval_datasets.utils.text import SafeFormatter, json_escapes, printable, redacted

GROUPS: Final[dict[str, dict[str, tuple[Callable[..., Any], str]]]] = {
    "Start": {
        "demo": (demo, "-o demo-out"),
        "doctor": (doctor, ""),
        "list": (list_units, "filters"),
        "explain": (explain, "speech"),
    },
    "Collect clips": {
        "curate": (curate, "my-videos -o work --recipe theval --language en"),
        "funnel": (funnel, "work"),
        "import": (import_list, "HDTF-main --as hdtf -o hdtf"),
        "rebuild": (rebuild, "theval/theval@v0.1.0 -o again"),
        "index": (index, "work -o work.index"),
        "locate": (locate, "clip.wav recordings"),
        "takedown": (takedown, "clip-17 --manifest work"),
    },
    "Measure": {
        "extract": (extract, "work --features landmarks,vad"),
        "score": (score, "generated --definition release"),
        "inspect": (inspect, "clip.mp4 -o sheet.png"),
        "models list": (list_models, ""),
        "models fetch": (fetch_models, "buffalo_l"),
    },
    "Label": {
        "collect prepare": (prepare_collection, "plan.yaml work -o my-study"),
        "collect serve": (serve_collection, "my-study"),
        "collect status": (collection_status, "my-study"),
        "collect export": (export_collection, "my-study -o exported"),
        "collect demo": (demo_collection, "-o study-demo"),
        "study": (study, "ratings.csv -o scores --preset thqa-mt"),
    },
    "Build and publish": {
        "build": (build, "theval --manifest work -o out"),
        "verify": (verify, "out/theval/theval"),
        "view": (view, "out/theval/theval --serve"),
        "report": (report, "out/theval/thqa-mt -o report"),
        "diff": (diff, "old/theval/theval out/theval/theval"),
        "export": (export, "out/theval/thqa-mt --for ms-swift --media clips -o exported"),
        "push": (push, "out/theval/theval OWNER/NAME --dry-run"),
    },
    "Train": {
        "train": (train, "out/theval/thqa-mt --model forest -o metric"),
        "predict": (predict, "metric work -o scores.csv"),
    },
}
"""Commands by heading of the overview: the function, and arguments of an example."""

_SUMMARIES: Final = {
    "collect": "Collect ratings, marks and votes in a browser.",
    "models": "List or fetch model weights that no package carries.",
}
_INTERRUPTED: Final = 130
_UsageError: Any = typer.BadParameter.__base__


class _Overview(TyperGroup):
    """Lists commands under headings, each with its first sentence and an example."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the overview."""
        width = max(map(len, self.commands))
        for heading, entries in GROUPS.items():
            with formatter.section(heading):
                seen = set()
                for name, (_, example) in entries.items():
                    first = name.partition(" ")[0]
                    if first in seen:
                        continue
                    seen.add(first)
                    summary = (self.commands[first].help or "").partition("\n")[0]
                    formatter.write(f"  {first:<{width}}  {summary}\n")
                    formatter.write(f"  {'':<{width}}    {_example(name, example)}\n")


class _Command(TyperCommand):
    """Names arguments as their help does, ``SOURCE...``, without the Python type."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                name = parameter.display_name_raw + ("" if parameter.nargs == 1 else "...")
                usage = name if parameter.required else f"[{name}]"
                vars(parameter).update(
                    _usage_display_name=lambda usage=usage: usage,
                    _rich_display_name=lambda name=name: name,
                    display_type_rich=lambda ctx: None,  # noqa: ARG005
                )


def _example(name: str, arguments: str) -> str:
    return f"theval-data {name} {arguments}".rstrip()


app = typer.Typer(
    cls=_Overview,
    name="theval-data",
    help="Curate, measure, label and publish talking-head video quality datasets.",
    epilog="theval-data COMMAND --help shows a command's options.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show(report: Any, as_json: bool) -> None:
    """Print a report (a `theval_datasets.utils.report.Report`) and exit with its code."""
    if as_json:
        _print_json(report.to_plain())
    else:
        print(printable(report.to_text()), flush=True)
    report.wait()
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _print_json(value: Any) -> None:
    print(printable(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)), flush=True)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"theval-data {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Progress of each step on standard error.")
    ] = False,
    version: Annotated[  # noqa: ARG001  # typer calls _version
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Version of the package."),
    ] = False,
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
    for client in ("httpx", "httpx2"):  # they log addresses, and a signed address grants access
        logging.getLogger(client).setLevel(logging.WARNING)


def _register() -> None:
    """Register a command for every function in `GROUPS`; ``models list`` is `list` in `models`."""
    groups: dict[str, typer.Typer] = {}
    for entries in GROUPS.values():
        for name, (function, example) in entries.items():
            group, _, inner = name.rpartition(" ")
            place = app
            if group and group not in groups:
                groups[group] = typer.Typer(no_args_is_help=True, help=_SUMMARIES[group])
                app.add_typer(groups[group], name=group)
            place = groups.get(group, app)
            epilog = f"Example: {_example(name, example)}"
            place.command(inner, cls=_Command, epilog=epilog)(command_line(function, _show))


_register()


def _fail(error: BaseException, code: int, message: str | None = None) -> NoReturn:
    """Print an error as text, or as JSON with ``--json``, and exit."""
    text = printable(redacted(message or str(error)))
    if "--json" in sys.argv[1:]:
        _print_json({"error": {"type": type(error).__name__, "message": text, "exit_code": code}})
    else:
        print(f"Error: {text}" if message is None else text, file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """Run the command line: wrong use ends with a message and code 2, not with a traceback."""
    codecs.register_error("json-escapes", json_escapes)
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack characters of names
        sys.stdout.reconfigure(errors="json-escapes")
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:  # typer's exit code for Ctrl-C
            raise KeyboardInterrupt
    except _UsageError as error:
        if "--json" in sys.argv[1:]:
            _fail(error, 2, error.format_message())
        error.show()
        sys.exit(2)
    except (InputError, MissingExtraError) as error:
        _fail(error, 2)
    except ThevalError as error:
        _fail(error, 1)
    except BrokenPipeError:
        sys.exit(1)
    except (MemoryError, ImportError) as error:
        limit = address_space()
        if limit is None or not is_out_of_memory(error):
            raise
        _fail(limit_error(limit), 1)
    except OSError as error:
        fault = storage_error(error, Path(error.filename or "the output"))
        if fault is None and error.filename is None:
            raise
        _fail(fault or error, 1, None if fault else f"{error.filename}: {error.strerror}")
    except (KeyboardInterrupt, typer.Abort) as error:
        again = shlex.join(["theval-data", *sys.argv[1:]])
        _fail(
            error,
            _INTERRUPTED,
            "Interrupted. Finished work is kept; the same command continues from there:\n"
            f"  {again}",
        )
    sys.exit(code or 0)
