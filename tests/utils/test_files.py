from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from theval_datasets.errors import StorageError, UnsafePathError
from theval_datasets.utils import files
from theval_datasets.utils.files import (
    atomic_path,
    atomic_write,
    inside,
    sha256_file,
    storage_error,
    write_text,
)

LONG = "ü" * 125 + ".json"  # 255 bytes, the most that a file's name may have


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    write_text(tmp_path / LONG, "x")
    assert [path.name for path in tmp_path.iterdir()] == [LONG]
    with pytest.raises(StorageError, match="cannot be written: File name too long"):
        write_text(tmp_path / f"a{LONG}", "x")
    assert [path.name for path in tmp_path.iterdir()] == [LONG]


def test_two_writers_of_one_file_never_mix(tmp_path):
    target = tmp_path / "clip.mp4"
    barrier = threading.Barrier(8)
    wrong = []

    def write(number: int) -> None:
        barrier.wait()
        for _ in range(20):
            with atomic_path(target) as part:
                part.write_bytes(bytes([number]) * 50_000)
            if len(set(target.read_bytes())) != 1:
                wrong.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert list(tmp_path.iterdir()) == [target]


def test_a_temporary_path_keeps_the_suffix(tmp_path):
    with atomic_path(tmp_path / "a" / "b.mkv") as part:
        assert part.suffix == ".mkv"
        assert part.parent == tmp_path / "a"
        part.write_bytes(b"x")
    assert (tmp_path / "a" / "b.mkv").stat().st_mode & 0o777 == 0o666 & ~files._umask()


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file(tmp_path, failure):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write() -> None:
        with atomic_write(path) as stream:
            stream.write(b"new")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_full_or_read_only_place_is_named(tmp_path, monkeypatch, number):
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(StorageError) as caught:
        write_text(tmp_path / "a.txt", "x")
    assert str(tmp_path / "a.txt") in str(caught.value)
    assert os.strerror(number) in str(caught.value)
    assert "bytes are free" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/a\.txt cannot be written: .*Name another place"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_errors_of_other_files_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "b").read_bytes()


def wrapped(error: BaseException) -> BaseException:
    outer = RuntimeError("download failed")
    outer.__context__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "is_storage"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (wrapped(OSError(errno.EROFS, "Read-only file system")), True),
        (RuntimeError("unable to write data: [Errno 28] No space left on device"), True),
        ("av_interleaved_write_frame(): No space left on device", True),
        (OSError(errno.ECONNRESET, "Connection reset by peer"), False),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (RuntimeError("[Errno 288] other"), False),
        ("Invalid data found when processing input", False),
    ],
)
def test_the_disk_is_told_from_other_causes(tmp_path, error, is_storage):
    assert isinstance(storage_error(error, tmp_path / "x"), StorageError) == is_storage


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../../x", "a/../b", "a\0b", "x" * 256, "ü" * 128, "\ud800"],
)
def test_paths_that_lead_out_or_nowhere(tmp_path, path):
    with pytest.raises(UnsafePathError):
        inside(tmp_path, path)


@pytest.mark.parametrize("path", ["a", "a/b.mp4", "x" * 255, "..a", "a..b/c"])
def test_paths_that_stay_below(tmp_path, path):
    assert inside(tmp_path, path) == tmp_path.resolve() / path


def test_links_that_lead_out_or_round(tmp_path):
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "there").symlink_to("round/trip")
    for path in ("out/passwd", "out", "round", "round/a", "there"):
        with pytest.raises(UnsafePathError):
            inside(tmp_path, path)


def test_hash_of_a_file(tmp_path):
    Path(tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf")
