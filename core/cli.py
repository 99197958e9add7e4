"""The command `theval-data`: every command is a few lines over one function of `commands`."""

from __future__ import annotations

import json
import logging
import sys
from typing import Annotated, Any

import typer

from theval_datasets import __version__
from theval_datasets.errors import InputError, MissingExtraError, ThevalError

app = typer.Typer(
    name="theval-data",
    help="Curate, measure, label and publish talking-head video quality datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]


def _show(report: Any, as_json: bool) -> None:
    """Print a report (it has `to_plain()`, `to_text()` and `exit_code`) and leave with its code."""
    if as_json:
        print(json.dumps(report.to_plain(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(report.to_text())
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"theval-data {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[  # noqa: ARG001  # typer calls _version
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Run the command line; mistakes of the user end with a sentence and code 2, not a traceback."""
    try:
        app()
    except (InputError, MissingExtraError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except ThevalError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
