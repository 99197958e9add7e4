"""Names to modules: extractors, filters, datasets, sources, listed without importing them.

A unit is a file; its name is the file's name, and the file defines one public class that is a
subclass of its room's base. Files that begin with ``_`` are not units.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any, Final, Literal

from theval_datasets.errors import UnknownNameError

Kind = Literal["extractor", "filter", "dataset", "source"]

PACKAGES: Final[dict[Kind, str]] = {
    "extractor": "theval_datasets.features",
    "filter": "theval_datasets.curation.filters",
    "dataset": "theval_datasets.builders",
    "source": "theval_datasets.curation.sources",
}


def names(kind: Kind) -> list[str]:
    """The names of all units of a kind, sorted."""
    package = importlib.import_module(PACKAGES[kind])
    return sorted(
        module.name
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    )


def load(kind: Kind, name: str) -> type[Any]:
    """The one public class that the file of a unit defines.

    Args:
        kind: What sort of unit.
        name: Its name; hyphens count as underscores (``thqa-mt`` is ``thqa_mt.py``), and a dataset
            may have its owner before it (``theval/thqa-mt``).

    Raises:
        UnknownNameError: If there is no such unit.
    """
    module_name = name.removeprefix("theval/" if kind == "dataset" else "").replace("-", "_")
    known = names(kind)
    if module_name not in known:
        spelled = (one.replace("_", "-") if kind == "dataset" else one for one in known)
        raise UnknownNameError(kind, name, spelled)
    module = importlib.import_module(f"{PACKAGES[kind]}.{module_name}")
    wanted = module_name.replace("_", "")
    for attribute, value in vars(module).items():
        if (
            inspect.isclass(value)
            and value.__module__ == module.__name__
            and attribute.lower() == wanted
        ):
            return value
    raise ImportError(f"{module.__name__} defines no class named after its file")
