from __future__ import annotations

from pathlib import Path

import pytest

from theval_datasets.commands.diff import diff
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError
from theval_datasets.manifest import info as module
from theval_datasets.manifest.info import (
    FORMAT_VERSION,
    MIGRATIONS,
    ConfigInfo,
    Info,
    SplitInfo,
    migrate,
    parse_version,
    read_info,
    write_info,
)

FORMATS = Path(__file__).resolve().parents[1] / "fixtures" / "formats"


def test_every_format_ever_published_has_a_fixture_and_a_way_here():
    assert [int(p.name) for p in sorted(FORMATS.iterdir())] == list(range(1, FORMAT_VERSION + 1))
    assert set(MIGRATIONS) == set(range(1, FORMAT_VERSION))


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_old_formats_are_read_verified_and_compared(version):
    folder = FORMATS / str(version)
    assert read_info(folder).dataset == "theval/theval"
    report = verify(folder)
    assert report.exit_code == 0, report.to_text()
    assert diff(folder, folder).same


def test_migrations_lead_step_by_step(monkeypatch):
    monkeypatch.setattr(module, "FORMAT_VERSION", 3)
    monkeypatch.setitem(MIGRATIONS, 1, lambda old: {**old, "a": 1, "format_version": 2})
    monkeypatch.setitem(MIGRATIONS, 2, lambda old: {**old, "b": 2, "format_version": 3})
    old = {"format_version": 1}
    assert migrate(old, "x") == {"format_version": 3, "a": 1, "b": 2}
    assert old == {"format_version": 1}
    monkeypatch.setitem(MIGRATIONS, 2, lambda old: old)
    with pytest.raises(RuntimeError, match="does not lead to 3"):
        migrate(old, "x")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({}, "format_version"),
        ([], "format_version"),
        ({"format_version": "1"}, "format_version"),
        ({"format_version": True}, "format_version"),
        ({"format_version": 0}, "no release ever had"),
        ({"format_version": FORMAT_VERSION + 1}, "pip install -U theval-datasets"),
    ],
)
def test_formats_that_cannot_be_read(plain, message):
    with pytest.raises(InputError, match=message):
        migrate(plain, "info.json")


def test_round_trip(tmp_path):
    split = SplitInfo(3, 100, 200, ("features/train-00000-of-00001.parquet",))
    made = Info(
        dataset="theval/x",
        version="1.2.3",
        toolkit="0.1.0",
        configs={"features": ConfigInfo("What it is.", (), {"train": split})},
        files={},
        card_sha256="0" * 64,
        notes=("One.",),
        study={"screen": "bt500", "sd_ddof": 1},
    )
    write_info(tmp_path, made)
    assert read_info(tmp_path) == made
    assert made.name == "x"
    assert made.configs["features"].rows == 3


@pytest.mark.parametrize(("text", "parts"), [("0.1.0", (0, 1, 0)), ("10.20.30", (10, 20, 30))])
def test_versions(text, parts):
    assert parse_version(text) == parts


@pytest.mark.parametrize("text", ["1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", " 1.2.3", "1.2.3\n"])
def test_what_is_no_version(text):
    with pytest.raises(InputError, match="three numbers"):
        parse_version(text)
