"""`theval-data verify`: checks a built dataset against its card and info.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import Address, EngineName, Folder, Workers

if TYPE_CHECKING:
    from theval_datasets.builders.release.verify.report import VerifyReport


def verify(
    folder: Folder,
    *,
    expect: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
) -> VerifyReport:
    """Check that a built dataset agrees with its card and info.json.

    Args:
        folder: Folder of a built dataset, such as ``out/theval/theval``: a path or a URL.
        expect: Name of a set of expected counts, such as ``paper``; each dataset defines its own.
        engine: Engine that runs the work: processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of processes. Default: the number of cores.

    Raises:
        InputError: The folder is not a built dataset, or there is no such set of counts.
    """
    from theval_datasets.builders.release.verify.report import verify as run
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.utils.stores import location_of

    with engine_of(engine, address, workers) as runs_on:
        return run(location_of(folder), expect=expect, engine=runs_on)
