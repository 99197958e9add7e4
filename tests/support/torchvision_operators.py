"""torchvision beside a torch for the CPU, for tests.

The package index carries torchvision for CUDA only. Its compiled operators cannot be loaded without CUDA's
libraries, and without the operators it does not import. Two of them are declared here, which is enough for
all of it that is written in Python; nothing that is tested calls them.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

_DECLARED: list[Any] = []
"""Libraries of operators, which live as long as their objects."""


def declare_missing() -> None:
    """Declare the operators that torchvision declares when it is imported, if it could not load them."""
    import torch

    result = importlib.util.find_spec("torchvision")
    if result is None or result.origin is None or _DECLARED:
        return
    try:
        for library in Path(result.origin).parent.glob("_C*.so"):
            torch.ops.load_library(library)
            return
    except OSError:
        pass
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(operators)


class _Before(MetaPathFinder):
    """Declares the operators when torchvision is first imported, and finds nothing itself."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            declare_missing()


def prepare() -> None:
    """See to it that torchvision can be imported in this process, without importing torch now."""
    sys.meta_path.insert(0, _Before())
