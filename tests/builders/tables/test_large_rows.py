"""Rows that would not fit into memory: tables of bounded bytes, values that are left out."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_factory import DECODER, Corpus, values

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.verify.report import verify
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.tables import frames, media
from theval_datasets.builders.tables.arrow import BATCH_BYTES, tables_of
from theval_datasets.builders.tables.frames import check_frames
from theval_datasets.builders.theval import Theval
from theval_datasets.manifest.rows import ManifestRow, Source, write_manifest
from theval_datasets.utils.files import sha256_file

_SCHEMA = pa.schema([("n", pa.int64()), ("numbers", pa.list_(pa.int16()))])


def _rows(*lengths: int):
    return ({"n": n, "numbers": np.zeros(length, np.int16)} for n, length in enumerate(lengths))


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([5, 5, 5], [2, 1]),  # 20 bytes hold two rows exactly
        ([5, 6, 5], [1, 1, 1]),
        ([1, 1, 1, 1, 1], [3, 2]),  # at most three rows
        ([50, 1, 1], [1, 2]),  # one larger than the limit has a table of its own
        ([1, 50, 1], [1, 1, 1]),
        ([], []),
    ],
)
def test_tables_are_bounded_by_rows_and_bytes(lengths, expected):
    tables = list(tables_of(_rows(*lengths), 3, _SCHEMA, 20))
    assert [len(table) for table in tables] == expected
    numbers = [n for table in tables for n in table["n"].to_pylist()]
    assert numbers == list(range(len(lengths)))


@pytest.mark.parametrize(
    "value",
    [np.zeros(10, np.int16), pa.array([0] * 20, pa.uint8()), {"bytes": bytes(20), "path": "a.mp4"}],
    ids=["numpy", "arrow", "media"],
)
def test_bytes_of_every_kind_of_value_count(value):
    rows = [{"n": n, "value": value} for n in range(3)]
    schema = pa.schema([("n", pa.int64())])
    for n_bytes, expected in ((40, [2, 1]), (39, [1, 1, 1])):
        assert [len(table) for table in tables_of(rows, 9, schema, n_bytes)] == expected


def test_nothing_is_read_ahead_of_a_full_table():
    made = []
    rows = ({"n": made.append(n) or n, "numbers": None} for n in range(5))
    next(tables_of(rows, 2, _SCHEMA))
    assert made == [0, 1]


def _faces_of(corpus: Corpus, name: str, count: int) -> None:
    """A clip in which all frames but two have a face."""
    corpus.add_clip(name, n_frames=count + 2)
    assert np.count_nonzero(values(0, count + 2)["landmarks"]["face"]) == count


def test_a_mesh_of_too_many_frames_is_null_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "LONGEST", 30)
    corpus = Corpus(tmp_path / "in")
    corpus.folder.mkdir()
    _faces_of(corpus, "fits", 30)
    _faces_of(corpus, "long", 31)
    inputs = Inputs(corpus.manifest, corpus.cache)
    made = write_release(Theval, inputs, tmp_path / "out", decoder=DECODER)
    path = made.folder / "landmarks" / "train-00000-of-00001.parquet"
    fits, long = pq.read_table(path).to_pylist()
    assert len(fits["mesh"]) == 30 * 478 * 3
    assert fits["missing"] == []
    assert long["mesh"] is None
    assert long["missing"] == ["landmarks:too-long"]
    for name in ("time", "face", "pitch", "openness", "loudness", "speech"):
        assert len(long[name]) == 33
    assert made.info.configs["landmarks"].missing == {"landmarks:too-long": 1}
    report = verify(made.folder)
    assert report.exit_code == 0, report


def test_a_mesh_without_reason_is_still_a_fault(tmp_path):
    row = {
        "clip_id": "a", "face": [True], "time": [0.0], "mesh": None, "missing": [],
        **dict.fromkeys(frames._PER_FRAME),
    }  # fmt: skip
    assert list(check_frames(pa.Table.from_pylist([row], _checked())))
    explained = row | {"missing": ["landmarks:too-long"]}
    assert not list(check_frames(pa.Table.from_pylist([explained], _checked())))
    contradicts = explained | {"mesh": [0]}
    assert list(check_frames(pa.Table.from_pylist([contradicts], _checked())))


def _checked() -> pa.Schema:
    numbers = dict.fromkeys(("time", "mesh", *frames._PER_FRAME), pa.list_(pa.float64()))
    text = {"clip_id": pa.string(), "missing": pa.list_(pa.string()), "face": pa.list_(pa.bool_())}
    return pa.schema(numbers | text)


def test_what_a_row_of_media_has_no_room_for_is_null(media_files, tmp_path, monkeypatch):
    inputs, video, sound = media_files
    rows = _media_rows(inputs, tmp_path / "all", monkeypatch, media.LARGEST_CLIP)
    assert None not in rows.values()
    assert rows["missing"] == []
    poster = len(rows["poster"]["bytes"])
    assert len(rows["audio"]["bytes"]) == sound

    rows = _media_rows(inputs, tmp_path / "fits", monkeypatch, video + sound)
    assert rows["video"]
    assert rows["audio"]
    rows = _media_rows(inputs, tmp_path / "no-sound", monkeypatch, video + sound - 45)
    assert len(rows["video"]["bytes"]) == video
    assert rows["audio"] is None
    assert rows["missing"] == ["media:too-large"]
    rows = _media_rows(inputs, tmp_path / "no-video", monkeypatch, video - 1)
    assert rows["video"] is None
    assert len(rows["poster"]["bytes"]) == poster
    assert rows["missing"] == ["media:too-large"]


def test_the_limits_are_those_that_the_memory_of_a_build_allows():
    assert media.LARGEST_CLIP == BATCH_BYTES == 48 << 20
    assert frames.LONGEST == 7_500  # times 2,868 bytes, times twelve to write them


@pytest.fixture
def media_files(media, tmp_path):
    """A clip beside its manifest, bytes of its file and of its sound."""
    folder = tmp_path / "clips"
    folder.mkdir()
    path = folder / media("plain").name
    os.link(media("plain"), path)
    row = ManifestRow("plain", path.name, Source("local", path.name), sha256_file(path))
    write_manifest(folder / "manifest.jsonl", [row])
    from theval_datasets.builders.tables.media import wav_bytes
    from theval_datasets.media import read_audio

    return Inputs(folder), path.stat().st_size, len(wav_bytes(read_audio(path)))


def _media_rows(inputs: Inputs, out, monkeypatch, largest: int) -> dict:
    monkeypatch.setattr(media, "LARGEST_CLIP", largest)
    made = write_release(Theval, inputs, out, configs=["media"])
    assert verify(made.folder).exit_code == 0
    (row,) = pq.read_table(made.folder / "media" / "train-00000-of-00001.parquet").to_pylist()
    return row
