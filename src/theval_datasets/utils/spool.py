"""Long arrays in temporary files instead of memory.

Data that grows with a clip's length (meshes, sound) is written to a temporary file once it is large, and
passed on as an array over that file. Code that reads all of it uses `blocks`, which releases the memory of
each block, so that an hour takes no more memory than a minute. Temporary files are where Python's
`tempfile` puts them (`TMPDIR`), have no name, and vanish with their process.
"""

from __future__ import annotations

import io
import mmap
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from .files import storage_errors

LARGE: Final = 32 << 20
"""Size in bytes above which an array is kept in a temporary file."""
_BLOCK: Final = 4 << 20
"""Bytes of an array that are read at once."""

Array = npt.NDArray[Any]


class Spool:
    """Collects rows of one shape: in memory while they are few, in a temporary file once they are many.

    Args:
        shape: Shape of a row; () for single numbers.
        dtype: Type of the numbers.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._file: IO[bytes] = io.BytesIO()
        self._count = 0

    def __len__(self) -> int:
        """Number of rows."""
        return self._count

    def append(self, row: Array) -> None:
        """Add a row, (*shape)."""
        self.extend(row[np.newaxis])

    def extend(self, rows: Array) -> None:
        """Add some rows, (k, *shape).

        Raises:
            ValueError: They have another shape.
            StorageError: The place for temporary files is full.
        """
        if rows.shape[1:] != self._shape:
            raise ValueError(f"expected rows of shape {self._shape}, got {rows.shape[1:]}")
        with storage_errors(_place()):
            for block in blocks(rows):
                self._file.write(np.ascontiguousarray(block, self._dtype).tobytes())
                if isinstance(self._file, io.BytesIO) and self._file.tell() > LARGE:
                    self._move(self._file)
        self._count += len(rows)

    def _move(self, held: io.BytesIO) -> None:
        """Move the rows from memory to a file."""
        file = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the spool
        weakref.finalize(self, file.close)
        file.write(held.getbuffer())
        self._file = file

    def array(self) -> Array:
        """All rows, (n, *shape), read-only; no more can be added.

        Examples:
            >>> spool = Spool((2,), np.int16)
            >>> spool.append(np.array([1, 2]))
            >>> spool.extend(np.array([[3, 4], [5, 6]]))
            >>> spool.array().tolist()
            [[1, 2], [3, 4], [5, 6]]
        """
        return array_of(self._file, self._dtype).reshape(self._count, *self._shape)


def array_of(file: IO[bytes], dtype: npt.DTypeLike) -> Array:
    """The contents of a temporary file as a flat array: in memory if it is small, else memory-mapped.

    Args:
        file: File that is open for reading and writing; it is closed.
        dtype: Type of the numbers; an incomplete last number is left out.

    Returns:
        (n,), read-only.

    Raises:
        StorageError: The place for temporary files is full.
    """
    with storage_errors(_place()):
        file.flush()
    kind = np.dtype(dtype)
    with file:
        count = file.seek(0, 2) // kind.itemsize
        if count * kind.itemsize <= LARGE:
            file.seek(0)
            return np.frombuffer(file.read(count * kind.itemsize), kind)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, kind, count)


def is_spooled(array: Array) -> bool:
    """Whether an array, or the array of which it is a view, lies in a file.

    Example:
        >>> is_spooled(np.zeros(3))
        False
    """
    return _mapping(array) is not None


def blocks(array: Array, n_bytes: int | None = None) -> Iterator[Array]:
    """The rows of an array in blocks; memory of an array over a file is released in between.

    Args:
        array: Array, (n, …), of at least one axis.
        n_bytes: Maximum size of a block in bytes, which has at least one row; by default 4 MiB.

    Yields:
        Blocks, (k, …); none for an empty array.

    Example:
        >>> [block.tolist() for block in blocks(np.arange(5, dtype=np.int64), 16)]
        [[0, 1], [2, 3], [4]]
    """
    row = array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    step = max(1, (n_bytes or _BLOCK) // max(1, row))
    for begin in range(0, len(array), step):
        yield array[begin : begin + step]
        release(array)


def release(array: Array) -> None:
    """Release the memory of an array over a file; it is read again at the next access."""
    mapped = _mapping(array)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _mapping(array: Array) -> mmap.mmap | None:
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) else None


def _place() -> Path:
    return Path(tempfile.gettempdir())
