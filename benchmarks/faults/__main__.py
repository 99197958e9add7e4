"""Run the campaign and print the trials, survived and lost: ``python -m benchmarks.faults``."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults import disk, hub, kills, media, writers
from benchmarks.faults._runs import Tally

_Campaign = Callable[[int, int, float, Path], Iterator[Tally]]
_KINDS: dict[str, tuple[int, _Campaign]] = {
    "media": (10_000, lambda n, seed, until, lost: iter([media.campaign(n, seed, lost, until)])),
    "kills": (25, lambda n, seed, until, _: kills.campaign(n, seed, until)),
    "hub": (200, lambda n, seed, until, _: iter([hub.campaign(n, seed, until)])),
    "writers": (10, lambda n, seed, until, _: iter([writers.campaign(n, seed, until)])),
    "disk": (10, lambda n, seed, until, _: iter([disk.campaign(n, seed, until)])),
}
"""Number of trials (of kills, writers and disks: per command) and campaign, by kind."""


def main() -> int:
    """Return 1 if a trial was lost, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"default: all of {', '.join(_KINDS)}")
    parser.add_argument("-n", type=int, help="number of trials; default: that of a full campaign")
    parser.add_argument("--seed", type=int, help="of all random choices; default: a random one")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time for each kind")
    parser.add_argument("-o", "--output", type=Path, default=Path("bench-out/faults"))
    options = parser.parse_args()
    kinds = options.kinds or list(_KINDS)
    if unknown := set(kinds) - set(_KINDS):
        parser.error(f"no kind {', '.join(sorted(unknown))}; expected {', '.join(_KINDS)}")
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    lost = 0
    for kind in kinds:
        default, campaign = _KINDS[kind]
        started = time.monotonic()
        for tally in campaign(
            options.n or default, seed, started + options.seconds, options.output
        ):
            print(f"{tally}  {time.monotonic() - started:>7.0f} s", flush=True)
            for sentence in tally.lost:
                print(f"  lost: {sentence}", flush=True)
            lost += len(tally.lost)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
