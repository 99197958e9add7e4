"""`theval-data verify`: is a built dataset what it says it is?"""

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
        expect: Name of the counts to expect, such as ``paper``; each dataset defines its own.

    Raises:
        InputError: The folder is no built dataset, or there is no such expectation.
    """
    from theval_datasets.builders.release.verify.report import verify as run

    return run(Path(folder), expect=expect)
