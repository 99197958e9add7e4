"""The one progress bar, with the one switch that turns it off (`THEVAL_NO_PROGRESS=1`)."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import tqdm


def progress(total: int | None, description: str, unit: str = "clip") -> Any:
    """A tqdm bar on stderr; silent when stderr is no terminal or `THEVAL_NO_PROGRESS` is set.

    Args:
        total: How many units there are; None if unknown.
        description: What is being done, in a word.
        unit: What is counted.
    """
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        disable=not shown(),
        dynamic_ncols=True,
        leave=True,
    )


def shown() -> bool:
    """Whether bars are shown at all."""
    return not os.environ.get("THEVAL_NO_PROGRESS") and sys.stderr.isatty()
