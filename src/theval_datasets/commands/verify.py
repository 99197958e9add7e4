"""`theval-data verify`: is a built dataset what it says it is?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from theval_datasets.builders.release.verify.report import VerifyReport


def verify(folder: Path, *, expect: str | None = None) -> VerifyReport:
    """Check a built dataset.

    Args:
        folder: Of the dataset, the one with `info.json`.
        expect: Name of an expectation that the dataset's builder knows, such as ``paper``.

    Raises:
        InputError: The folder is no built dataset, or there is no such expectation.
    """
    from theval_datasets.builders.release.verify.report import verify as run

    return run(folder, expect=expect)
