"""Disks that fill up: small file systems in memory, which only root may mount."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults import kills
from benchmarks.faults._runs import Tally, contents, difference

_CASES = tuple(
    case for case in kills.CASES if case.name in ("curate", "rebuild", "build", "extract", "index")
)
_TARGETS = {"extract": "fresh"}


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[bool]:
    """Mount a file system of `size` bytes at a folder; yield False if that is not permitted."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def trial(case: kills.Case, base: kills.Base, size: int) -> str | None:
    """Run a command on a disk of `size` bytes, then with enough room; return the fault, if any.

    The command must either complete or end with a message that names the full folder. It must leave no
    incomplete manifest, and record no clip as failed.

    Args:
        case: Command.
        base: Initial state.
        size: Size of the disk in bytes.
    """
    with kills._trial(base) as place:
        target = place / _TARGETS.get(case.name, "out")
        with small_disk(target, size) as mounted:
            if not mounted:
                return f"{case.name}: no small disk could be mounted (only root may)"
            first = kills._run(case, base, place)
            left = contents(target)
        if first.fault:
            return f"{case.name} on {size} bytes: {first.fault}"
        if first.code == 0:
            return None
        text = first.out + first.err
        if "cannot be written" not in text or str(target) not in text:
            return f"{case.name} on {size} bytes: the place is not named: {text.strip()[-300:]}"
        whole = {f"{target.name}/{name}": value for name, value in left.items()}
        expected = base.expected[case.name]
        wrong = [
            name
            for name, value in whole.items()
            if name.endswith(("manifest.jsonl", "rejected.jsonl", "info.json", ".parquet"))
            and expected.get(name) != value
        ]
        if wrong:
            return f"{case.name} on {size} bytes: {wrong[0]} is there, and not whole"
        again = kills._run(case, base, place)
        fault = again.fault or difference(expected, kills._left(case, base, place))
        if again.code != 0 or fault:
            return f"{case.name}, with room again: exit code {again.code}, {fault}"
    return None


def campaign(n: int, seed: int, until: float = float("inf")) -> Tally:
    """Try each command on `n` disks of 8 kB to 1 MB.

    Args:
        n: Number of disks for each command.
        seed: Seed of their sizes.
        until: Moment of the monotonic clock after which no further trial begins.
    """
    tally = Tally("full disk", until)
    chance = random.Random(f"{seed}-disk")
    with kills.prepared() as base:
        for case in _CASES:
            kills.undisturbed(case, base)
            for _ in range(n):
                if not tally.goes_on:
                    break
                size = int(4096 * 2 ** chance.uniform(1, 8))
                tally.count(trial(case, base, size))
    return tally
