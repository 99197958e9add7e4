"""Optional dependencies: imported where they are used, with a helpful message when absent."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from theval_datasets.errors import MissingExtraError


def require(module: str, *, extra: str) -> Any:
    """Import `module`, or say which extra brings it.

    Args:
        module: Dotted name of the module.
        extra: The extra of ``theval-datasets`` that installs it.

    Raises:
        MissingExtraError: If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"{module} is not installed. It comes with the extra [{extra}]: "
            f"pip install 'theval-datasets[{extra}]'"
        ) from error


def available(module: str) -> bool:
    """Whether `module` could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
