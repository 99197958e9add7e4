from __future__ import annotations

import errno
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from theval_datasets.errors import InputError, StorageError
from theval_datasets.utils import stores
from theval_datasets.utils.stores import RemotePath, location_of, spool_folder, staged

NUMBERS = itertools.count()


class Faulty(MemoryFileSystem):
    """A store whose next requests fail."""

    protocol = "faulty"
    cachable = False
    errors: list[Exception] = []  # noqa: RUF012
    listed: dict[str, dict[str, object]] = {}  # noqa: RUF012

    def get_file(self, *args, **given):
        if self.errors:
            raise self.errors.pop(0)
        return super().get_file(*args, **given)

    def find(self, *args, **given):
        return self.listed or super().find(*args, **given)


@pytest.fixture
def place(monkeypatch):
    """An empty folder of such a store."""
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    monkeypatch.setattr(Faulty, "errors", [])
    monkeypatch.setattr(Faulty, "listed", {})
    monkeypatch.setattr(stores, "_WAIT", 0)
    return RemotePath(f"faulty://stores-{next(NUMBERS)}")


@pytest.fixture
def clip(place, tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(bytes(range(256)) * 100)
    (place / "a.mp4").upload(file)
    return place / "a.mp4"


def test_a_broken_connection_is_tried_three_times(clip):
    Faulty.errors += [ConnectionResetError("reset"), TimeoutError("late")]
    with staged(clip) as file:
        assert file.stat().st_size == 25_600
    Faulty.errors += [ConnectionResetError("reset")] * 3
    with pytest.raises(StorageError, match=f"{clip} cannot be read: reset"), staged(clip):
        pass
    assert not Faulty.errors


@pytest.mark.parametrize("error", [PermissionError("denied"), OSError(errno.EIO, "strange")])
def test_an_answer_of_the_store_is_final(clip, error):
    Faulty.errors += [error, error]
    with pytest.raises(StorageError, match=f"{clip} cannot be read: .*credentials"), staged(clip):
        pass
    assert len(Faulty.errors) == 1


def test_a_full_disk_is_not_the_stores_fault(clip, tmp_path):
    Faulty.errors.append(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x")))
    with pytest.raises(StorageError, match="x cannot be written: No space left"):
        clip.download(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_is_not_there_is_not_found(place, tmp_path):
    for action in (place / "a").stat, (place / "a").open, lambda: (place / "a").range(0, 1):
        with pytest.raises(FileNotFoundError):
            action()
    assert not (place / "a").exists()
    assert not place.is_dir()
    assert place.below() == {}


def test_a_stream_reads_ranges_and_seeks(clip, monkeypatch):
    monkeypatch.setattr(stores, "_READ_BYTES", 1000)
    data = bytes(range(256)) * 100
    with clip.open() as stream:
        assert stream.read() == data
        stream.seek(999)
        assert stream.read(3) == data[999:1002]
        stream.seek(-1, os.SEEK_END)
        assert stream.read() == data[-1:]
        stream.seek(len(data) + 5)
        assert stream.read() == b""


def test_a_listing_stays_in_its_folder(clip, place):
    assert place.below()["a.mp4"].st_size == 25_600
    Faulty.listed = {"/elsewhere/b.mp4": {"size": 1, "type": "file"}}
    with pytest.raises(StorageError, match=r"'/elsewhere/b\.mp4', which is not below it"):
        place.below()


def test_a_name_is_no_chain_of_urls(place, tmp_path):
    (tmp_path / "secret").write_text("secret")
    chained = place / f"x::file://{tmp_path}/secret"
    with pytest.raises(FileNotFoundError), staged(chained):
        pass


def _put_without_conditions(self, lpath, rpath, **given):
    return MemoryFileSystem.put_file(self, lpath, rpath)


@pytest.mark.parametrize("conditional", [True, False])
def test_a_file_that_is_there_is_not_replaced(clip, tmp_path, monkeypatch, conditional):
    if not conditional:
        monkeypatch.setattr(Faulty, "put_file", _put_without_conditions, raising=False)
    assert clip.storage().conditional == conditional
    other = tmp_path / "other"
    other.write_text("other")

    def differs():
        raise InputError("another file")

    with pytest.raises(InputError, match="another file"):
        clip.create(other, differs)
    clip.create(other, lambda: True)
    assert clip.stat().st_size == 25_600
    (clip.parent / "new").create(other, lambda: False)
    assert (clip.parent / "new").range(0, 9) == b"other"


def test_what_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    begin = f".theval-spool.{socket.gethostname()}"
    left = {name: tmp_path / f"{begin}.{name}.x" for name in (str(dead.pid), "1", "strange")}
    elsewhere = tmp_path / f".theval-spool.elsewhere.{dead.pid}.x"
    for folder in (*left.values(), elsewhere):
        folder.mkdir()
    stores._sweep.cache_clear()
    with spool_folder() as folder:
        assert folder.parent == tmp_path
        assert set(tmp_path.iterdir()) == {left["1"], left["strange"], elsewhere, folder}
    assert not folder.exists()


@pytest.mark.parametrize("address", ["https://example.org/a", "HTTP://x", "ftp://x", "sftp://x/y"])
def test_addresses_of_the_web_are_not_opened(address):
    with pytest.raises(InputError, match="expected a path or the URL of an object store"):
        location_of(address)


def test_paths_are_paths(tmp_path):
    assert location_of(tmp_path) == tmp_path
    assert location_of("a:b") == Path("a:b")
    assert location_of(tmp_path.as_uri()) == tmp_path
    with pytest.raises(InputError, match="nothing://x cannot be opened: Protocol not known"):
        location_of("nothing://x")
