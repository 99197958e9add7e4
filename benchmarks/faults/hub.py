"""Failures of every endpoint of the Hub that a push uses, in every way, once or permanently."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.faults import kills
from benchmarks.faults._runs import Tally

ENDPOINTS = (
    ("POST", "/api/repos/create"),
    ("GET", r"/api/datasets/[^/]+/[^/]+$"),
    ("GET", "/refs"),
    ("GET", "/tree/"),
    ("POST", "/preupload/"),
    ("POST", "/info/lfs/objects/batch"),
    ("PUT", "/storage/"),
    ("POST", "/info/lfs/verify"),
    ("POST", "/commit/"),
    ("POST", "/tag/"),
)
"""Method and path pattern of the requests of a push, in order."""
STATUSES = (0, 400, 401, 403, 404, 409, 412, 429, 500, 503)
"""HTTP statuses; 0 cuts the connection."""
_OFTEN = 1000
_PUSH = next(case for case in kills.CASES if case.hub)


def trials() -> Iterator[tuple[str, str, int, bool, bool]]:
    """Method, pattern, status, whether it lasts, whether the request is carried out nevertheless."""
    for method, pattern in ENDPOINTS:
        for status in STATUSES:
            yield method, pattern, status, False, False
            if status in (401, 403, 404):
                yield method, pattern, status, True, False
            if method in ("POST", "PUT") and status >= 500:
                yield method, pattern, status, False, True


def trial(base: kills.Base, order: tuple[str, str, int, bool, bool]) -> str | None:
    """Push while a request fails, then undisturbed; return the fault, if any."""
    method, pattern, status, lasts, done = order
    what = f"{method} {pattern} {status or 'cut'}{' for good' if lasts else ''}"
    base.hub.reset()
    with kills._trial(base) as place:
        base.hub.fail(method, pattern, status, times=_OFTEN if lasts else 1, done=done)
        first = kills._run(_PUSH, base, place, limit=120)
        base.hub.reset()
        if first.fault or first.code not in (0, 1):
            return f"{what}: exit code {first.code}, {first.fault}"
        errors = [line for line in first.err.splitlines() if line.startswith("Error: ")]
        if first.code == 1 and len(errors) != 1:
            return f"{what}: {len(errors)} sentences for an error"
        repo = base.hub.store.repos.get(kills.REPOSITORY)
        tagged = repo is not None and bool(repo.tags)
        if tagged and base.expected[_PUSH.name] != kills._left(_PUSH, base, place):
            return f"{what}: a tag on an incomplete version"
        second = kills._run(_PUSH, base, place, limit=120)
        if second.fault or second.code != 0:
            return f"{what}: again ends with {second.code}, {second.fault}: {second.err.strip()[-200:]}"
        if base.expected[_PUSH.name] != kills._left(_PUSH, base, place):
            return f"{what}: the version at the Hub is another one"
    return None


def campaign(n: int, seed: int, until: float = float("inf")) -> Tally:
    """Try `n` of the failures, or all if there are fewer, in an order determined by the seed.

    Args:
        n: Number of failures.
        seed: Seed of the order.
        until: Moment of the monotonic clock after which no further trial begins.
    """
    orders = list(trials())
    random.Random(f"{seed}-hub").shuffle(orders)
    tally = Tally("errors of the Hub", until)
    with kills.prepared() as base:
        kills.undisturbed(_PUSH, base)
        for order in orders[:n]:
            if not tally.goes_on:
                break
            tally.count(trial(base, order))
    return tally
