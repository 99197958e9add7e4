"""Too little memory is said in a sentence, and never blamed on a file."""

from __future__ import annotations

import ctypes
import errno
import subprocess
import sys

import pytest

from theval_datasets.curation.tasks import failure_of
from theval_datasets.errors import MemoryLimitError
from theval_datasets.extraction.outcomes import decided_by_media, outcome_of
from theval_datasets.utils import memory

resource = pytest.importorskip("resource", reason="limits of memory are a matter of Unix")


@pytest.mark.parametrize("mebibytes", [250, 450, 1000])
def test_a_low_limit_ends_a_command_with_one_sentence(media, tmp_path, mebibytes):
    limit = mebibytes << 20
    words = ["curate", media("plain"), "-o", tmp_path / "out", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "theval_datasets", *map(str, words)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"limited to {mebibytes:,} MiB (ulimit -v)" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("limit", "refused"),
    [
        (resource.RLIM_INFINITY, False),
        (memory.LEAST_ADDRESS_SPACE, False),
        (memory.LEAST_ADDRESS_SPACE - 1, True),
    ],
)
def test_limits_below_what_media_needs_are_refused(monkeypatch, limit, refused):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    if refused:
        with pytest.raises(MemoryLimitError, match="ulimit -v unlimited"):
            memory.check_address_space()
    else:
        memory.check_address_space()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_traces_of_too_little_memory_are_no_fault_of_a_clip(error):
    assert failure_of(error).reason == "out-of-memory"
    outcome = outcome_of(error)
    assert outcome.reason == "out-of-memory"
    assert not decided_by_media(outcome)


@pytest.mark.parametrize(
    "error", [ImportError("No module named 'x'"), ValueError("no"), OSError(5, "x")]
)
def test_other_errors_are_none(error):
    assert not memory.is_out_of_memory(error)


def test_freed_memory_is_given_back():
    """Objects that live on between freed ones keep the C library from returning them by itself."""
    if memory._trim() is None:
        pytest.skip("the C library has no malloc_trim")
    script = """
from pathlib import Path
from theval_datasets.utils.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytearray(1000) for _ in range(200_000)]
last, blocks = blocks[-1], blocks[:-1]
blocks.clear()
before = resident()
give_back()
print(before - resident())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 100_000_000


def test_large_blocks_are_given_back_when_they_are_freed():
    """Though the C library has seen larger ones, and small objects lie behind them."""
    if sys.platform != "linux":
        pytest.skip("another C library")
    script = """
import ctypes, sys
from pathlib import Path
from theval_datasets.utils.memory import LARGE_BLOCK, keep_heap_compact

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
if sys.argv[1] == "mapped":
    keep_heap_compact()
c.free(c.malloc(30 << 20))  # now glibc keeps what is smaller
blocks = []
for _ in range(3):
    blocks.append(c.malloc(LARGE_BLOCK))
    ctypes.memset(blocks[-1], 1, LARGE_BLOCK)
    c.malloc(1000)
before = resident()
for block in blocks:
    c.free(block)
print(before - resident())
"""
    freed = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", script, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("kept", "mapped")
    }
    assert freed["mapped"] >= 3 * (16 << 20) - (1 << 20)
    if memory._trim() is not None:  # glibc
        assert freed["kept"] < 1 << 20


def test_threads_share_two_heaps(tmp_path):
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("another C library")
    script = """
import ctypes, sys, threading
from theval_datasets.utils.memory import keep_heap_compact

if sys.argv[2] == "compact":
    keep_heap_compact()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
together = threading.Barrier(6)

def take():
    together.wait()
    c.malloc(ctypes.c_size_t(100_000))
    together.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(c.fopen(sys.argv[1].encode(), b"w"))
c.malloc_info(0, file)
c.fclose(file)
"""
    heaps = {}
    for how in ("plain", "compact"):
        path = tmp_path / how
        subprocess.run([sys.executable, "-c", script, str(path), how], check=True)
        heaps[how] = path.read_text().count("<heap nr=")
    assert heaps["compact"] == 2 < heaps["plain"]
