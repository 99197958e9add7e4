"""Commands run as monitored processes: time, memory, kills, and surviving child processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MOST_MEMORY = 1 << 30
_PAUSE = 0.05


@dataclass
class Tally:
    """Outcome of one kind of trial.

    Attributes:
        kind: Name of the kind.
        until: Moment of the monotonic clock after which no further trial begins.
        tried: Number of trials.
        lost: Description of each trial that was not survived.
    """

    kind: str
    until: float = float("inf")
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        """Whether there is time for another trial."""
        return time.monotonic() < self.until

    def count(self, fault: str | None) -> None:
        """Count a trial; None if it was survived."""
        self.tried += 1
        if fault is not None:
            self.lost.append(fault)

    def __str__(self) -> str:
        survived = self.tried - len(self.lost)
        return f"{self.kind:<24} tried {self.tried:>6}  survived {survived:>6}  lost {len(self.lost):>4}"


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Exit status; negative for a signal.
        out: Standard output.
        err: Standard error.
        seconds: Wall time.
        memory: Highest resident bytes of a single process of the run.
        fault: Reason why the end is a fault of the program, whatever its exit status; None without one.
        survivors: Number of child processes that outlived it.
    """

    code: int
    out: str
    err: str
    seconds: float
    memory: int
    fault: str | None
    survivors: int


def command(*words: object) -> list[str]:
    """The command line of this checkout."""
    return [sys.executable, "-m", "theval_datasets", *map(str, words)]


def run(
    words: Sequence[str],
    *,
    limit: float = 300.0,
    kill_after: float | None = None,
    env: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command to its end.

    Args:
        words: The command.
        limit: Seconds after which the command counts as hanging.
        kill_after: Seconds after which its first process receives SIGKILL; None for never.
        env: Environment variables in addition to those of this process.
    """
    own = {**os.environ, "THEVAL_NO_PROGRESS": "1", **(env or {})}
    memory = 0
    hangs = False
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            words, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=own, start_new_session=True
        )
        started = time.monotonic()
        watched = psutil.Process(process.pid)
        family = {watched}
        while process.poll() is None:
            elapsed = time.monotonic() - started
            if kill_after is not None and elapsed >= kill_after:
                process.kill()
            elif elapsed > limit:
                hangs = True
                os.killpg(process.pid, signal.SIGKILL)
            try:
                family |= set(watched.children(recursive=True))
                memory = max(
                    [
                        memory,
                        *(member.memory_info().rss for member in family if member.is_running()),
                    ]
                )
            except psutil.Error:
                pass
            time.sleep(_PAUSE)
        seconds = time.monotonic() - started
        survivors = _survivors(process.pid)
        out.seek(0)
        err.seek(0)
        texts = [stream.read().decode(errors="replace") for stream in (out, err)]
    fault = None
    if hangs:
        fault = f"no end within {limit:.0f} s"
    elif memory > MOST_MEMORY:
        fault = f"{memory / 2**30:.2f} GiB of memory"
    elif kill_after is None and process.returncode < 0:
        fault = f"ended by signal {-process.returncode}"
    elif "Traceback (most recent call last)" in texts[1]:
        fault = f"a traceback: {texts[1].strip().splitlines()[-1]}"
    elif survivors:
        fault = f"{survivors} processes outlived it"
    return Ended(process.returncode, *texts, seconds, memory, fault, survivors)


def _survivors(group: int, patience: float = 15.0) -> int:
    """End the remaining processes of a session; return their number."""
    deadline = time.monotonic() + patience
    while True:
        there = [process for process in psutil.process_iter() if _is_of(process, group)]
        if not there or time.monotonic() > deadline:
            for process in there:
                process.kill()
            return len(there)
        time.sleep(_PAUSE)


def _is_of(process: psutil.Process, group: int) -> bool:
    try:
        return os.getsid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.Error):
        return False


def contents(folder: Path) -> dict[str, str]:
    """Hashes of a folder's files by path, without hidden ones (locks, temporary files, candidates)."""
    return {
        relative.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        for relative in [path.relative_to(folder)]
        if path.is_file() and not any(part.startswith(".") for part in relative.parts)
    }


def difference(expected: Mapping[str, str], received: Mapping[str, str]) -> str | None:
    """The first file in which two folders differ, in words; None if they are equal."""
    for name in sorted({*expected, *received}):
        if expected.get(name) != received.get(name):
            state = (
                "missing" if name not in received else "extra" if name not in expected else "other"
            )
            return f"{name} is {state}"
    return None
