"""Choice of the device for torch."""

from __future__ import annotations

import os

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
