"""Arrays in temporary files: the same numbers as in memory, in blocks, gone with their owner."""

from __future__ import annotations

import errno
import io
import tempfile

import numpy as np
import pytest

from theval_datasets.errors import StorageError
from theval_datasets.utils import spool
from theval_datasets.utils.spool import Spool, array_of, blocks, is_spooled, release


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(spool, "LARGE", 96)


@pytest.mark.parametrize(("rows", "in_file"), [(0, False), (8, False), (9, True), (50, True)])
def test_rows_are_the_same_in_memory_and_in_a_file(rows, in_file):
    wanted = np.arange(rows * 6, dtype=np.int16).reshape(rows, 2, 3)
    one_by_one, at_once = Spool((2, 3), np.int16), Spool((2, 3), np.int16)
    for row in wanted:
        one_by_one.append(row)
    at_once.extend(wanted)
    for made in (one_by_one, at_once):
        assert len(made) == rows
        array = made.array()
        assert array.dtype == np.int16
        assert array.tolist() == wanted.tolist()
        assert is_spooled(array) == in_file
        assert is_spooled(array[2:4, :, 1]) == in_file
        release(array)
        assert array.tolist() == wanted.tolist()


def test_rows_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected rows of shape \(2,\), got \(3,\)"):
        Spool((2,), np.float32).append(np.zeros(3, np.float32))


@pytest.mark.parametrize("n_bytes", [1, 8, 24, 25, 1000])
def test_blocks_are_all_rows_in_order(n_bytes):
    kept = Spool((3,), np.float64)
    wanted = np.arange(60.0).reshape(20, 3)
    kept.extend(wanted)
    for array in (wanted, kept.array()):
        parts = list(blocks(array, n_bytes))
        assert np.concatenate(parts).tolist() == wanted.tolist()
        assert max(part.nbytes for part in parts) <= max(n_bytes, 24)


def test_an_empty_array_has_no_blocks():
    assert list(blocks(np.zeros((0, 3)))) == []


def test_an_incomplete_last_number_is_left_out():
    assert array_of(io.BytesIO(b"\1\0\2\0\3"), "<i2").tolist() == [1, 2]


def test_a_full_disk_is_named(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(StorageError, match=tempfile.gettempdir()):
        Spool((), np.float64).extend(np.zeros(13))
