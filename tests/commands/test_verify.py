from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_factory import DECODER, small_corpus

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError, UnknownNameError

FEATURES = "features/train-00000-of-00001.parquet"
LANDMARKS = "landmarks/train-00000-of-00001.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = small_corpus(tmp_path / "corpus")
    inputs = Inputs(corpus.manifest, corpus.cache)
    return write_release(Theval, inputs, tmp_path / "out", decoder=DECODER).folder


def faults(folder: Path, **options) -> dict[str, str]:
    report = verify(folder, **options)
    by_name = {check.name: check.detail for check in report.checks if not check.ok}
    assert report.exit_code == int(bool(by_name))
    return by_name


def sign(folder: Path) -> None:
    """Make `info.json` vouch for the files as they are now."""
    info = json.loads((folder / "info.json").read_text())
    for name in info["files"]:
        data = (folder / name).read_bytes()
        info["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
    info["card_sha256"] = info["files"]["README.md"]["sha256"]
    for config in info["configs"].values():
        for split in config["splits"].values():
            split["n_bytes"] = sum(info["files"][name]["n_bytes"] for name in split["files"])
    (folder / "info.json").write_text(json.dumps(info))


def change(folder: Path, name: str, alter) -> None:
    """Rewrite a Parquet file after `alter(table)`, and sign it."""
    path = folder / name
    pq.write_table(alter(pq.read_table(path)), path)
    sign(folder)


def put(column: str, row: int, value):
    def alter(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        field = table.schema.field(column)
        at = table.schema.get_field_index(column)
        return table.set_column(at, field, pa.array(values, type=field.type))

    return alter


def change_info(folder: Path, alter) -> None:
    info = json.loads((folder / "info.json").read_text())
    alter(info)
    (folder / "info.json").write_text(json.dumps(info))


def test_a_good_release_passes(folder):
    report = verify(folder)
    assert [check.name for check in report.checks] == [
        "files", "schema", "counts", "values", "ids", "manifest", "card", "load",
    ]  # fmt: skip
    assert report.exit_code == 0, report.to_text()
    assert report.to_plain()["ok"] is True


def test_what_is_no_release(tmp_path):
    with pytest.raises(InputError, match="not a built dataset"):
        verify(tmp_path)
    (tmp_path / "info.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        verify(tmp_path)
    (tmp_path / "info.json").write_text('{"format_version": 99}')
    with pytest.raises(InputError, match="Upgrade"):
        verify(tmp_path)
    (tmp_path / "info.json").write_text('{"format_version": 1, "colour": "red"}')
    with pytest.raises(InputError, match="colour"):
        verify(tmp_path)


def test_one_bit(folder):
    data = bytearray((folder / FEATURES).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / FEATURES).write_bytes(data)
    assert "hash differs" in faults(folder)["files"]


def test_a_truncated_file(folder):
    (folder / FEATURES).write_bytes((folder / FEATURES).read_bytes()[:-1])
    assert "bytes" in faults(folder)["files"]


def test_a_file_that_is_gone(folder):
    (folder / LANDMARKS).unlink()
    assert "not there" in faults(folder)["files"]


def test_a_file_too_many(folder):
    (folder / "features" / "train-00001-of-00001.parquet").write_bytes(b"PAR1")
    assert "not listed" in faults(folder)["files"]


def test_a_path_out_of_the_folder(folder):
    def alter(info):
        info["files"]["../../secret"] = {"sha256": "0" * 64, "n_bytes": 1}

    change_info(folder, alter)
    assert "UnsafePathError" in faults(folder)["files"]


def test_signed_rubbish_is_not_parquet(folder, errors_expected):
    (folder / FEATURES).write_bytes(b"PAR1 this is not Parquet PAR1")
    sign(folder)
    assert "schema" in faults(folder)


def test_another_type(folder):
    def alter(table):
        at = table.schema.get_field_index("width")
        return table.set_column(at, "width", table["width"].cast(pa.float32()))

    change(folder, FEATURES, alter)
    assert "width is Value('float32') instead of Value('int32')" in faults(folder)["schema"]


def test_a_column_less(folder):
    change(folder, FEATURES, lambda table: table.drop_columns(["lip_sync"]))
    assert "lip_sync is missing" in faults(folder)["schema"]


def test_columns_that_the_package_declares_otherwise(folder):
    def alter(info):
        for column in info["configs"]["features"]["columns"]:
            if column["name"] == "fps":
                column["type"] = "Value('float32')"

    change_info(folder, alter)
    assert "not as this package declares it: fps" in faults(folder)["schema"]


def test_a_row_less(folder):
    change(folder, FEATURES, lambda table: table.slice(1))
    problems = faults(folder)
    assert "3 rows" in problems["counts"]
    assert "places 4 clips" in problems["manifest"]


def test_a_row_less_with_a_matching_count_is_found_by_load_and_card(folder):
    change(folder, FEATURES, lambda table: table.slice(1))

    def alter(info):
        info["configs"]["features"]["splits"]["train"]["rows"] = 3
        info["counts"] |= {"clips": 3, "seconds": 2.4, "contents": 2}

    change_info(folder, alter)
    problems = faults(folder)
    assert "counts" not in problems
    assert "rows" in problems["card"]


def test_values_out_of_range(folder):
    change(folder, FEATURES, put("face_ratio", 0, 1.5))
    assert "face_ratio goes up to 1.5, above 1" in faults(folder)["values"]
    change(folder, FEATURES, put("face_ratio", 0, -1.0))
    assert "face_ratio goes down to -1.0" in faults(folder)["values"]


def test_list_values_out_of_range(folder):
    change(folder, LANDMARKS, put("yaw", 0, [999.0] * 20))
    assert "yaw goes up to 999.0" in faults(folder)["values"]


def test_not_a_number(folder):
    change(folder, FEATURES, put("lip_dynamics", 0, float("nan")))
    assert "lip_dynamics holds 1 values that are not finite" in faults(folder)["values"]


def test_a_null_without_a_reason(folder):
    change(folder, FEATURES, put("width", 0, None))
    assert "width null without an entry media:" in faults(folder)["values"]


def test_a_reason_without_a_null(folder):
    entries = pq.read_table(folder / FEATURES)["missing"][0].as_py()
    change(folder, FEATURES, put("missing", 0, [*entries, "media:missing"]))
    problems = faults(folder)["values"]
    assert "missing names media, but none of its columns is null" in problems


def test_a_reason_that_is_none(folder):
    table = pq.read_table(folder / FEATURES)
    entries = [
        "arcface:" if entry.startswith("arcface:") else entry
        for entry in table["missing"][0].as_py()
    ]
    change(folder, FEATURES, put("missing", 0, entries))
    assert "has no reason" in faults(folder)["values"]


def test_null_where_there_is_always_a_value(folder):
    change(folder, FEATURES, put("content_id", 0, None))
    assert "content_id is null in 1 rows" in faults(folder)["values"]


def test_frames_that_contradict_each_other(folder):
    rows = pq.read_table(folder / LANDMARKS).to_pylist()
    change(folder, LANDMARKS, put("mesh", 0, rows[0]["mesh"][:-3]))
    assert "mesh has" in faults(folder)["values"]
    change(folder, LANDMARKS, put("mesh", 0, rows[0]["mesh"]))
    assert "values" not in faults(folder)
    change(folder, LANDMARKS, put("time", 0, rows[0]["time"][::-1]))
    assert "time does not increase" in faults(folder)["values"]
    change(folder, LANDMARKS, put("time", 0, rows[0]["time"][:-1]))
    assert "time has 19 entries" in faults(folder)["values"]


def test_an_id_that_occurs_twice(folder):
    change(folder, FEATURES, put("clip_id", 0, "room"))
    assert "'room' occurs twice" in faults(folder)["ids"]


def test_an_id_that_only_landmarks_have(folder):
    change(folder, LANDMARKS, put("clip_id", 0, "stranger"))
    assert "'stranger' is not in features" in faults(folder)["ids"]


def test_a_clip_that_was_taken_down(folder):
    def alter(info):
        info["tombstones"] = [{"clip_id": "room", "date": "2026-01-31"}]

    change_info(folder, alter)
    assert "'room' was taken down" in faults(folder)["ids"]


def test_another_hash_than_in_the_manifest(folder):
    change(folder, FEATURES, put("sha256", 0, "0" * 64))
    assert "another hash" in faults(folder)["manifest"]


def test_a_broken_manifest(folder):
    (folder / "manifest.jsonl").write_text("{}\n")
    sign(folder)
    assert "manifest.jsonl:1" in faults(folder)["manifest"]


def test_a_manifest_with_paths_of_a_machine(folder):
    lines = [json.loads(x) for x in (folder / "manifest.jsonl").read_text().splitlines()]
    lines[0]["source"]["location"] = "/home/somebody/clip.mp4"
    (folder / "manifest.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    sign(folder)
    assert "paths of the machine" in faults(folder)["manifest"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("num_examples: 4", "num_examples: 5", "the card says"),
        ("version: 0.1.0", "version: 0.1.1", "version 0.1.1"),
        ("train-00000-of-00001.parquet", "*.parquet", "different files"),
        (
            "- name: lip_sync\n    dtype: float64",
            "- name: lip_sync\n    dtype: float32",
            "features",
        ),
        ("config_name: landmarks", "config_name: marks", "configs"),
    ],
)
def test_a_card_that_does_not_agree(folder, before, after, message):
    text = (folder / "README.md").read_text()
    assert before in text
    (folder / "README.md").write_text(text.replace(before, after))
    sign(folder)
    assert message in faults(folder)["card"]


def test_croissant_of_another_release(folder):
    plain = json.loads((folder / "croissant.json").read_text())
    plain["recordSet"][0]["field"].pop()
    (folder / "croissant.json").write_text(json.dumps(plain))
    sign(folder)
    assert "croissant.json describes another version" in faults(folder)["card"]


def test_a_card_that_was_edited(folder):
    with (folder / "README.md").open("a") as file:
        file.write("Best dataset ever.\n")
    info = json.loads((folder / "info.json").read_text())
    data = (folder / "README.md").read_bytes()
    info["files"]["README.md"] = {
        "sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data),
    }  # fmt: skip
    (folder / "info.json").write_text(json.dumps(info))
    assert "hash of README.md differs" in faults(folder)["card"]


def test_a_default_that_is_not_the_first_config(folder):
    text = (folder / "README.md").read_text()
    moved = text.replace("- config_name: features\n  default: true\n", "- config_name: features\n")
    moved = moved.replace(
        "- config_name: landmarks\n  version",
        "- config_name: landmarks\n  default: true\n  version",
    )
    assert moved != text
    (folder / "README.md").write_text(moved)
    sign(folder)
    assert "without a config name" in faults(folder)["load"]


def test_counts_that_the_columns_do_not_bear_out(folder):
    def alter(info):
        info["counts"] |= {"channels": 31, "clips": 5011}

    change_info(folder, alter)
    assert "4 clips, info.json says 5011" in faults(folder)["counts"]
    assert "1 channels, info.json says 31" in faults(folder)["counts"]
    problems = faults(folder, expect="paper")["expect"]
    assert problems == "clips: 4 instead of 5011; channels: 1 instead of 31"


def test_what_no_column_tells_is_said(folder, monkeypatch):
    monkeypatch.setattr(Theval, "EXPECTED", {"small": {"clips": 4, "rows_without_clip": 0}})
    report = verify(folder, expect="small")
    (check,) = [check for check in report.checks if check.name == "expect"]
    assert check.ok
    assert check.detail == "4 clips, 0 rows_without_clip (rows_without_clip as info.json says)"


def test_large_tables_are_streamed(folder, monkeypatch):
    from theval_datasets.builders.release.verify import loading as _check_loading

    monkeypatch.setattr(_check_loading, "_LOADED_WHOLE", 0)
    assert faults(folder) == {}
    change(folder, LANDMARKS, lambda table: table.slice(1))
    assert "landmarks/train: 3 rows load instead of 4" in faults(folder)["load"]


def test_a_null_key(folder):
    change(folder, LANDMARKS, put("clip_id", 0, None))
    assert "clip_id is null in a row" in faults(folder)["ids"]


def test_expectations(folder):
    assert "clips: 4 instead of 5011" in faults(folder, expect="paper")["expect"]
    with pytest.raises(UnknownNameError, match="expectation"):
        verify(folder, expect="papers")


def test_rows_are_loaded_afresh(folder, tmp_path):
    """A second release at the same place is seen, although `datasets` caches by path."""
    verify(folder)
    change(folder, FEATURES, put("lip_dynamics", 0, float("inf")))
    assert "values" in faults(folder)
