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
from typing import ClassVar

import pytest

from theval_datasets.commands.extract import extract
from theval_datasets.errors import InputError, StorageError
from theval_datasets.extraction.engines.local import LocalEngine
from theval_datasets.extraction.engines.ray import RayEngine
from theval_datasets.extraction.extractor import Column, Extractor
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.features.vad import Vad
from theval_datasets.utils import workers
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
    reports = list(LocalEngine(2).run(jobs, Plan((ThevalSignals(),), str(folder))))
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
        for report in RayEngine(2, cluster.address).run(jobs, plan):
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


def test_the_command_runs_on_ray_as_on_processes(sample, tmp_path):
    from theval_datasets.commands.curate import curate

    videos = next(iter(sample.values())).parent
    curate([str(videos)], tmp_path / "work", root=videos.parent)
    for engine in ("local", "ray"):
        report = extract(
            tmp_path / "work", features=["vad"], cache=str(tmp_path / engine), engine=engine,
            workers=2,
        )  # fmt: skip
        assert report.clips == len(sample)
    assert entries(tmp_path / "ray") == entries(tmp_path / "local")


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
    monkeypatch.setattr(workers, "_LEAST_TIME", 5.0)
    looping = Plan((Hostile(),), str(tmp_path / "cache"))
    reports = list(RayEngine(2, time_limit=0.1).run(jobs[:3], looping))
    assert [one.outcomes["hostile"].reason for one in reports] == ["timeout"] * 3
    full = Plan((Hostile(full=True),), str(tmp_path / "cache"))
    with pytest.raises(StorageError, match="/full/part cannot be written"):
        list(RayEngine(1).run(jobs[:3], full))


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


def test_addresses_are_for_ray(tmp_path, jobs):
    from theval_datasets.commands.extract import _engine

    with pytest.raises(InputError, match="ray"):
        _engine("local", "127.0.0.1:1", 1)
    with pytest.raises(InputError, match="local or ray"):
        _engine("dask", None, 1)
    assert isinstance(_engine("ray", None, 1), RayEngine)
    assert Vad().name == "vad"
