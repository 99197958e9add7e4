"""One decode, an outcome for everything, and a cache that decides what is computed."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from theval_datasets import media as media_module
from theval_datasets.engines import limits
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import AbsentError, StorageError, WeightsMissingError
from theval_datasets.extraction import runner as runner_module
from theval_datasets.extraction.cache import Cache, spec_of
from theval_datasets.extraction.extractor import Column, Extractor
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.measure import run_plan
from theval_datasets.extraction.runner import Runner
from theval_datasets.media._pictures import _Converter
from theval_datasets.media._video import Movie
from theval_datasets.media.frames import FrameRequest
from theval_datasets.utils.files import sha256_file


@dataclass(frozen=True)
class Brightness(Extractor):
    """Mean of every frame; counts how often it is set up and opened."""

    fps: float | None = None
    height: int | None = None
    colour: str = "rgb"

    name: ClassVar[str] = "brightness"
    writes: ClassVar = (
        Column("time", "float64", ("frame",), ""),
        Column("mean", "float64", ("frame",), ""),
        Column("shape", "int64", (2,), ""),
    )
    setups: ClassVar[list[str]] = []

    @property
    def frames(self):
        return FrameRequest(self.fps, self.height, self.colour)

    def setup(self):
        Brightness.setups.append("x")

    def open(self, clip, model):
        return _Mean()


class _Mean:
    def __init__(self):
        self.times, self.means, self.shape = [], [], None

    def update(self, batch):
        self.times += batch.times.tolist()
        self.means += [float(frame.mean()) for frame in batch.pixels]
        self.shape = batch.pixels[0].shape

    def finish(self):
        return {
            "time": np.array(self.times),
            "mean": np.array(self.means),
            "shape": np.array(self.shape[:2]),
        }, {}


@dataclass(frozen=True)
class Length(Extractor):
    """Seconds of sound."""

    name: ClassVar[str] = "length"
    writes: ClassVar = (Column("seconds", "float64", (), ""),)
    needs_audio = True

    def compute(self, clip, model):
        return {"seconds": np.array(clip.audio().end)}, {}


@dataclass(frozen=True)
class Both(Extractor):
    """A function of two others; one part is undefined where there is no sound."""

    name: ClassVar[str] = "both"
    writes: ClassVar = (
        Column("frames", "int64", (), ""),
        Column("seconds", "float64", (), "", nullable=True),
    )

    def needs(self) -> Sequence[Extractor]:
        return (Brightness(), Length())

    def compute(self, clip, model):
        frames = np.array(len(clip.feature(Brightness())["time"]))
        try:
            return {"frames": frames, "seconds": clip.feature(Length())["seconds"]}, {}
        except AbsentError as absent:
            return {"frames": frames}, {"seconds": absent.reason}


@dataclass(frozen=True)
class Faulty(Extractor):
    """Fails in the way it is told to."""

    how: str = "raise"

    name: ClassVar[str] = "faulty"
    writes: ClassVar = (Column("x", "float64", (), ""),)
    frames = FrameRequest()

    def weights_id(self):
        if self.how == "weights":
            raise WeightsMissingError("no weights; fetch them")
        return ""

    def open(self, clip, model):
        if self.how == "open":
            raise ValueError("cannot open")
        return self

    def update(self, batch):
        match self.how:
            case "raise":
                raise ZeroDivisionError("a bug")
            case "memory":
                raise MemoryError
            case "loop":
                while True:
                    pass
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)

    def finish(self):
        values = {
            "nan": {"x": np.array(np.nan)},
            "undeclared": {"x": np.array(1.0), "y": np.array(1.0)},
            "dtype": {"x": np.array(1)},
            "lacking": {},
        }
        return values.get(self.how, {"x": np.array(1.0)}), {}


def job(path, **changed) -> ClipJob:
    values = {"clip_id": path.stem, "path": str(path), "sha256": sha256_file(path)}
    return ClipJob(**(values | changed))


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "cache")


def read(cache, extractor, path):
    result = Cache(cache).read(
        spec_of(extractor, media_module.decoder_version()), sha256_file(path)
    )
    assert result is not None
    return result.values


def test_one_decode_serves_all(media, cache, monkeypatch):
    opened = []
    real = media_module.open_video

    def counting(path, **options):
        opened.append(path)
        return real(path, **options)

    monkeypatch.setattr(media_module, "open_video", counting)
    wanted = (Brightness(), Length(), Both())
    path = media("plain")
    report = Runner(Plan(wanted, cache)).process(job(path))
    assert {o.status for o in report.outcomes.values()} == {"ok"}
    assert report.computed == ("brightness", "length", "both")
    assert len(opened) == 1
    assert read(cache, Both(), path)["frames"] == 50
    assert set(report.seconds) == {"decode", "brightness", "length", "both"}


def test_the_next_frames_are_decoded_while_extractors_work(media, cache, monkeypatch):
    batches = []
    real = Movie.frames

    def watched(video, **options):
        for batch in real(video, **options):
            batches.append(batch)
            yield batch

    def waiting(self, batch):
        last = int(batch.indices[-1]) == 49
        deadline = time.monotonic() + 600
        while len(batches) < batch.indices[0] // 16 + 2 and not last:
            assert time.monotonic() < deadline, "nothing is decoded meanwhile"
            time.sleep(0.001)
        plain(self, batch)

    plain = _Mean.update
    monkeypatch.setattr(Movie, "frames", watched)
    monkeypatch.setattr(_Mean, "update", waiting)
    report = Runner(Plan((Brightness(),), cache)).process(job(media("plain")))
    assert report.outcomes["brightness"].status == "ok"
    assert len(batches) == 4
    assert len(read(cache, Brightness(), media("plain"))["time"]) == 50


def test_a_second_run_computes_nothing(media, cache):
    plan = Plan((Brightness(), Both()), cache)
    Runner(plan).process(job(media("plain")))
    runner = Runner(plan)
    again = runner.process(job(media("plain")))
    assert again.computed == ()
    assert runner.store.report(job(media("plain"))) == again
    assert runner.store.report(job(media("plain"), trusted=False)) is None
    assert runner.store.report(job(media("vfr"))) is None


def test_a_changed_function_decodes_nothing(media, cache, monkeypatch):
    Runner(Plan((Both(),), cache)).process(job(media("plain")))
    monkeypatch.setattr(Both, "version", 2)
    monkeypatch.setattr(media_module, "open_video", None)
    monkeypatch.setattr(media_module, "read_audio", None)
    report = Runner(Plan((Both(),), cache)).process(job(media("plain")))
    assert report.computed == ("both",)
    assert report.outcomes["both"].status == "ok"


def test_frames_are_shared_by_size_and_colour(media, cache):
    path = media("plain")
    small = Brightness(height=60)
    gray = Brightness(colour="gray", fps=5.0)
    Runner(Plan((Brightness(), small, gray), cache)).process(job(path))
    whole = read(cache, Brightness(), path)
    assert read(cache, small, path)["shape"].tolist() == [60, 80]
    assert read(cache, small, path)["mean"] == pytest.approx(whole["mean"], abs=2)
    assert len(read(cache, gray, path)["time"]) == 10
    assert read(cache, gray, path)["time"] == pytest.approx(np.arange(10) / 5)


def test_only_frames_that_are_looked_at_are_converted(media, cache, monkeypatch):
    converted = {"shown": 0, "small": 0}

    def counted(how, real):
        def convert(*given):
            converted[how] += 1
            return real(*given)

        return convert

    for how in converted:
        monkeypatch.setattr(_Converter, how, counted(how, getattr(_Converter, how)))
    wanted = (Brightness(height=60, colour="bgr"), Brightness(fps=5.0), Brightness(2.5, 60, "bgr"))
    report = Runner(Plan(wanted, cache)).process(job(media("plain")))
    assert {o.status for o in report.outcomes.values()} == {"ok"}
    assert converted == {"shown": 10, "small": 50}


def test_values_do_not_depend_on_who_else_looks(media, tmp_path):
    path = media("plain")
    every, some = Brightness(height=60, colour="bgr"), Brightness(5.0, 60, "bgr")
    alone, shared = str(tmp_path / "alone"), str(tmp_path / "shared")
    Runner(Plan((every,), alone)).process(job(path))
    Runner(Plan((some,), alone)).process(job(path))
    Runner(Plan((Brightness(), some, every), shared)).process(job(path))
    for extractor in (every, some):
        first, second = read(alone, extractor, path), read(shared, extractor, path)
        assert first["mean"].tolist() == second["mean"].tolist()


def test_a_sparse_run_alone_gives_what_a_shared_pass_gives(media, tmp_path):
    path = media("vfr")
    sparse = Brightness(fps=2.0)
    alone, shared = str(tmp_path / "alone"), str(tmp_path / "shared")
    Runner(Plan((sparse,), alone)).process(job(path))
    Runner(Plan((sparse, Brightness()), shared)).process(job(path))
    first, second = read(alone, sparse, path), read(shared, sparse, path)
    assert len(first["time"]) == 4
    for name in first:
        assert first[name].tolist() == second[name].tolist()


def test_nothing_in_the_media_is_empty_with_its_reason(media, cache):
    report = Runner(Plan((Brightness(), Length(), Both()), cache)).process(job(media("no_audio")))
    assert report.outcomes["length"].status == "empty"
    assert report.outcomes["length"].reason == "no-audio"
    assert report.outcomes["both"].status == "ok"
    assert report.outcomes["both"].missing == {"seconds": "no-audio"}
    silent = Runner(Plan((Length(),), cache)).process(job(media("silent")))
    assert silent.outcomes["length"].reason == "digital-silence"


@pytest.mark.parametrize(
    ("name", "reason"), [("text", "not-media"), ("zero_frames", "zero-frames")]
)
def test_broken_media_fails_everything_and_is_remembered(media, cache, name, reason):
    plan = Plan((Brightness(), Both()), cache)
    report = Runner(plan).process(job(media(name)))
    assert [o.reason for o in report.outcomes.values()] == [reason, reason]
    assert [o.status for o in report.outcomes.values()] == ["failed", "failed"]
    assert Runner(plan).process(job(media(name))).computed == ()


def test_sound_without_a_picture(media, cache):
    report = Runner(Plan((Brightness(), Length()), cache)).process(job(media("wav")))
    assert (report.outcomes["brightness"].status, report.outcomes["brightness"].reason) == (
        "empty",
        "no-video",
    )
    assert report.outcomes["length"].status == "ok"


def test_a_truncated_clip_is_measured_and_says_so(media, cache):
    report = Runner(Plan((Brightness(),), cache)).process(job(media("truncated")))
    assert report.outcomes["brightness"].status == "ok"
    assert report.outcomes["brightness"].detail
    assert 5 < len(read(cache, Brightness(), media("truncated"))["time"]) < 50


@pytest.mark.parametrize("how", ["raise", "open", "nan", "undeclared", "dtype", "lacking"])
def test_a_fault_in_one_extractor_stops_no_other(media, cache, how, errors_expected):
    plan = Plan((Faulty(how), Brightness()), cache)
    report = Runner(plan).process(job(media("plain")))
    assert report.outcomes["brightness"].status == "ok"
    assert (report.outcomes["faulty"].status, report.outcomes["faulty"].reason) == (
        "failed",
        "error",
    )
    # A bug may be gone in the next run: nothing is remembered.
    assert Runner(plan).process(job(media("plain"))).computed == ("faulty",)


@pytest.mark.parametrize(
    ("how", "reason"), [("weights", "weights-missing"), ("memory", "out-of-memory")]
)
def test_what_the_machine_lacks_is_not_remembered(media, cache, how, reason):
    plan = Plan((Faulty(how), Brightness()), cache)
    report = Runner(plan).process(job(media("plain")))
    assert report.outcomes["faulty"].reason == reason
    assert report.outcomes["brightness"].status == "ok"
    well = Runner(Plan((Faulty("well"),), cache)).process(job(media("plain")))
    assert well.outcomes["faulty"].status == "ok"


def test_a_file_that_is_not_the_manifests(media, cache, tmp_path):
    plan = Plan((Length(),), cache)
    other = Runner(plan).process(job(media("plain"), sha256="0" * 64, trusted=False))
    assert other.outcomes["length"].reason == "changed"
    gone = Runner(plan).process(ClipJob("x", str(tmp_path / "x.mp4"), "0" * 64))
    assert gone.outcomes["length"].reason == "missing"
    assert {o.status for o in (other.outcomes["length"], gone.outcomes["length"])} == {"failed"}


def test_a_damaged_entry_is_computed_again(media, cache, tmp_path, caplog):
    path = media("plain")
    Runner(Plan((Both(),), cache)).process(job(path))
    (entry,) = (tmp_path / "cache" / "brightness").rglob("*.feature")
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")
    (derived,) = (tmp_path / "cache" / "both").rglob("*.feature")
    whole = derived.read_bytes()
    derived.unlink()
    report = Runner(Plan((Both(),), cache)).process(job(path))
    assert report.computed == ("brightness", "both")
    assert "damaged" in caplog.text
    assert derived.read_bytes() == whole


def test_a_full_disk_loses_nothing(media, cache, monkeypatch):
    from theval_datasets.utils import files

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    plan = Plan((Brightness(), Both()), cache)
    with monkeypatch.context() as context:
        context.setattr(files.os, "fsync", full)
        with pytest.raises(StorageError, match=f"{cache}.*No space left"):
            Runner(plan).process(job(media("plain")))
    again = Runner(plan).process(job(media("plain")))
    assert {o.status for o in again.outcomes.values()} == {"ok"}


@dataclass(frozen=True)
class OnFullDisk(Brightness):
    """Needs room for a file of its own, at one of three moments."""

    moment: str = "finish"
    name: ClassVar[str] = "on_full_disk"

    def setup(self):
        if self.moment == "setup":
            raise OSError(errno.ENOSPC, "No space left on device", "/full/model")

    def open(self, clip, model):
        return _Full(self.moment)


class _Full(_Mean):
    def __init__(self, moment):
        super().__init__()
        self.moment = moment

    def update(self, batch):
        if self.moment == "update":
            raise StorageError("/full/part cannot be written")

    def finish(self):
        raise OSError(errno.EROFS, "Read-only file system", "/full/values")


@pytest.mark.parametrize("moment", ["setup", "update", "finish"])
def test_no_clip_is_blamed_for_a_full_disk(media, cache, moment):
    with pytest.raises(StorageError, match="/full/"):
        Runner(Plan((OnFullDisk(moment=moment),), cache)).process(job(media("plain")))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cache_that_cannot_be_used_ends_the_run_with_its_name(media, tmp_path, workers):
    from theval_datasets.extraction.store import FeatureStore
    from theval_datasets.features.audio_levels import AudioLevels

    (tmp_path / "file").touch()
    cache = str(tmp_path / "file" / "cache")
    jobs = [replace(job(media(name)), trusted=False) for name in ("plain", "vfr", "silent")]
    with pytest.raises(StorageError, match=cache):
        list(run_plan(LocalEngine(workers), jobs, Plan((AudioLevels(),), cache)))
    store = FeatureStore((AudioLevels(),), cache)
    with pytest.raises(StorageError, match="cannot be read"):
        store.read("audio_levels", jobs[0].sha256)
    with pytest.raises(StorageError, match="cannot be read"):
        store.report(job(media("plain")))


def test_workers_give_what_one_process_gives(media, tmp_path):
    from theval_datasets.features.vad import Vad

    jobs = [job(media(name)) for name in ("plain", "no_audio", "text", "vfr", "silent")]
    files = {}
    for size in (0, 2):
        location = tmp_path / str(size)
        reports = list(run_plan(LocalEngine(size), jobs, Plan((Vad(),), str(location))))
        assert sorted(r.clip_id for r in reports) == sorted(j.clip_id for j in jobs)
        entries = sorted(p for p in location.rglob("*.feature"))
        files[size] = {p.name: p.read_bytes() for p in entries}
    assert len(files[0]) == 5
    assert files[0] == files[2]


def test_a_worker_that_dies_costs_its_clip_alone(media, cache, caplog):
    jobs = [job(media(name)) for name in ("plain", "vfr", "no_audio")]
    reports = {r.clip_id: r for r in run_plan(LocalEngine(2), jobs, Plan((Faulty("die"),), cache))}
    assert {r.outcomes["faulty"].reason for r in reports.values()} == {"worker-lost"}
    assert len(reports) == 3
    assert caplog.text.count("ended with code -9") == 6


def test_a_clip_that_never_ends_costs_itself_alone(media, cache, monkeypatch):
    monkeypatch.setattr(limits, "_LEAST_TIME", 4.0)
    plan = Plan((Faulty("loop"),), cache)
    (report,) = run_plan(LocalEngine(1, time_limit=1.0), [job(media("plain"))], plan)
    assert report.outcomes["faulty"].reason == "timeout"
    assert not list(Path(cache).rglob("*.feature"))


def test_what_a_clip_took_is_given_back_however_it_ends(media, cache, monkeypatch):
    given: list[None] = []
    monkeypatch.setattr(runner_module, "give_back", lambda: given.append(None))
    runner = Runner(Plan((Brightness(),), cache))
    for count, name in enumerate(("plain", "zero_frames"), start=1):
        runner.process(job(media(name)))
        assert len(given) == count


def test_models_load_once(media, cache):
    Brightness.setups.clear()
    runner = Runner(Plan((Brightness(),), cache))
    for name in ("plain", "vfr", "late_audio"):
        runner.process(job(media(name)))
    assert len(Brightness.setups) == 1


def test_other_bytes_of_the_same_size_and_time_are_not_stored(media, cache, tmp_path):
    """A manifest's hash is checked before anything is stored under it."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(media("plain").read_bytes())
    honest = job(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    report = Runner(Plan((Brightness(),), cache)).process(honest)
    assert report.outcomes["brightness"].reason == "changed"
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.feature"))


def test_a_decoder_that_fails_in_any_way_costs_pictures_alone(
    media, cache, monkeypatch, errors_expected
):
    """Whatever decoding raises, features of the sound are computed, and no worker dies."""

    def broken(self, **wanted):
        raise ValueError("a fault that nobody foresaw")
        yield

    monkeypatch.setattr(media_module._video.Movie, "frames", broken)
    report = Runner(Plan((Brightness(), Length()), cache)).process(job(media("plain")))
    assert report.outcomes["brightness"].reason == "error"
    assert "nobody foresaw" in str(report.outcomes["brightness"].detail)
    assert report.outcomes["length"].status == "ok"


def test_whatever_a_clip_raises_becomes_its_outcomes(media, cache, monkeypatch, errors_expected):
    from theval_datasets.extraction import runner as module

    class Unlucky:
        def __init__(self, *parts):
            raise RuntimeError("unlucky")

    monkeypatch.setattr(module, "ClipRun", Unlucky)
    report = Runner(Plan((Brightness(), Length()), cache)).process(job(media("plain")))
    assert {item.reason for item in report.outcomes.values()} == {"error"}
