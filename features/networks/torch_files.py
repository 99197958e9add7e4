"""Tensors of PyTorch's checkpoint files, read without PyTorch.

A checkpoint is an archive of raw numbers and a pickle that assigns them to tensors. Unpickling can call
anything that a file names, so only an ordered dictionary, a tensor and its number types are allowed; any other
file is refused. PyTorch does the same with ``weights_only=True``.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_KINDS: Final = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
_LARGEST: Final = 1 << 30
"""Maximum size of an unpacked file in bytes."""

Tensor = npt.NDArray[Any]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint that holds nothing but tensors by name (a state dictionary).

    Args:
        path: File as written by ``torch.save`` of PyTorch 1.6 or later.

    Returns:
        Tensors by name, in the file's order.

    Raises:
        ValueError: The file is not such a checkpoint, or names anything besides tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Reader(archive).state()
    except (
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        KeyError,
        EOFError,
        TypeError,
        AttributeError,
        IndexError,
        UnicodeDecodeError,
    ) as error:
        raise ValueError(
            f"expected {path} to be a PyTorch checkpoint of tensors only: {error}"
        ) from None


class _Kind:
    """A number type, as named in the pickle."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)


class _Reader:
    """Reads one open archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > _LARGEST:
            raise ValueError(f"expected a checkpoint of at most {_LARGEST} bytes")
        pickles = [e.filename for e in entries if e.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise KeyError("no data.pkl in it")
        self._archive = archive
        self._folder = pickles[0].rpartition("/")[0]

    def state(self) -> dict[str, Tensor]:
        loaded = _Tensors(io.BytesIO(self._read("data.pkl")), self._storage).load()
        if not isinstance(loaded, dict) or not all(
            isinstance(name, str) and isinstance(tensor, np.ndarray)
            for name, tensor in loaded.items()
        ):
            raise ValueError("expected tensors by name")
        return dict(loaded)

    def _read(self, name: str) -> bytes:
        return self._archive.read(f"{self._folder}/{name}")

    def _storage(self, kind: _Kind, key: str) -> Tensor:
        return np.frombuffer(self._read(f"data/{key}"), kind.dtype)


class _Tensors(pickle.Unpickler):
    """Unpickles tensors only."""

    def __init__(self, stream: io.BytesIO, storage: Any) -> None:
        super().__init__(stream)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _KINDS:
            return _Kind(_KINDS[name])
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        tag, kind, key, *_ = pid
        if tag != "storage" or not isinstance(kind, _Kind):
            raise pickle.UnpicklingError(f"it names {tag}")
        storage: Tensor = self._storage(kind, str(key))
        return storage


def _tensor(
    storage: Tensor, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> Tensor:
    """A tensor that is contiguous in its storage."""
    expected = tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape)))
    count = int(np.prod(shape, dtype=np.int64))
    if expected != tuple(strides) or offset < 0 or offset + count > len(storage):
        raise pickle.UnpicklingError("a tensor is not in one piece")
    return storage[offset : offset + count].reshape(shape)
