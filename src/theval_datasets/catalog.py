"""Units by name: extractors, filters, datasets, sources, formats of lists; listed without imports.

A unit is a file of its room, or a folder for a dataset; it defines one public class named after it
(`Loudness`, or `LoudnessFilter` where an extractor has that name).
Code that units of a room share is beside them, under the names in `SHARED`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from typing import Any, Final, Literal

from theval_datasets.errors import UnknownNameError

Kind = Literal["extractor", "filter", "dataset", "source", "list"]

PACKAGES: Final[dict[Kind, str]] = {
    "extractor": "theval_datasets.features",
    "filter": "theval_datasets.curation.filters",
    "dataset": "theval_datasets.builders",
    "source": "theval_datasets.curation.sources",
    "list": "theval_datasets.curation.lists",
}
SHARED: Final[dict[Kind, frozenset[str]]] = {
    "extractor": frozenset({"people", "formulas", "networks"}),
    "filter": frozenset({"base"}),
    "dataset": frozenset({"base", "exports", "release", "tables"}),
    "source": frozenset({"base", "choose", "fetching"}),
    "list": frozenset({"base", "rows"}),
}
"""Modules and folders of a room that are not units."""


def names(kind: Kind) -> list[str]:
    """Names of all units of a kind, sorted.

    Args:
        kind: Kind of unit.

    Examples:
        >>> "vad" in names("extractor"), "thqa_mt" in names("dataset")
        (True, True)
    """
    return list(_names(kind))


@functools.cache
def _names(kind: Kind) -> tuple[str, ...]:
    """Names read from the room's folder once, since pages look units up for every clip."""
    package = importlib.import_module(PACKAGES[kind])
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(package.__path__)
            if not module.name.startswith("_") and module.name not in SHARED[kind]
        )
    )


def load(kind: Kind, name: str) -> type[Any]:
    """The public class of a unit.

    Args:
        kind: Kind of unit.
        name: Name of the unit; hyphens count as underscores (``thqa-mt`` is ``thqa_mt``), and a
            dataset may have its owner before it (``theval/thqa-mt``).

    Raises:
        UnknownNameError: There is no such unit.

    Examples:
        >>> load("filter", "speech").__name__
        'Speech'
    """
    module_name = name.removeprefix("theval/" if kind == "dataset" else "").replace("-", "_")
    known = names(kind)
    if module_name not in known:
        hyphens = kind in ("dataset", "list")
        spelled = (unit.replace("_", "-") if hyphens else unit for unit in known)
        raise UnknownNameError("format of a list" if kind == "list" else kind, name, spelled)
    module = importlib.import_module(f"{PACKAGES[kind]}.{module_name}")
    wanted = module_name.replace("_", "")
    for attribute, value in vars(module).items():
        if (
            inspect.isclass(value)
            and value.__module__.startswith(module.__name__)
            and attribute.lower() in (wanted, wanted + kind)
        ):
            return value
    raise ImportError(f"{module.__name__} defines no class named after it")
