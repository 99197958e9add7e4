"""The Ray engine gives what the local one gives, and outlives a lost node."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from theval_datasets.commands.extract import extract
from theval_datasets.curation.pipeline import candidate_store
from theval_datasets.engines import limits
from theval_datasets.engines.base import Resources
from theval_datasets.engines.choose import engine_of
from theval_datasets.engines.limits import default_workers
from theval_datasets.engines.local import LocalEngine
from theval_datasets.engines.ray import RayEngine, demands, device_there
from theval_datasets.errors import InputError, StorageError, ThevalError
from theval_datasets.extraction.extractor import Column, Extractor
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.measure import resources_of, run_plan
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.utils.files import sha256_file

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="needs the extra [ray]")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def entries(folder: Path) -> dict[str, bytes]:
    found = {p.name: p.read_bytes() for p in folder.rglob("*.feature")}
    assert found
    return found


@pytest.fixture(scope="module")
def jobs(sample, tmp_path_factory) -> list[ClipJob]:
    """Each clip of the sample twice, the second with some bytes at its end: another hash."""
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for path in sample.values():
        for copy in range(2):
            target = folder / f"{path.stem}-{copy}.mp4"
            shutil.copy(path, target)
            with target.open("ab") as stream:
                stream.write(b"\0\0\0\x08free" * copy)
            found.append(ClipJob(target.stem, str(target), sha256_file(target)))
    assert len({job.sha256 for job in found}) == len(found) >= 12
    return found


@pytest.fixture(scope="module")
def local(jobs, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("local")
    reports = list(run_plan(LocalEngine(2), jobs, Plan((ThevalSignals(),), str(folder))))
    assert len(reports) == len(jobs)
    return entries(folder)


def test_a_lost_node_loses_nothing(jobs, local, tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        plan = Plan((ThevalSignals(),), f"file://{tmp_path}/cache")
        reports = []
        for report in run_plan(RayEngine(2, cluster.address), jobs, plan):
            reports.append(report)
            if len(reports) == 4:
                cluster.remove_node(second, allow_graceful=False)
        assert sorted(r.clip_id for r in reports) == sorted(j.clip_id for j in jobs)
        assert {o.status for r in reports for o in r.outcomes.values()} <= {"ok", "empty"}
        computed = [r for r in reports if "theval_signals" in r.computed]
        # The one clip in flight may have been finished before its report was lost.
        assert len(computed) >= len(jobs) - 1
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert entries(tmp_path / "cache") == local


@dataclass(frozen=True)
class Hostile(Extractor):
    """Loops, or finds a disk full."""

    name: ClassVar[str] = "hostile"
    writes: ClassVar = (Column("x", "float64", (), ""),)
    needs_audio = True

    full: bool = False

    def open(self, clip, model):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device", "/full/part")
        while True:
            pass


def test_a_clip_that_loops_is_ended_and_a_full_disk_ends_the_run(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_LEAST_TIME", 5.0)
    looping = Plan((Hostile(),), str(tmp_path / "cache"))
    full = Plan((Hostile(full=True),), str(tmp_path / "cache"))
    with RayEngine(2, time_limit=0.1) as engine:
        reports = list(run_plan(engine, jobs[:3], looping))
        with pytest.raises(StorageError, match="/full/part cannot be written"):
            list(run_plan(engine, jobs[:3], full))
    assert [one.outcomes["hostile"].reason for one in reports] == ["timeout"] * 3


def test_a_cluster_of_ones_own_is_reached_from_this_machine_only_and_json_stays_json(
    sample, tmp_path
):
    import psutil

    from theval_datasets.commands.curate import curate

    videos = next(iter(sample.values())).parent
    curate([str(videos)], tmp_path / "work", root=videos.parent)
    words = ["extract", tmp_path / "work", "--features", "vad", "--cache", tmp_path / "cache"]
    words += ["--engine", "ray", "--workers", "1", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "theval_datasets", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        listening = set()
        while process.poll() is None:
            try:
                for one in psutil.Process(process.pid).children(recursive=True):
                    listening |= {
                        (one.name(), made.laddr.ip)
                        for made in one.net_connections("inet")
                        if made.status == psutil.CONN_LISTEN
                    }
            except psutil.Error:
                pass
            time.sleep(0.05)
        assert process.stdout is not None
        report = json.load(process.stdout)
    assert report["counts"]["vad"]["failed"] == 0
    assert "gcs_server" in {name for name, _ in listening}
    assert {place for _, place in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


RECIPE = """\
name: short
about: Spans of talking faces.
cut: spans
reference_frame: best
segment: {min_seconds: 1, aim_seconds: 1.5, max_seconds: 2, min_speech: 0.0, fps: 2}
filters: {duration: {min_seconds: 0.5}, near_duplicates: {}}
"""


def tree(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_commands_give_the_same_bytes_on_ray(sample, tmp_path, monkeypatch):
    """With relative paths, on workers that were started in another folder.

    `build` and `verify` are compared in the tests of releases and of object stores.
    """
    from theval_datasets.commands.curate import curate
    from theval_datasets.commands.rebuild import rebuild
    from theval_datasets.commands.score import score

    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    monkeypatch.chdir(tmp_path)
    videos = Path("videos")
    videos.mkdir()
    for name in ("clear-en", "blurred-en", "no-face-es"):
        shutil.copy2(sample[name], videos / f"{name}.mp4")
    (videos / "text.mp4").write_text("no video")
    Path("short.yaml").write_text(RECIPE)
    reports: dict[str, list[object]] = {}
    counted: list[str] = []
    real = RayEngine.pool
    monkeypatch.setattr(
        RayEngine, "pool", lambda self, *a, **b: counted.append(sys._getframe(1).f_code.co_name)
        or real(self, *a, **b),
    )  # fmt: skip
    try:
        for engine in ("local", "ray"):
            on = {"engine": engine, "workers": 2}
            here = Path(engine)
            cache = here / "cache"
            curated = curate(
                [videos], here / "work", root=".", recipe="short.yaml", cache=cache, **on
            )
            extract(here / "work", features=["vad", "landmarks"], cache=cache, **on)
            again = rebuild(here / "work", here / "again", root=".", cache=cache, **on)
            scored = score([videos / "clear-en.mp4", videos / "no-face-es.mp4"], cache=cache, **on)
            assert again.counts == {"identical": curated.kept}
            reports[engine] = [curated.kept, curated.reasons, scored.to_plain()]
            assert bool(counted) == (engine == "ray")
    finally:
        ray.shutdown()
    assert reports["local"][0] >= 2
    assert reports["ray"] == reports["local"]
    made = {name: tree(Path(name)) for name in ("local", "ray")}
    assert len(made["local"]) > 20
    assert made["ray"].keys() == made["local"].keys()
    assert [name for name in made["local"] if made["ray"][name] != made["local"][name]] == []


def test_curation_goes_on_without_a_lost_node(sample, tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    from theval_datasets.commands.curate import curate

    monkeypatch.chdir(tmp_path)
    videos = Path("videos")
    videos.mkdir()
    for name in ("clear-en", "blurred-en"):
        shutil.copy2(sample[name], videos / f"{name}.mp4")
    shorter = RECIPE.replace(
        "min_seconds: 1, aim_seconds: 1.5, max_seconds: 2",
        "min_seconds: 0.4, aim_seconds: 0.6, max_seconds: 0.8",
    )
    Path("short.yaml").write_text(shorter)
    given = {"root": ".", "recipe": "short.yaml", "workers": 2}
    local = curate([videos], Path("local/work"), cache="local/cache", **given)
    assert len(list(Path("local/work/.candidates").glob("*.mp4"))) >= 4
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    real = candidate_store.append_record
    lost = []

    def losing(path, record):
        real(path, record)
        if not lost:  # the others are being cut
            cluster.remove_node(second, allow_graceful=False)
            lost.append(second)

    monkeypatch.setattr(candidate_store, "append_record", losing)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        made = curate([videos], Path("ray/work"), cache="ray/cache", engine="ray", **given)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert lost
    assert (made.kept, made.reasons) == (local.kept, local.reasons)
    assert tree(Path("ray")) == tree(Path("local"))


@pytest.fixture(scope="module")
def with_gpu():
    """An engine on a cluster of two cores and what says it is a GPU."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1})
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        yield RayEngine(2, cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_resources_are_asked_for_where_they_are(tmp_path, with_gpu):
    """A share of a GPU too; `test_no_gpu_is_asked_for_on_cpus` says where not."""
    plan = Plan((Large(),), str(tmp_path / "cache"))
    assert resources_of(plan) == Resources(gpus=0.5, memory=200 << 20)
    before = ray.cluster_resources()
    seen = []
    with with_gpu.pool(_available, resources=resources_of(plan)) as pool:
        for _ in pool.map([1, 2]):
            seen.append(ray.available_resources())
    used = {
        name: before.get(name, 0) - min(one.get(name, 0) for one in seen)
        for name in ("CPU", "GPU", "memory")
    }
    assert used == {"CPU": 2, "GPU": 2 * 0.5, "memory": 2 * (200 << 20)}


def test_a_cluster_without_room_says_what_is_needed(monkeypatch, with_gpu):
    monkeypatch.setattr("theval_datasets.engines.ray._PATIENCE", 5.0)
    wanted = Resources(memory=1 << 45)
    with pytest.raises(ThevalError, match=r"needs 1 core and 35184\.4 GB of memory.*2 cores"):
        list(with_gpu.map(_available, [1], resources=wanted))


def _available():
    def wait(item):
        time.sleep(3)

    return wait


@dataclass(frozen=True)
class Large(Hostile):
    """Asks for a share of a GPU and memory."""

    name: ClassVar[str] = "large"
    gpus: ClassVar[float] = 0.5
    memory: ClassVar[int] = 200 << 20


@pytest.mark.parametrize(
    ("device", "gpus", "asked"),
    [(None, 1, True), ("cuda", 1, True), ("cuda:0", 1, True), ("cpu", 1, False), (None, 0, False)],
)
def test_no_gpu_is_asked_for_on_cpus(monkeypatch, device, gpus, asked):
    monkeypatch.delenv("THEVAL_DEVICE", raising=False)
    if device is not None:
        monkeypatch.setenv("THEVAL_DEVICE", device)
    there = SimpleNamespace(cluster_resources=lambda: {"CPU": 4.0, "GPU": float(gpus)})
    expected = {"num_cpus": 1, "num_gpus": 0.25} if asked else {"num_cpus": 1}
    # a worker that has a GPU sees no other
    assert device_there(asked) == (device and ("cuda" if asked else device))
    assert demands(there, Resources(gpus=0.25)) == expected
    assert demands(there, Resources()) == {"num_cpus": 1}


def test_addresses_are_for_ray():
    with pytest.raises(InputError, match="ray"):
        engine_of("local", "127.0.0.1:1", 1)
    with pytest.raises(InputError, match="local or ray"):
        engine_of("dask", None, 1)
    chosen = engine_of("ray", "127.0.0.1:1", 3, 7.0)
    assert isinstance(chosen, RayEngine)
    assert (chosen.address, chosen.workers, chosen.time_limit) == ("127.0.0.1:1", 3, 7.0)
    assert engine_of("local", None, None, 7.0) == LocalEngine(default_workers(), 7.0)
