"""The engine that the options of a command name."""

from __future__ import annotations

from theval_datasets.errors import InputError

from .base import Engine
from .limits import TIME_LIMIT, default_workers
from .local import LocalEngine


def engine_of(
    name: str, address: str | None, workers: int | None, time_limit: float = TIME_LIMIT
) -> Engine:
    """The engine that the options of a command name.

    Args:
        name: ``local`` or ``ray``.
        address: Address of a Ray cluster; None for one on this machine.
        workers: Number of workers; None for the number of cores.
        time_limit: Time limit for work on a file, as a multiple of its duration; 0 for no limit.

    Raises:
        InputError: There is no such engine, or it has no address.

    Examples:
        >>> engine_of("local", None, workers=4)
        LocalEngine(workers=4, time_limit=100.0)
        >>> engine_of("local", "auto", workers=4)
        Traceback (most recent call last):
            ...
        theval_datasets.errors.InputError: --address needs --engine ray; the local engine has no address
    """
    workers = workers or default_workers()
    if name == "local":
        if address:
            raise InputError("--address needs --engine ray; the local engine has no address")
        return LocalEngine(workers, time_limit)
    if name == "ray":
        from .ray import RayEngine

        return RayEngine(workers, address, time_limit)
    raise InputError(f"expected the engine local or ray, got {name!r}")
