"""Talking-head video quality datasets: curate, measure, label and publish them.

    import theval_datasets as td

    td.curate(["my-videos"], "work", recipe="theval")
    td.extract("work")
    td.build("theval", "out", manifest="work")
    td.evaluation.srcc(predicted, mos)

Importing this package is free: every name loads its module when it is first used.

Example:
    >>> import theval_datasets as td
    >>> td.evaluation.srcc([1, 2, 3], [10, 20, 15])
    0.5
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from theval_datasets import evaluation
    from theval_datasets.commands.build import build
    from theval_datasets.commands.collect import (
        collection_status,
        demo_collection,
        export_collection,
        prepare_collection,
        serve_collection,
    )
    from theval_datasets.commands.curate import curate
    from theval_datasets.commands.diff import diff
    from theval_datasets.commands.doctor import doctor
    from theval_datasets.commands.explain import explain, list_units
    from theval_datasets.commands.export import export
    from theval_datasets.commands.extract import extract
    from theval_datasets.commands.funnel import funnel
    from theval_datasets.commands.import_list import import_list
    from theval_datasets.commands.index import index
    from theval_datasets.commands.inspect import inspect
    from theval_datasets.commands.locate import locate
    from theval_datasets.commands.models import fetch_models, list_models
    from theval_datasets.commands.predict import predict
    from theval_datasets.commands.push import push
    from theval_datasets.commands.rebuild import rebuild
    from theval_datasets.commands.report import report
    from theval_datasets.commands.score import score
    from theval_datasets.commands.study import study
    from theval_datasets.commands.takedown import takedown
    from theval_datasets.commands.train import train
    from theval_datasets.commands.verify import verify
    from theval_datasets.commands.view import view

__all__ = [
    "build",
    "collection_status",
    "curate",
    "demo_collection",
    "diff",
    "doctor",
    "evaluation",
    "explain",
    "export",
    "export_collection",
    "extract",
    "fetch_models",
    "funnel",
    "import_list",
    "index",
    "inspect",
    "list_models",
    "list_units",
    "locate",
    "predict",
    "prepare_collection",
    "push",
    "rebuild",
    "report",
    "score",
    "serve_collection",
    "study",
    "takedown",
    "train",
    "verify",
    "view",
]

_MODULE_OF = {
    "collection_status": "collect",
    "demo_collection": "collect",
    "export_collection": "collect",
    "fetch_models": "models",
    "list_models": "models",
    "list_units": "explain",
    "prepare_collection": "collect",
    "serve_collection": "collect",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "evaluation":
        return importlib.import_module("theval_datasets.evaluation")
    from theval_datasets.commands.signatures import python_signature

    module = importlib.import_module(f"theval_datasets.commands.{_MODULE_OF.get(name, name)}")
    function = getattr(module, name)
    function.__signature__ = python_signature(function)
    return function


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
