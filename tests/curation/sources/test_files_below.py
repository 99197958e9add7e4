"""Which files of a folder `score` and `locate` read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from theval_datasets.commands.locate import _recordings
from theval_datasets.commands.score import _files
from theval_datasets.errors import InputError


def listing(command: str, *places: Path) -> list[str]:
    found = _files(list(places)) if command == "score" else list(_recordings(places[0]))
    return [path.relative_to(places[0]).as_posix() for path in found]


@pytest.mark.parametrize("command", ["score", "locate"])
def test_rejected_clips_hidden_files_and_folders_of_frames_are_no_videos(tmp_path, command):
    for name in ("clips/a.mp4", "B.MOV", ".candidates/clips/c.mp4", "clips/._a.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "frames.mp4").mkdir()
    (tmp_path / "frames.mp4/0.jpg").touch()
    assert listing(command, tmp_path) == ["B.MOV", "clips/a.mp4"]


@pytest.mark.parametrize("command", ["score", "locate"])
@pytest.mark.parametrize("kind", ["broken link", "pipe"])
def test_what_is_no_file_is_named_before_anything_is_read(tmp_path, command, kind):
    (tmp_path / "a.mp4").touch()
    place = tmp_path / "b.mp4"
    os.mkfifo(place) if kind == "pipe" else place.symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match=r"b\.mp4 is a broken link or no ordinary file"):
        listing(command, tmp_path)


def test_a_video_that_is_named_twice_counts_once(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    spellings = (tmp_path / "b.mp4", tmp_path / ".." / tmp_path.name / "a.mp4")
    assert listing("score", tmp_path, *spellings) == ["a.mp4", "b.mp4"]
