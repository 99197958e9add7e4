import os
from pathlib import Path

import pytest

from theval_datasets.commands.curate import curate
from theval_datasets.curation.sources.base import SourceFailure, SourceFile
from theval_datasets.curation.sources.local import Local
from theval_datasets.errors import InputError, UnsafePathError


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    for name in (
        "b.MP4",
        "a/c.mov",
        "a/d.txt",
        ".hidden.mp4",
        ".git/e.mp4",
        "out/f.mp4",
        "LICENCE",
    ):
        file = root / "clips" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root / "clips"


def test_media_files_are_found_in_order_and_others_counted(folder):
    source = Local(folder, leave_out=[folder / "out"])
    items = list(source.items())
    assert [item.name for item in items] == ["a/c.mov", "b.MP4"]
    assert {item.group for item in items} == {"clips"}
    assert source.skipped() == {".txt": 1, "LICENCE": 1, "hidden": 2}


def test_locations_are_relative_to_the_root(folder):
    items = list(Local(folder, root=folder.parent).items())
    assert items
    assert [item.origin.location for item in items] == [
        "clips/a/c.mov",
        "clips/b.MP4",
        "clips/out/f.mp4",
    ]


def test_a_single_file_is_a_source(folder):
    (item,) = Local(folder / "b.MP4").items()
    assert isinstance(item, SourceFile)
    assert (item.name, item.group) == ("b.MP4", "clips")


def test_a_source_outside_the_root_is_refused(folder, tmp_path):
    with pytest.raises(UnsafePathError, match="not below the root"):
        Local(folder, root=folder / "a")
    with pytest.raises(InputError, match="no file or folder"):
        Local(tmp_path / "nowhere")


def test_a_link_out_of_the_root_is_not_opened(folder, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x")
    (folder / "link.mp4").symlink_to(secret)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    items = {item.name: item for item in Local(folder, root=folder.parent).items()}
    assert isinstance(items["link.mp4"], SourceFailure)
    assert items["link.mp4"].reason == "outside-root"
    assert not any(name.startswith("loop") for name in items)


def test_a_name_that_is_no_text_is_named_all_the_same(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        Path(os.fsdecode(bytes(folder) + b"/caf\xe9.mp4")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system only takes Unicode names")
    (item,) = Local(folder).items()
    assert isinstance(item, SourceFailure)
    assert (item.name, item.reason) == ("caf?.mp4", "bad-name")
    report = curate([str(folder)], tmp_path / "out", workers=1)
    assert report.reasons == {"bad-name": 1}


def test_a_folder_that_cannot_be_read_does_not_stop_the_others(folder, monkeypatch):
    real = Path.iterdir

    def iterdir(self):
        if self.name == "a":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    items = {item.name: item for item in Local(folder).items()}
    assert isinstance(items["b.MP4"], SourceFile)
    assert isinstance(items["a"], SourceFailure)
    assert items["a"].reason == "unreadable"


def test_what_is_no_plain_file_is_refused_when_it_is_opened(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    report = curate([str(folder)], tmp_path / "out", workers=1)
    assert report.reasons == {"missing": 2}
