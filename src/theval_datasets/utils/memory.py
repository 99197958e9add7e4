"""Memory: given back when it is free; lack of it recognised in exceptions, or refused before work begins."""

from __future__ import annotations

import ctypes
import errno
import functools
import re
import sys
from collections.abc import Callable
from typing import Final

from theval_datasets.errors import MemoryLimitError

LEAST_ADDRESS_SPACE: Final = 2 << 30
"""Bytes of addresses that reading media needs: libraries take hundreds of MB before any work."""
LARGE_BLOCK: Final = 16 << 20
"""Bytes from which on blocks are mapped by themselves in worker processes; see `keep_heap_compact`."""
_M_MMAP_THRESHOLD: Final = -3  # of malloc.h
_M_ARENA_MAX: Final = -8  # of malloc.h
_HEAPS: Final = 2
_TRACES: Final = re.compile(
    "failed to map segment|[Cc]annot allocate memory|can't start new thread"
)


def address_space() -> int | None:
    """Bytes that this process may address (``ulimit -v``); None if that is not limited.

    Examples:
        >>> limit = address_space()
        >>> limit is None or limit > 0
        True
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def check_address_space() -> None:
    """Refuse to begin work for which memory cannot suffice.

    Raises:
        MemoryLimitError: The limit is too low for libraries that decode media.
    """
    limit = address_space()
    if limit is not None and limit < LEAST_ADDRESS_SPACE:
        raise limit_error(limit)


def limit_error(limit: int) -> MemoryLimitError:
    """The error for a limit of so many bytes.

    Examples:
        >>> print(limit_error(1 << 30))
        The address space of this process is limited to 1,024 MiB (ulimit -v), which is too little; raise the limit to 2,048 MiB or more (networks need several times that), or lift it: ulimit -v unlimited
    """
    return MemoryLimitError(
        f"The address space of this process is limited to {limit / 2**20:,.0f} MiB (ulimit -v), which is "
        f"too little; raise the limit to {LEAST_ADDRESS_SPACE / 2**20:,.0f} MiB or more (networks need "
        "several times that), or lift it: ulimit -v unlimited"
    )


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it (glibc).

    What pictures of a clip took lies between small objects that live on, and would add to the peak of what
    is done next.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


def keep_heap_compact() -> None:
    """Have the C library (glibc) leave few holes between the blocks of memory that are in use.

    Large blocks are mapped one by one, so that freeing them returns them at once. Otherwise glibc raises its own
    threshold to 32 MiB as soon as a block of that size is freed; batches of large frames then lie among small
    objects, and the holes that they leave add up: about 70 MB for 1080p. Mapping costs time for every page, 5 %
    of measuring at this threshold, and a third at one of 1 MiB.

    Threads share two heaps, one for the thread that decodes and one for the others. Otherwise each has its own,
    with its own holes: in one of seven runs on 1080p they had 150 to 300 MB more.
    """
    if sys.platform == "linux":
        tune: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
        if tune is not None:
            tune(_M_MMAP_THRESHOLD, LARGE_BLOCK)
            tune(_M_ARENA_MAX, _HEAPS)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is due to a lack of memory.

    Example:
        >>> is_out_of_memory(ImportError("libx.so: failed to map segment from shared object"))
        True
        >>> is_out_of_memory(ImportError("No module named 'x'"))
        False
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, (ImportError, OSError, RuntimeError)) and bool(
        _TRACES.search(str(error))
    )
