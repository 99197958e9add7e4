"""`theval-data verify`: checks a built dataset against its card and info.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Folder

if TYPE_CHECKING:
    from theval_datasets.builders.release.verify.report import VerifyReport


def verify(
    folder: Folder, *, expect: Annotated[str | None, typer.Option(metavar="NAME")] = None
) -> VerifyReport:
    """Check that a built dataset agrees with its card and info.json.

    Args:
        folder: Folder of a built dataset, such as ``out/theval/theval``.
        expect: Name of a set of expected counts, such as ``paper``; each dataset defines its own.

    Raises:
        InputError: The folder is not a built dataset, or there is no such set of counts.
    """
    from theval_datasets.builders.release.verify.report import verify as run

    return run(Path(folder), expect=expect)
