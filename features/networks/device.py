"""Choice of the device for torch."""

from __future__ import annotations

import os
from typing import Any, Literal

from theval_datasets.utils.optional import require


def chosen_device(extra: str) -> str:
    """`THEVAL_DEVICE` (such as ``cpu`` or ``cuda:1``), else CUDA where available, else the CPU.

    The device is not in the cache key. Reduced precision of cuDNN (TF32) is disabled, so that values on a
    GPU equal those on the CPU up to rounding.

    Args:
        extra: Extra that installs torch.
    """
    torch = require("torch", extra=extra)
    torch.backends.cudnn.allow_tf32 = False
    return os.environ.get("THEVAL_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


Precision = Literal["float32", "bfloat16"]


def arithmetic(device: str, precision: Precision) -> Any:
    """A context in which torch computes without gradients, with matrix products in a precision.

    Args:
        device: Result of `chosen_device`.
        precision: `bfloat16` is several times faster on CUDA and has three significant digits.
    """
    import contextlib

    import torch

    stack = contextlib.ExitStack()
    stack.enter_context(torch.inference_mode())
    if precision == "bfloat16":
        kind = torch.device(device).type
        stack.enter_context(torch.autocast(kind, dtype=torch.bfloat16))
    return stack
