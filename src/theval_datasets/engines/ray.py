"""The Ray engine: workers on the nodes of a cluster.

An actor of one core stands for each worker. On its node it runs the work in a process of its own, as the
local engine does, so that crashes, time limits and the end of everything have one mechanism and one
meaning; Ray places the actors and reports lost nodes. The actor of a lost node is not restarted by Ray,
which would keep its item until there is room for it again: another worker takes the item.

Media, cache and output must be in folders that all nodes can read and write.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TypeVar

from theval_datasets.errors import ThevalError
from theval_datasets.utils.optional import require

from .base import Engine, Pool, Resources, Worker, WorkerPool
from .limits import TIME_LIMIT
from .local import LocalPool
from .messages import Died, Done, Message, Raised, Ready, WorkerLost, raised

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE: Final = 300.0
"""Seconds to wait for the first actor to start."""
_CLUSTER: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable that, set to 0, restricts a Ray started here to the loopback interface."""


class RayEngine(Engine):
    """Runs functions on a Ray cluster, to which it is connected while it is in use.

    Args:
        workers: Number of workers, of one core each.
        address: Address of a running cluster; None starts one on this machine, which no other machine
            can reach. A connection that this process has already is used as it is.
        time_limit: Time limit for work on a file, as a multiple of its duration; 0 for no limit.
    """

    def __init__(
        self, workers: int, address: str | None = None, time_limit: float = TIME_LIMIT
    ) -> None:
        self.workers = workers
        self.address = address
        self.time_limit = time_limit
        self.shares_disk = address is None
        self._uses = 0
        self._ours = False
        self._ray: Any = None
        self._pools: list[_RayPool[Any, Any]] = []

    def __enter__(self) -> Self:
        self._uses += 1
        return self

    def __exit__(self, *failure: object) -> None:
        """End a cluster that was started here."""
        self._uses -= 1
        if self._uses:
            return
        if self._ours:
            self._ray.shutdown()
        self._ray, self._ours = None, False

    def pool(
        self,
        setup: Callable[[], Callable[[T], R]],
        limit: Callable[[T], float] = lambda _: math.inf,
        resources: Resources = Resources(),  # noqa: B008  # it is frozen
    ) -> Pool[T, R]:
        """See `Engine.pool`.

        Raises:
            MissingExtraError: The extra [ray] is not installed.
        """
        pool: _RayPool[T, R] = _RayPool(self, setup, limit, resources)
        self._pools.append(pool)
        return pool

    def connected(self) -> Any:
        """The module `ray`, connected to the cluster."""
        if self._ray is None:
            self._ray, self._ours = _connect(self.address, self.workers)
        return self._ray

    def make_room(self, wanted: Pool[Any, Any]) -> None:
        """End idle workers of other pools: an actor holds its core as long as it lives."""
        for pool in self._pools:
            if pool is not wanted:
                pool.rest()

    def forget(self, pool: Pool[Any, Any]) -> None:
        """Note that a pool is closed."""
        with contextlib.suppress(ValueError):
            self._pools.remove(pool)  # type: ignore[arg-type]


