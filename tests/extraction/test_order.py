"""The order in which clips are handed to workers."""

from __future__ import annotations

from theval_datasets.extraction.jobs import ClipJob
from theval_datasets.extraction.measure import longest_first


def test_large_files_come_first_and_missing_ones_last(tmp_path):
    jobs = []
    for name, size in (("b", 10), ("a", 300), ("c", 10)):
        (tmp_path / name).write_bytes(bytes(size))
        jobs.append(ClipJob(name, str(tmp_path / name), "0" * 64))
    jobs.insert(0, ClipJob("gone", str(tmp_path / "gone"), "0" * 64))
    assert [job.clip_id for job in longest_first(jobs)] == ["a", "b", "c", "gone"]
