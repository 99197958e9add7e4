"""Two runs of one command on the same folders at the same time."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.faults import kills
from benchmarks.faults._runs import Ended, Tally, difference

_CASES = tuple(
    case for case in kills.CASES if case.name in ("curate", "extract", "rebuild", "build")
)


def trial(case: kills.Case, base: kills.Base, delay: float) -> str | None:
    """Start a command twice; return the fault, if any.

    Both runs may succeed, or one may refuse with a message; the results must be those of a single run.

    Args:
        case: Command.
        base: Initial state.
        delay: Seconds between the two starts.
    """
    with kills._trial(base) as place, ThreadPoolExecutor(2) as pool:

        def second() -> Ended:
            time.sleep(delay)
            return kills._run(case, base, place)

        jobs = [pool.submit(kills._run, case, base, place), pool.submit(second)]
        ended = [job.result() for job in jobs]
        faults = [run.fault for run in ended if run.fault]
        if faults:
            return f"{case.name}: {faults[0]}"
        codes = [run.code for run in ended]
        if 0 not in codes:
            return f"{case.name}: exit codes {codes}: {ended[0].err.strip()[-200:]}"
        for run in ended:
            if run.code != 0 and run.err.count("Error: ") != 1:
                return f"{case.name}: exit code {run.code} without a sentence"
        fault = difference(base.expected[case.name], kills._left(case, base, place))
        return fault and f"{case.name}: {fault}"


def campaign(n: int, seed: int, until: float = float("inf")) -> Tally:
    """Try each command `n` times, the second start at a random moment of the first run.

    Args:
        n: Number of trials of each command.
        seed: Seed of the moments.
        until: Moment of the monotonic clock after which no further trial begins.
    """
    tally = Tally("two writers", until)
    chance = random.Random(f"{seed}-writers")
    with kills.prepared() as base:
        for case in _CASES:
            kills.undisturbed(case, base)
            for number in range(n):
                if not tally.goes_on:
                    break
                delay = 0.0 if number == 0 else chance.uniform(0, base.seconds[case.name])
                tally.count(trial(case, base, delay))
    return tally
