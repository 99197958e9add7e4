"""Extractors that wait for what they need, and which ones a default run takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from theval_datasets import media as media_module
from theval_datasets.commands.extract import chosen_extractors
from theval_datasets.errors import AbsentError
from theval_datasets.extraction.cache import Cache, spec_of
from theval_datasets.extraction.extractor import Column, Extractor
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.runner import Runner
from theval_datasets.media.frames import FrameRequest
from theval_datasets.utils.files import sha256_file


@dataclass(frozen=True)
class Count(Extractor):
    """Frames; none where it is told that nothing is there."""

    empty: bool = False

    name: ClassVar[str] = "count"
    writes: ClassVar = (Column("n", "int64", (), ""),)
    frames = FrameRequest(pixels=False)

    def open(self, clip, model):
        return _Counting(self.empty)


class _Counting:
    def __init__(self, empty=False):
        self.n, self.empty = 0, empty

    def update(self, batch):
        self.n += len(batch)

    def finish(self):
        if self.empty:
            raise AbsentError("nothing")
        return {"n": np.array(self.n)}, {}


@dataclass(frozen=True)
class Waiting(Extractor):
    """Knows the count before its first frame; may need no frames then."""

    done: bool = False
    empty: bool = False

    name: ClassVar[str] = "waiting"
    second_pass: ClassVar[bool] = True
    writes: ClassVar = (Column("before", "int64", (), ""), Column("n", "int64", (), ""))
    frames = FrameRequest(pixels=False)

    def needs(self):
        return (Count(self.empty),)

    def open(self, clip, model):
        accumulator = _Waited()
        accumulator.before = int(clip.feature(Count(self.empty))["n"])
        accumulator.done = self.done
        return accumulator


class _Waited(_Counting):
    def finish(self):
        return {"before": np.array(self.before), "n": np.array(self.n)}, {}


@dataclass(frozen=True)
class Last(Extractor):
    """A function of one that waited."""

    name: ClassVar[str] = "last"
    writes: ClassVar = (Column("n", "int64", (), ""),)

    def needs(self):
        return (Waiting(),)

    def compute(self, clip, model):
        return {"n": clip.feature(Waiting())["n"] + 1}, {}


@pytest.fixture
def opened(monkeypatch):
    collected = []
    real = media_module.open_video

    def counting(path, **options):
        collected.append(path)
        return real(path, **options)

    monkeypatch.setattr(media_module, "open_video", counting)
    return collected


def process(extractors, path, folder):
    job = ClipJob(path.stem, str(path), sha256_file(path))
    report = Runner(Plan(extractors, str(folder))).process(job)
    cache, decoder = Cache(folder), media_module.decoder_version()
    read = [cache.read(spec_of(e, decoder), job.sha256) for e in extractors]
    return report, [feature.values if feature else None for feature in read]


def test_who_waits_knows_at_the_beginning_and_sees_every_frame(media, tmp_path, opened):
    report, (count, waiting, last) = process((Count(), Waiting(), Last()), media("plain"), tmp_path)
    assert {o.status for o in report.outcomes.values()} == {"ok"}
    assert (int(count["n"]), int(waiting["before"]), int(waiting["n"])) == (50, 50, 50)
    assert int(last["n"]) == 51
    assert len(opened) == 2


def test_what_is_cached_is_not_waited_for(media, tmp_path, opened):
    process((Count(),), media("plain"), tmp_path)
    opened.clear()
    _, (waiting,) = process((Waiting(),), media("plain"), tmp_path)
    assert int(waiting["n"]) == 50
    assert len(opened) == 1


def test_who_needs_no_frames_gets_none(media, tmp_path):
    _, (waiting,) = process((Waiting(done=True),), media("plain"), tmp_path)
    assert (int(waiting["before"]), int(waiting["n"])) == (50, 0)


def test_the_reason_is_handed_on(media, tmp_path):
    report, _ = process((Waiting(empty=True),), media("plain"), tmp_path)
    outcome = report.outcomes["waiting"]
    assert (outcome.status, outcome.reason) == ("empty", "nothing")


def test_a_default_run_leaves_out_what_has_no_weights(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pytest.importorskip("insightface", reason="the extra [faces] is not installed")
    with caplog.at_level("INFO"):
        names = {extractor.name for extractor in chosen_extractors(())}
    assert {"landmarks", "vad", "speech_stats"} <= names
    assert names & {"faces", "arcface", "identity", "person_landmarks", "person_pose"} == set()
    messages = [
        r.getMessage() for r in caplog.records if r.getMessage().startswith("faces is skipped")
    ]
    assert len(messages) == 1
    # Named, it is taken, and falls back where nothing can be fetched.
    (faces,) = chosen_extractors(["faces"])
    assert faces.weights_id().startswith("mediapipe-")


@pytest.mark.real
def test_a_default_run_takes_what_has_weights(shared_data, monkeypatch):
    pytest.importorskip("insightface", reason="the extra [faces] is not installed")
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    names = {extractor.name for extractor in chosen_extractors(())}
    assert {"faces", "arcface", "identity", "person_landmarks", "person_pose"} <= names
