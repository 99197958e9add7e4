"""`theval-data diff`: compares two built versions of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import StrPath

if TYPE_CHECKING:
    from theval_datasets.builders.release.diff import DiffReport


def diff(
    first: Annotated[StrPath, typer.Argument(metavar="EARLIER")],
    second: Annotated[StrPath, typer.Argument(metavar="LATER")],
    *,
    tolerance: Annotated[float, typer.Option(min=0, metavar="FRACTION")] = 1e-9,
) -> DiffReport:
    """Show what changed between two built versions of a dataset.

    Args:
        first: Folder of the earlier version.
        second: Folder of the later version.
        tolerance: Relative difference up to which two numbers count as equal.

    Raises:
        InputError: A folder is not a built dataset, or the two are different datasets.
    """
    from theval_datasets.builders.release.diff import diff as run

    return run(Path(first), Path(second), tolerance=tolerance)
