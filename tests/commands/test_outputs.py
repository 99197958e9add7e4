"""What commands write replaces nothing of another origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from theval_datasets.commands.import_list import import_list
from theval_datasets.commands.report import report
from theval_datasets.commands.study import study
from theval_datasets.commands.train import train
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import read_manifest, write_manifest

METRIC_FILES = ("README.md", "config.json", "model.safetensors", "predictions.csv")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.mark.parametrize("name", METRIC_FILES)
def test_a_metric_replaces_no_file_of_another_project(tmp_path, name):
    (tmp_path / name).write_text('{"model_type": "bert"}')
    before = contents(tmp_path)
    with pytest.raises(InputError, match=rf"has {name}.*another folder with -o"):
        train(tmp_path / "dataset", tmp_path)
    assert contents(tmp_path) == before


def test_a_metric_replaces_one_of_any_version(tmp_path):
    for name in METRIC_FILES:
        (tmp_path / name).write_text(
            json.dumps({"format_version": 99, "target": "mos", "features": []})
        )
    with pytest.raises(InputError, match="expected the folder of a built dataset"):
        train(tmp_path / "dataset", tmp_path)


def test_other_files_beside_a_metric_are_no_obstacle(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="expected the folder of a built dataset"):
        train(tmp_path / "dataset", tmp_path)


def test_a_metric_is_no_file(tmp_path):
    (tmp_path / "metric").write_text("mine")
    with pytest.raises(InputError, match="got the file"):
        train(tmp_path / "dataset", tmp_path / "metric")


@pytest.mark.parametrize("command", ["report", "study"])
def test_nothing_is_written_into_a_built_dataset(tmp_path, command):
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "info.json").write_text("{}")
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("subject,clip_id,score\na,x,1\na,y,2\nb,x,1\nb,y,3\n")
    before = contents(folder)
    with pytest.raises(InputError, match="folder of a built dataset"):
        report(folder, folder) if command == "report" else study(ratings, output=folder)
    assert contents(folder) == before


def test_an_import_replaces_an_import_and_no_clips(tmp_path):
    table = tmp_path / "list.csv"
    out = tmp_path / "out"
    for address in ("https://example.org/a.mp4", "https://example.org/b.mp4"):
        table.write_text(f"url,start,end\n{address},0,2\n")
        import_list(table, out, form="csv")
    (row,) = read_manifest(out).rows
    assert row.source.location == address
    write_manifest(out / "manifest.jsonl", [replace(row, sha256="a" * 64, path="clips/b.mp4")])
    before = contents(out)
    with pytest.raises(InputError, match="lists clips that were made"):
        import_list(table, out, form="csv")
    assert contents(out) == before
