"""Whatever one file does, it becomes a row with a reason, and the others become clips."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image

from theval_datasets import media as reading
from theval_datasets.commands.curate import CurateReport
from theval_datasets.curation.filters.base import keep
from theval_datasets.curation.filters.duration import Duration
from theval_datasets.curation.filters.near_duplicates import NearDuplicates
from theval_datasets.curation.pipeline import candidate_store, finish
from theval_datasets.curation.pipeline.curate import CurateOptions, curate
from theval_datasets.curation.recipes.recipe import load_recipe, parse_recipe
from theval_datasets.curation.segmentation.spans import Span
from theval_datasets.curation.sources.local import Local
from theval_datasets.curation.tasks import BROKEN_RUN, Failure, Tasks, failure_of
from theval_datasets.engines import limits
from theval_datasets.engines.local import LocalEngine, ThisProcess
from theval_datasets.engines.messages import WorkerLost
from theval_datasets.errors import InputError, NotMediaError, StorageError, UnsafePathError
from theval_datasets.manifest.rows import read_manifest

AS_IS = load_recipe("as-is")
WHOLE = parse_recipe("name: w\nabout: Whole.\nfilters: {duration: {min_seconds: 1}}\n", "w.yaml")
SPANS = parse_recipe(
    "name: s\nabout: Spans.\ncut: spans\nfilters: {duration: {min_seconds: 0.1}}\n", "s.yaml"
)
ERRORS = [
    (av.InvalidDataError(1, "invalid data"), "error"),
    (PermissionError(errno.EACCES, "Permission denied"), "unreadable"),
    (MemoryError(), "out-of-memory"),
    (RuntimeError("from a library"), "error"),
    (RecursionError("too deep"), "error"),
    (Image.DecompressionBombError("a bomb"), "error"),
    (NotMediaError("it is text"), "not-media"),
    (UnsafePathError("it leads out"), "unsafe"),
]


@pytest.fixture
def folder(media, tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for name in ("bad", "good"):
        shutil.copy2(media("plain"), place / f"{name}.mp4")
    with (place / "bad.mp4").open("ab") as stream:
        stream.write(bytes(8))  # other content, so that it is no copy of the other
    return place


def run(folder, recipe):
    """A run in this process, where what fails can be chosen."""
    out = folder.parent / "out"
    result = curate(
        [Local(folder)], recipe, out, CurateOptions(str(folder.parent / "cache"), LocalEngine(0))
    )
    rows = {row.clip_id: row for row in (*result.kept, *result.rejected)}
    report = CurateReport(out, len(result.kept), 0, 0, result.rejected, {})
    return rows, report.exit_code


def failing(real, error):
    """A function that fails on the bad file."""

    def step(path, *rest, **options):
        if "bad" in Path(path).name:
            raise error
        return real(path, *rest, **options)

    return step


@pytest.mark.parametrize(("error", "reason"), ERRORS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("recipe", [AS_IS, WHOLE], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("step", ["probe", "middle", "write_mono"])
def test_any_error_of_one_file_is_its_row(
    folder, monkeypatch, errors_expected, step, recipe, error, reason
):
    module = reading if step == "probe" else finish
    with monkeypatch.context() as patched:
        patched.setattr(module, step, failing(getattr(module, step), error))
        rows, exit_code = run(folder, recipe)
    assert (rows["bad"].reason, rows["bad"].path) == (reason, None)
    assert rows["good"].reason is None
    assert exit_code == (reason in ("error", "unreadable", "out-of-memory"))
    out = folder.parent / "out"
    assert not [p for p in out.rglob("*") if "bad" in p.name or "part" in p.name]
    rows, exit_code = run(folder, recipe)
    again = reason in ("not-media", "unsafe") and recipe is AS_IS
    assert rows["bad"].reason == (reason if again else None)
    assert exit_code == 0


def test_any_error_in_cutting_is_a_row(folder, monkeypatch, errors_expected):
    def spans(shots, faces, vad, rule):
        return [Span(0, 20, 0.0, 0.8)], []

    with monkeypatch.context() as patched:
        patched.setattr("theval_datasets.curation.pipeline.segments.find_spans", spans)
        patched.setattr(
            candidate_store, "cut", failing(candidate_store.cut, RuntimeError("of ffmpeg"))
        )
        rows, exit_code = run(folder, SPANS)
    assert {name: row.reason for name, row in rows.items()} == {
        "bad-0-800": "error",
        "good-0-800": None,
    }
    assert exit_code == 1


@pytest.mark.parametrize("failure", ["an exception", "a verdict too few"])
@pytest.mark.parametrize("on_undecided", ["reject", "keep"])
def test_a_filter_of_the_whole_set_that_fails_is_named_and_loses_no_clip(
    folder, monkeypatch, errors_expected, on_undecided, failure
):
    def judge(self, clips, references=()):
        if failure == "an exception":
            raise ZeroDivisionError
        return [keep()] * (len(clips) - 1)

    monkeypatch.setattr(NearDuplicates, "judge", judge)
    recipe = parse_recipe(
        f"name: d\nabout: No copies.\non_undecided: {on_undecided}\nfilters: {{near_duplicates: {{}}}}\n",
        "d.yaml",
    )
    output = folder.parent / "out"
    options = CurateOptions(str(folder.parent / "cache"), LocalEngine(0))
    result = curate([Local(folder)], recipe, output, options)
    rows = [*result.kept, *result.rejected]
    assert len(rows) == 2
    judged = [
        record for row in rows for record in row.judgements if record.filter == "near_duplicates"
    ]
    assert [(judgement.verdict, judgement.reason) for judgement in judged] == [
        ("undecided", "error")
    ] * 2
    assert len(result.kept) == (2 if on_undecided == "keep" else 0)
    assert result.failed_filters == ("near_duplicates",)
    assert any("near_duplicates failed" in note for note in result.notes)
    report = CurateReport(
        output, len(result.kept), 0, 0, result.rejected, {}, failed_filters=result.failed_filters
    )
    assert report.exit_code == 1
    assert replace(report, failed_filters=(), rejected=(), kept=2).exit_code == 0


def test_any_error_of_a_filter_is_a_row(folder, monkeypatch, errors_expected):
    real = Duration.judge

    def judge(self, clip, features):
        if clip.clip_id == "bad":
            raise ZeroDivisionError
        return real(self, clip, features)

    monkeypatch.setattr(Duration, "judge", judge)
    rows, exit_code = run(folder, WHOLE)
    assert (rows["bad"].reason, rows["good"].reason, exit_code) == ("error", None, 1)


@pytest.mark.parametrize("recipe", [AS_IS, WHOLE], ids=lambda recipe: recipe.name)
def test_a_crash_is_the_row_of_the_file_that_causes_it(folder, monkeypatch, recipe):
    real = ThisProcess.map

    def crashing(self, items, **how):
        items = list(items)
        bad = [item for item in items if "bad" in str(item)]
        for item in bad:
            yield item, WorkerLost(-6)
        yield from real(self, [item for item in items if item not in bad], **how)

    monkeypatch.setattr(ThisProcess, "map", crashing)
    rows, exit_code = run(folder, recipe)
    assert (rows["bad"].reason, exit_code) == ("worker-lost", 1)
    assert "-6" in str(rows["bad"].judgements[0].measured)


def test_a_full_disk_is_the_fault_of_no_file(folder, monkeypatch):
    error = OSError(errno.ENOSPC, "No space left on device", str(folder.parent / "out/clips"))
    monkeypatch.setattr(finish, "link_or_copy", failing(finish.link_or_copy, error))
    with pytest.raises(StorageError, match=r"out/clips cannot be written: No space left"):
        run(folder, AS_IS)
    assert not (folder.parent / "out/manifest.jsonl").exists()
    monkeypatch.undo()
    rows, _ = run(folder, AS_IS)
    assert [row.reason for row in rows.values()] == [None, None]
    assert len(read_manifest(folder.parent / "out")) == 2


def test_a_folder_that_cannot_be_written_to_is_the_fault_of_no_file(folder):
    (folder.parent / "out").mkdir()
    (folder.parent / "out/clips").touch()
    with pytest.raises(StorageError, match=r"out/clips/.* cannot be written"):
        run(folder, AS_IS)


# the tasks themselves


def work(item):
    match item:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "error":
            raise KeyError("a bug")
        case "input":
            raise InputError("the recipe is wrong")
        case "loop":
            while True:
                pass
    return item.upper()


def test_tasks_survive_errors_and_crashes(caplog, errors_expected):
    with Tasks(LocalEngine(2)) as tasks:
        results = dict(tasks.run(work, ["a", "crash", "error", "b"], "test", path=Path))
    assert (results["a"], results["b"]) == ("A", "B")
    assert isinstance(results["crash"], Failure)
    assert results["crash"].reason == "worker-lost"
    assert isinstance(results["error"], Failure)
    assert results["error"].reason == "error"
    assert "Traceback" in caplog.text
    assert "a bug" in caplog.text


def test_a_task_that_loops_is_a_failure_and_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_LEAST_TIME", 2.0)
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(1 << 30)  # the other item may take as long as it needs
    with Tasks(LocalEngine(1)) as tasks:
        results = dict(
            tasks.run(
                work,
                ["loop", "a"],
                None,
                path=lambda item: tmp_path / ("short" if item == "loop" else "long"),
            )
        )
    assert results["a"] == "A"
    assert isinstance(results["loop"], Failure)
    assert results["loop"].reason == "timeout" in BROKEN_RUN
    assert "--time-limit" in results["loop"].detail


def test_what_no_item_is_to_blame_for_ends_the_run():
    with Tasks(LocalEngine(1)) as tasks, pytest.raises(InputError, match="recipe is wrong"):
        list(tasks.run(work, ["input", "a"], "test", path=Path))


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/full"), StorageError),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), StorageError),
        (OSError(errno.EROFS, "Read-only file system"), StorageError),
        (StorageError("No space left"), StorageError),
        (InputError("a wrong option"), InputError),
        (OSError(errno.EIO, "Input/output error"), None),
        (PermissionError(errno.EACCES, "Permission denied"), None),
    ],
)
def test_which_errors_of_the_system_end_a_run(error, fatal):
    failure = failure_of(error)
    assert failure.fatal is fatal
    assert getattr(error, "strerror", str(error)) in failure.detail
