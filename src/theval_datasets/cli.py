"""The command `theval-data`: every command is a few lines over one function of `commands`."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from theval_datasets import __version__
from theval_datasets.commands.options import CachePlace, Json, Workers, fetching
from theval_datasets.errors import InputError, MissingExtraError, ThevalError

app = typer.Typer(
    name="theval-data",
    help="Curate, measure, label and publish talking-head video quality datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    for client in ("httpx", "httpx2"):  # they log addresses, and a signed address is a key
        logging.getLogger(client).setLevel(logging.WARNING)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="Name of the dataset, such as theval.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Writes OUTPUT/theval/NAME.")],
    manifest: Annotated[Path | None, typer.Option(help="A manifest, or its folder.")] = None,
    cache: CachePlace = None,
    release: Annotated[
        str | None, typer.Option(help="Official release: a folder, or OWNER/NAME[@REVISION].")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--with", metavar="KIND=PATH", help="A further input.")
    ] = None,
    configs: Annotated[list[str] | None, typer.Option("--config", help="Only this table.")] = None,
    version: Annotated[str | None, typer.Option(metavar="X.Y.Z", help="Of the dataset.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="EXTRACTOR", help="Leave its columns null, as arcface."),
    ] = None,
    anonymise: Annotated[
        bool,
        typer.Option("--anonymise", help="Blur faces in stills; no video, sound, embeddings."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Build a dataset: Parquet for every config, card, info and manifest."""
    from theval_datasets.commands import build as command

    report = command.build(
        name,
        output,
        manifest=manifest,
        cache=cache,
        release=release,
        tables=tables or (),
        configs=configs or (),
        version=version,
        without=without or (),
        anonymise=anonymise,
    )
    _show(report, as_json)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A built dataset, such as OUT/theval/theval.")],
    expect: Annotated[str | None, typer.Option(help="Counts to expect, such as paper.")] = None,
    as_json: Json = False,
) -> None:
    """Check that a built dataset is what it says it is."""
    from theval_datasets.commands import verify as command

    _show(command.verify(folder, expect=expect), as_json)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="The earlier version's folder.")],
    second: Annotated[Path, typer.Argument(help="The later version's folder.")],
    tolerance: Annotated[float, typer.Option(help="Relative; below it numbers are equal.")] = 1e-9,
    as_json: Json = False,
) -> None:
    """Say what changed between two built versions of a dataset."""
    from theval_datasets.commands import diff as command

    _show(command.diff(first, second, tolerance=tolerance), as_json)


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="A built dataset, such as OUT/theval/theval.")],
    repo_id: Annotated[str, typer.Argument(help="OWNER/NAME at the Hub.")],
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public", help="Of a new repository. Default: private if it shows people."
        ),
    ] = None,
    allow_public_faces: Annotated[
        bool,
        typer.Option(
            "--allow-public-faces", help="Let all have media and face embeddings of people."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a built dataset and publish it: one commit, then the tag vX.Y.Z."""
    from theval_datasets.commands import push as command

    report = command.push(
        folder, repo_id, private=private, allow_public_faces=allow_public_faces, dry_run=dry_run
    )
    _show(report, as_json)


@app.command()
@fetching
def curate(
    *,
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, zips and http(s) addresses.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for what is made.")],
    recipe: Annotated[str, typer.Option(help="Name or YAML file of a recipe.")] = "as-is",
    root: Annotated[Path | None, typer.Option(help="Where all local sources lie.")] = None,
    workers: Workers = None,
    cache: CachePlace = None,
    language: Annotated[str | None, typer.Option(help="Of sources that do not say, as en.")] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="Index of a set to keep out; see index.")
    ] = None,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Blur faces in reference frames.")
    ] = False,
    fetch: Any,
    as_json: Json = False,
) -> None:
    """Make clips and a manifest out of sources.

    A recipe that cuts leaves what it rejected in OUTPUT/.candidates, so that other thresholds cut
    nothing again and `funnel` can show it; the folder may be deleted.
    """
    from theval_datasets.commands import curate as command

    report = command.curate(
        sources,
        output,
        recipe=recipe,
        root=root,
        workers=workers,
        fetch=fetch,
        cache=cache,
        language=language,
        references=reference or (),
        anonymise=anonymise,
    )
    _show(report, as_json)


@app.command()
@fetching
def rebuild(
    *,
    manifest: Annotated[
        str, typer.Argument(help="A manifest, its folder, or OWNER/NAME[@REVISION] at the Hub.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Another folder.")],
    root: Annotated[Path | None, typer.Option(help="What local sources are relative to.")] = None,
    workers: Workers = None,
    cache: CachePlace = None,
    fetch: Any,
    as_json: Json = False,
) -> None:
    """Make the clips of a manifest again, and say how near they come."""
    from theval_datasets.commands import rebuild as command

    report = command.rebuild(manifest, output, root=root, workers=workers, cache=cache, fetch=fetch)
    _show(report, as_json)


@app.command()
def funnel(
    folder: Annotated[Path, typer.Argument(help="Of a curated run.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Page and plot.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe whose thresholds are drawn.")] = None,
    anonymise: Annotated[bool, typer.Option("--anonymise", help="Blur faces in frames.")] = False,
    as_json: Json = False,
) -> None:
    """Show how many clips fell at which filter, and why."""
    from theval_datasets.commands import funnel as command

    _show(command.funnel(folder, output=output, recipe=recipe, anonymise=anonymise), as_json)


@app.command()
def locate(
    short: Annotated[Path, typer.Argument(help="A recording, or a folder of them.")],
    long: Annotated[list[Path], typer.Argument(help="Long recordings, or folders of them.")],
    threshold: Annotated[float | None, typer.Option(help="Score of a match, 0 to 1.")] = None,
    as_json: Json = False,
) -> None:
    """Find where short recordings lie in long ones."""
    from theval_datasets.commands import locate as command

    _show(command.locate(short, long, threshold=threshold), as_json)


@app.command()
def index(
    manifest: Annotated[Path, typer.Argument(help="A manifest, or its folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The index, such as SET.jsonl.")],
    cache: CachePlace = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write what a set holds, so that curate can keep another apart from it."""
    from theval_datasets.commands import index as command

    _show(command.index(manifest, output, cache=cache, workers=workers), as_json)


@app.command()
def takedown(
    clip_ids: Annotated[list[str], typer.Argument(help="Ids of clips.")],
    manifest: Annotated[Path, typer.Option(help="A manifest, or its folder.")] = Path(),
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Default: today.")] = None,
    as_json: Json = False,
) -> None:
    """Take clips down: tombstones, and their rows and files removed."""
    from theval_datasets.commands import takedown as command

    _show(command.takedown(clip_ids, manifest, date=date), as_json)


@app.command()
def extract(
    manifest: Annotated[Path, typer.Argument(help="A manifest, or its folder.")],
    features: Annotated[
        str | None, typer.Option(help="Names, with commas; default: all that are installed.")
    ] = None,
    cache: CachePlace = None,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster.")] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Compute the features of a manifest's clips, each once."""
    from theval_datasets.commands import extract as command

    names = [name.strip() for name in features.split(",")] if features else ()
    _show(
        command.extract(
            manifest, features=names, cache=cache, engine=engine, address=address, workers=workers
        ),
        as_json,
    )


@app.command()
def study(
    ratings: Annotated[Path, typer.Argument(help="Table of ratings, or of pairwise votes.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Tables and plots.")] = None,
    preset: Annotated[str, typer.Option(help="Parameters of a published study.")] = "bt500",
    model: Annotated[str | None, typer.Option(help="With sureal: its model.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Holds every clip there is.")] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="Names of the distortions.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Leave this column out.")] = None,
    scale: Annotated[tuple[float, float] | None, typer.Option(help="Ends of the ratings.")] = None,
    degenerate: Annotated[
        str | None, typer.Option(help="Subjects without variance: error, reject or keep.")
    ] = None,
    plots: Annotated[bool, typer.Option(help="Draw plots and the page.")] = True,
    as_json: Json = False,
) -> None:
    """Turn ratings into opinion scores, reports, distortion labels and plots."""
    from theval_datasets.commands import study as command

    report = command.study(
        ratings,
        preset=preset,
        model=model,
        manifest=manifest,
        taxonomy=taxonomy,
        out=output,
        ignore=ignore or (),
        score_range=scale,
        degenerate=degenerate,
        plots=plots,
    )
    _show(report, as_json)


@app.command()
def score(
    videos: Annotated[list[Path], typer.Argument(help="Videos, or folders of them.")],
    definition: Annotated[str, typer.Option(help="paper or release.")] = "paper",
    reference: Annotated[
        Path | None, typer.Option(help="CSV: one row of mean raw values of real videos.")
    ] = None,
    cache: CachePlace = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Measure THEval's eight metrics of videos, and score them against real ones."""
    from theval_datasets.commands import score as command

    report = command.score(
        videos, definition=definition, reference=reference, cache=cache, workers=workers
    )
    _show(report, as_json)


@app.command()
def inspect(
    clip: Annotated[Path, typer.Argument(help="A video or a still.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The PNG.")] = None,
    cache: CachePlace = None,
    frames: Annotated[int, typer.Option(min=1, help="How many to show.")] = 8,
    anonymise: Annotated[bool, typer.Option("--anonymise", help="Blur faces in frames.")] = False,
    as_json: Json = False,
) -> None:
    """Draw a contact sheet of a clip: faces, tracks, meshes, pose and curves."""
    from theval_datasets.commands import inspect as command

    _show(
        command.inspect(clip, output=output, cache=cache, frames=frames, anonymise=anonymise),
        as_json,
    )


models_app = typer.Typer(no_args_is_help=True, help="Weights that no package carries.")
app.add_typer(models_app, name="models")


@models_app.command("list")
def list_models(as_json: Json = False) -> None:
    """Say which weights are here, and what the others would give."""
    from theval_datasets.commands import models as command

    _show(command.list_models(), as_json)


@models_app.command("fetch")
def fetch_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Default: all that are missing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Get weights from their publishers and check them."""
    from theval_datasets.commands import models as command

    _show(command.fetch_models(names or ()), as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what is not, and what each missing part would give."""
    from theval_datasets.commands import doctor as command

    _show(command.doctor(), as_json)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="For all that is made.")] = Path(
        "demo-out"
    ),
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Go the whole way on a small sample that is made here; needs no network."""
    from theval_datasets.commands import demo as command

    _show(command.demo(output, workers=workers), as_json)


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
