"""On which device torch runs, for every extractor that uses it."""

from __future__ import annotations

import os

from theval_datasets.utils.optional import require


def chosen_device(extra: str) -> str:
    """`THEVAL_DEVICE` (such as ``cpu`` or ``cuda:1``); else CUDA where it is; else the CPU.

    The device is not in the cache key. So that values on a GPU are those of the CPU but for
    rounding, cuDNN is told not to shorten numbers (TF32).

    Args:
        extra: That brings torch.
    """
    torch = require("torch", extra=extra)
    torch.backends.cudnn.allow_tf32 = False
    return os.environ.get("THEVAL_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
