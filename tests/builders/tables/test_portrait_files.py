"""Folders of portraits: hostile or mistaken ones are refused with every fault in them."""

from __future__ import annotations

import pytest
from PIL import Image

from theval_datasets.builders.tables import portrait_files as _portraits
from theval_datasets.builders.tables.portrait_files import read_portraits
from theval_datasets.errors import InputError


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "portraits"
    place.mkdir()
    Image.new("RGB", (12, 8)).save(place / "anna.png")
    return place


def test_pictures_by_their_names_upright(folder):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.new("RGB", (12, 8)).save(folder / "ben.jpg", exif=turned)
    (folder / "notes.txt").write_text("passed over")
    result = read_portraits(folder)
    assert {name: (item.width, item.height) for name, item in result.items()} == {
        "anna": (12, 8),
        "ben": (8, 12),
    }


def test_every_fault_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(_portraits, "_PIXELS", 100)
    monkeypatch.setattr(_portraits, "_LARGEST", 1000)
    Image.new("RGB", (4, 4)).save(folder / "anna.jpg")
    Image.new("RGB", (11, 10)).save(folder / "large.png")
    (folder / "heavy.png").write_bytes(bytes(1001))
    (folder / "text.png").write_text("no picture")
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError) as refused:
        read_portraits(folder)
    message = str(refused.value)
    assert "'anna' occurs twice" in message
    assert "large.png: has more than 100 pixels" in message
    assert "heavy.png: has more than 1000 bytes" in message
    assert "out.png is a link that leads out" in message
    assert "text.png" in message


def test_a_bomb_is_not_opened(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(InputError, match="exceeds limit"):
        read_portraits(folder)


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match="expected a folder of pictures"):
        read_portraits(tmp_path / "none")
    with pytest.raises(InputError, match="holds no picture"):
        read_portraits(tmp_path)
