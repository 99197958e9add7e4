"""`theval-data diff`: what changed between two built versions of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from theval_datasets.builders.release.diff import DiffReport


def diff(first: Path, second: Path, *, tolerance: float = 1e-9) -> DiffReport:
    """Compare two built versions.

    Args:
        first: Folder of the earlier one.
        second: Folder of the later one.
        tolerance: Relative difference up to which numbers count as the same.

    Raises:
        InputError: A folder is no built dataset, or the two are different datasets.
    """
    from theval_datasets.builders.release.diff import diff as run

    return run(first, second, tolerance=tolerance)