def _connect(address: str | None, workers: int) -> tuple[Any, bool]:
    """The module `ray`, connected, and whether the connection was made here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        os.environ.setdefault(_CLUSTER, "0")  # Ray reads it when it is imported
    ray = require("ray", extra="ray")
    if ray.is_initialized():
        return ray, False
    local = {"num_cpus": workers, "include_dashboard": False}
    ray.init(
        address=address or "local",
        log_to_driver=False,
        logging_level=logging.WARNING,
        **({} if address else local),
    )
    here = ray.util.get_node_ip_address()
    if address is None and not ip_address(here).is_loopback:
        _log.warning(
            "Ray listens on %s, where other machines may reach it: it was imported before this "
            "run. Import it after setting %s=0 to keep it to this machine.",
            here,
            _CLUSTER,
        )
    return ray, True


@dataclass(slots=True, eq=False, kw_only=True)
class _OnNode(Worker[T]):
    """A worker on a node.

    Attributes:
        actor: Handle of the actor.
        reference: What is awaited of it; None if it is idle.
    """

    actor: Any
    reference: Any


class _RayPool(WorkerPool[T, R]):
    def __init__(
        self,
        engine: RayEngine,
        setup: Callable[[], Callable[[T], R]],
        limit: Callable[[T], float],
        resources: Resources,
    ) -> None:
        super().__init__(engine.workers, lambda _: math.inf)  # limits are kept on the nodes
        self._most_stillborn *= engine.workers  # all of them may start on a node that is lost
        self._engine = engine
        self._setup = setup
        self._seconds = limit
        self._resources = resources
        self._kind: Any = None
        self._packed = b""
        self._device: str | None = None
        self._since = math.inf

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            super().__exit__(kind, *details)
        finally:
            self._engine.forget(self)
            self._engine.__exit__()

    def close(self, *, at_once: bool = False) -> None:
        """See `Pool.close`."""
        workers, self._workers = self._workers, []
        for worker in workers:
            self._end(worker)

    def rest(self) -> None:
        """End the workers that have no item."""
        idle = [worker for worker in self._workers if worker.attempt is None]
        for worker in idle:
            self._discard(worker)

    def _start(self) -> _OnNode[T]:
        ray = self._engine.connected()
        self._engine.make_room(self)
        if self._kind is None:
            asked = demands(ray, self._resources)
            self._kind = ray.remote(**asked)(_Node)
            self._device = device_there("num_gpus" in asked)
            self._packed = ray.cloudpickle.dumps(self._setup)
        if not self._workers:
            self._since = time.monotonic()
        actor = self._kind.remote(self._packed, str(Path.cwd()), self._device)
        return _OnNode(actor=actor, reference=actor.ready.remote())

    def _send(self, worker: _OnNode[T], item: T) -> None:
        data = self._engine.connected().cloudpickle.dumps(item)
        worker.reference = worker.actor.work.remote(data, self._seconds(item))

    def _messages(self, seconds: float) -> list[tuple[_OnNode[T], Message]]:
        ray = self._engine.connected()
        heard = {worker.reference: worker for worker in self._workers if worker.reference}
        ended, _ = ray.wait(list(heard), num_returns=1, timeout=min(seconds, _PATIENCE))
        if ended:
            return [(heard[one], self._message(ray, heard[one])) for one in ended]
        late = time.monotonic() - self._since >= _PATIENCE
        if late and not any(worker.ready for worker in self._workers):
            there = ray.cluster_resources()
            raise ThevalError(
                f"the Ray cluster started no worker in {_PATIENCE:.0f} s: each needs "
                f"{_in_words(demands(ray, self._resources))}, and the cluster has {_in_words(there)}"
            )
        return []

    def _message(self, ray: Any, worker: _OnNode[T]) -> Message:
        reference, worker.reference = worker.reference, None
        try:
            answer = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # the actor lives
            return raised(getattr(error, "cause", error))
        except ray.exceptions.RayError as error:
            _log.warning("a Ray actor was lost: %s", type(error).__name__)
            return Died()
        if answer is None:
            return Ready()
        if isinstance(answer, Raised):
            return answer
        return Done(answer if isinstance(answer, WorkerLost) else pickle.loads(answer))  # noqa: S301

    def _end(self, worker: _OnNode[T]) -> None:
        self._engine.connected().kill(worker.actor)

    def _why_not_ready(self, exit_code: int | None) -> str:
        return (
            "Ray actors end before they are ready. All nodes need this version of theval-datasets with "
            "its extras, and enough memory; Ray's logs are in /tmp/ray/session_latest/logs of each node"
        )


def demands(ray: Any, resources: Resources) -> dict[str, float]:
    """Options of an actor. A GPU is asked for only where the cluster has one that torch is to use."""
    demands: dict[str, float] = {"num_cpus": 1}
    device = os.environ.get("THEVAL_DEVICE", "cuda")
    if resources.gpus and device.startswith("cuda") and ray.cluster_resources().get("GPU"):
        demands["num_gpus"] = resources.gpus
    if resources.memory:
        demands["memory"] = resources.memory
    return demands


def device_there(gpu: bool) -> str | None:
    """`THEVAL_DEVICE` for a worker; None to leave the choice to it.

    Args:
        gpu: Whether Ray gives the worker a GPU, which is then the only one that it sees.
    """
    device = os.environ.get("THEVAL_DEVICE")
    return "cuda" if gpu and device else device


def _in_words(resources: dict[str, float]) -> str:
    """The cores, GPUs and memory of Ray's demands or resources.

    Examples:
        >>> _in_words({"num_cpus": 1, "memory": 2e9}), _in_words({"CPU": 4, "GPU": 1.0})
        ('1 core and 2.0 GB of memory', '4 cores and 1 GPU')
    """
    cores = resources.get("num_cpus", resources.get("CPU", 0))
    words = [f"{cores:g} {'core' if cores == 1 else 'cores'}"]
    if gpus := resources.get("num_gpus", resources.get("GPU", 0)):
        words.append(f"{gpus:g} {'GPU' if gpus <= 1 else 'GPUs'}")
    if memory := resources.get("memory", 0):
        words.append(f"{memory / 1e9:.1f} GB of memory")
    return " and ".join(words)


class _Node:
    """An actor: it runs the work of one worker in a process of its own.

    Args:
        setup: The set-up, packed.
        folder: Working folder of the process that asks for the work.
        device: Device for torch; None to choose one.
    """

    def __init__(self, setup: bytes, folder: str, device: str | None) -> None:
        if device is not None:
            os.environ["THEVAL_DEVICE"] = device
        # where there is no such folder, relative paths must not lead anywhere else
        os.chdir(folder if Path(folder).is_dir() else "/")
        self._pool = _NodePool(1, functools.partial(_unpacked, setup), _limit, main=False)

    def ready(self) -> None:
        """Return as soon as the actor has started."""

    def work(self, item: bytes, limit: float) -> bytes | WorkerLost | Raised:
        """The result of an item, packed."""
        try:
            ((_, result),) = self._pool.map([(item, limit)])
        except _FaultError as error:
            return error.fault
        except Exception as error:  # noqa: BLE001  # it is raised where the work was asked for
            return raised(error)
        return result


class _FaultError(Exception):
    def __init__(self, fault: Raised) -> None:
        self.fault = fault


class _NodePool(LocalPool[tuple[bytes, float], bytes]):
    def _give_up(self, fault: Raised) -> NoReturn:
        raise _FaultError(fault)


def _limit(job: tuple[bytes, float]) -> float:
    return job[1]


def _unpacked(setup: bytes) -> Callable[[tuple[bytes, float]], bytes]:
    work: Callable[[Any], Any] = pickle.loads(setup)()  # noqa: S301  # from our own process

    def packed(job: tuple[bytes, float]) -> bytes:
        result = work(pickle.loads(job[0]))  # noqa: S301  # from our own process
        try:
            return pickle.dumps(result)
        except (pickle.PicklingError, AttributeError, TypeError):  # classes of the caller's script
            return bytes(require("ray.cloudpickle", extra="ray").dumps(result))

    return packed
