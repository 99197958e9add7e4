from __future__ import annotations

import contextlib
import random
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.utils import archives
from theval_datasets.utils.archives import extract, files_of

SUFFIXES = (".png", ".txt")


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "a\\evil.png", "C:evil.png"]
)
def test_no_member_of_an_archive_leads_out(tmp_path, name):
    path = zipped(tmp_path / "x.zip", {"fine.png": b"1", name: b"2"})
    with pytest.raises(UnsafePathError, match="leads out"):
        extract(path, tmp_path / "there", SUFFIXES)
    with pytest.raises(UnsafePathError, match="leads out"):
        files_of(path, (".png",))
    assert not (tmp_path / "there").exists()


CONTRADICTIONS = {
    "a file that is a folder too": (
        {"a.png": b"1", "a.png/b.png": b"2"},
        "is a file, and a folder",
    ),
    "the same path twice": ({"a/b.png": b"1", "a/./b.png": b"2"}, "twice"),
    "a name too long": ({"x" * 296 + ".png": b"1"}, "a name of 300"),
    "a path too long": ({"x/" * 600 + "a.png": b"1"}, "a path of 1205 bytes"),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_members_that_no_folder_can_hold(tmp_path, kind):
    members, message = CONTRADICTIONS[kind]
    path = zipped(tmp_path / "x.zip", {"fine.png": b"1"} | members)
    with pytest.raises(UnsafePathError, match=message):
        extract(path, tmp_path / "there", SUFFIXES)
    assert not (tmp_path / "there").exists()


def test_the_longest_name_that_can_be_held(tmp_path):
    name = "x" * 251 + ".png"
    (made,) = extract(zipped(tmp_path / "x.zip", {name: b"1"}), tmp_path / "there", SUFFIXES)
    assert made.name == name


def test_a_folder_stands_where_a_file_is_to_be(tmp_path):
    (tmp_path / "there" / "b.png").mkdir(parents=True)
    path = zipped(tmp_path / "x.zip", {"a.png": b"1", "b.png": b"2"})
    with pytest.raises(InputError, match=r"is a folder, but x\.zip holds a file of that name"):
        extract(path, tmp_path / "there", SUFFIXES)
    assert not (tmp_path / "there" / "a.png").exists()


def test_members_that_share_their_bytes_are_a_bomb_too(tmp_path, monkeypatch):
    members = {f"{i}.png": bytes(900_000) for i in range(40)}
    with pytest.raises(InputError, match=r"unpacks to 36000000 bytes; at most"):
        extract(zipped(tmp_path / "x.zip", members), tmp_path / "there", SUFFIXES)


def test_damage_of_any_kind_is_a_sentence(tmp_path):
    path = zipped(tmp_path / "x.zip", {"ä/b.png": bytes(range(256)) * 9, "c.png": b"c" * 99})
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    chance = random.Random(7)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 2, 4])):
            damaged[chance.randrange(directory, len(whole))] = chance.choice([0, 255, 47, 46])
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            extract(path, tmp_path / "there", SUFFIXES)
            continue
        refused += 1
    assert 100 < refused < 400


def test_links_bombs_and_doubles_are_refused(tmp_path, monkeypatch):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafePathError, match="is a link"):
        extract(tmp_path / "link.zip", tmp_path / "there", SUFFIXES)
    bomb = zipped(tmp_path / "bomb.zip", {"zeros.png": bytes(4 << 20)})
    with pytest.raises(UnsafePathError, match="unpacks to"):
        extract(bomb, tmp_path / "there", SUFFIXES)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.png", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", "2")
    with pytest.raises(UnsafePathError, match="twice"):
        extract(tmp_path / "two.zip", tmp_path / "there", SUFFIXES)
    monkeypatch.setattr(archives, "LARGEST_TOTAL", 3)
    with pytest.raises(InputError, match="at most 3"):
        extract(
            zipped(tmp_path / "big.zip", {"a": b"12", "b": b"34"}), tmp_path / "there", SUFFIXES
        )
    (tmp_path / "no.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match="not a zip"):
        extract(tmp_path / "no.zip", tmp_path / "there", SUFFIXES)
    assert not (tmp_path / "there").exists()


def test_an_archive_is_unpacked_whole(tmp_path):
    path = zipped(
        tmp_path / "x.zip",
        {"a/b.png": b"1", "c.txt": b"2", "__MACOSX/a/._b.png": b"x", ".DS.txt": b"", "d.exe": b"3"},
    )
    made = extract(path, tmp_path / "there", SUFFIXES)
    assert {p.relative_to(tmp_path / "there").as_posix(): p.read_bytes() for p in made} == {
        "a/b.png": b"1", "c.txt": b"2",
    }  # fmt: skip


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"s")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    (folder / "b.png").write_bytes(b"b")
    assert [f.name for f in files_of(folder, (".png",))] == ["b.png"]


def test_what_is_there_is_not_written_again(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a.png": b"one", "b.png": b"two"})
    first, second = extract(path, tmp_path / "there", SUFFIXES)
    before = [first.stat().st_ino, second.stat().st_ino]
    second.write_bytes(b"tow")  # as long, and damaged
    extract(path, tmp_path / "there", SUFFIXES)
    assert first.stat().st_ino == before[0]
    assert second.read_bytes() == b"two"


def test_a_disk_without_room(tmp_path, monkeypatch):
    path = zipped(tmp_path / "x.zip", {"a.png": b"12345"})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=4))
    with pytest.raises(InputError, match=r"5 bytes, but .* room for 4: choose"):
        extract(path, tmp_path / "there", SUFFIXES)
    assert not (tmp_path / "there").exists()


def test_a_damaged_member(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a.png": bytes(range(256)) * 40})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    (file,) = files_of(path, SUFFIXES)
    with pytest.raises(InputError, match=r"a\.png in x\.zip cannot be read"):
        file.read()
    with pytest.raises(InputError, match="cannot be read"):
        extract(path, tmp_path / "there", SUFFIXES)
    assert not list((tmp_path / "there").iterdir())
