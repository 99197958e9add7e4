from __future__ import annotations

import errno
import hashlib
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_factory import DECODER, Corpus, facts, row, small_corpus

from theval_datasets import catalog
from theval_datasets.builders.base.builder import Slices
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release import write as _release
from theval_datasets.builders.release.shards import shards_of
from theval_datasets.builders.release.verify.report import verify
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.engines import local
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import (
    BuildError,
    CacheError,
    InputError,
    ManifestError,
    StorageError,
    UnknownNameError,
)
from theval_datasets.manifest.info import FileInfo, read_info, write_info
from theval_datasets.manifest.rows import read_manifest
from theval_datasets.manifest.tombstones import TOMBSTONES_NAME, Tombstone, write_tombstones
from theval_datasets.utils.stores import location_of


def hashes(folder: Path) -> dict[str, str]:
    by_name = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert by_name
    return by_name


def load(folder: Path, config: str | None, cache: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(str(folder), config, cache_dir=str(cache))


def test_a_release_has_its_parts(build, tmp_path):
    made = build()
    assert made.folder == tmp_path / "out" / "theval" / "theval"
    assert set(hashes(made.folder)) == {
        "README.md",
        "croissant.json",
        "info.json",
        "manifest.jsonl",
        "features/train-00000-of-00001.parquet",
        "landmarks/train-00000-of-00001.parquet",
    }
    info = read_info(made.folder)
    assert info == made.info
    assert info.version == "0.1.0"
    assert info.configs["features"].rows == 4
    assert info.counts == {
        "channels": 1, "clips": 4, "contents": 3, "rows_without_clip": 0, "seconds": 3.2,
    }  # fmt: skip
    assert info.configs["features"].missing["landmarks:no-face"] == 1
    assert info.extractors["landmarks"].weights.startswith("mediapipe-")
    assert set(info.extractors) <= set(catalog.names("extractor"))


def test_a_card_warns_where_frame_sizes_differ(build, corpus, tmp_path):
    warning = "2 frame sizes, 256×192 to 512×384"
    assert warning not in (build().folder / "README.md").read_text("utf-8")
    corpus.add_clip("small", media=facts(20, width=256, height=192))
    made = build(tmp_path / "two")
    (note,) = (note for note in made.info.notes if "frame sizes" in note)
    assert warning in note
    assert warning in (made.folder / "README.md").read_text("utf-8")


def test_a_stranger_loads_what_was_built(build, corpus, tmp_path):
    folder = build(version="1.2.3").folder
    rows = load(folder, None, tmp_path / "hf")["train"]
    direct = Theval(
        manifest=corpus.manifest, cache=corpus.cache, decoder=DECODER, cache_dir=tmp_path / "own"
    )
    direct.download_and_prepare()
    assert rows.features == direct.as_dataset()["train"].features
    assert rows[:] == direct.as_dataset()["train"][:]
    assert str(rows.version) == "1.2.3"
    frames = load(folder, "landmarks", tmp_path / "hf")["train"]
    assert frames.num_rows == 4
    assert frames.features["mesh"] == datasets.List(datasets.Value("int16"))


def test_two_builds_are_byte_identical(build, corpus, tmp_path):
    earlier = build(tmp_path / "one")
    moved = small_corpus(tmp_path / "elsewhere")
    inputs = Inputs(moved.manifest, moved.cache)
    two = write_release(Theval, inputs, tmp_path / "two", decoder=DECODER)
    assert hashes(earlier.folder) == hashes(two.folder)


def test_the_order_of_the_manifest_changes_nothing(build, corpus, tmp_path):
    earlier = build(tmp_path / "one")
    lines = corpus.manifest.read_text().splitlines()
    corpus.manifest.write_text("\n".join(reversed(lines)) + "\n")
    assert hashes(build(tmp_path / "two").folder) == hashes(earlier.folder)


def test_a_release_is_replaced_whole(build, tmp_path):
    first = build(version="0.1.0")
    stale = first.folder / "features" / "old-00000-of-00001.parquet"
    stale.write_bytes(b"old")
    second = build(version="0.2.0")
    assert not stale.exists()
    assert read_info(second.folder).version == "0.2.0"
    assert [p.name for p in first.folder.parent.iterdir()] == ["theval"]


def test_what_is_no_release_is_left_alone(build, tmp_path):
    place = tmp_path / "out" / "theval" / "theval"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a built dataset"):
        build()
    assert (place / "thesis.txt").read_text() == "years of work"
    assert [p.name for p in place.parent.iterdir()] == ["theval"]


def test_a_link_in_the_way_is_not_followed(build, tmp_path):
    (tmp_path / "out" / "theval").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "out" / "theval" / "theval").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="got a file"):
        build()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StorageError),
        (OSError("No space left on device"), StorageError),
        (OSError("other"), OSError),
    ],
)
def test_a_build_that_fails_leaves_the_old_release(build, tmp_path, monkeypatch, error, raised):
    before = hashes(build().folder)

    def fail(*_):
        raise error

    monkeypatch.setattr(_release, "write_info", fail)
    with pytest.raises(raised, match=r"out/theval/theval cannot be written: No space|other"):
        build(version="0.2.0")
    assert hashes(tmp_path / "out" / "theval" / "theval") == before
    assert [p.name for p in (tmp_path / "out" / "theval").iterdir()] == ["theval"]


def test_an_empty_manifest_is_refused(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("")
    with pytest.raises(InputError, match="no rows"):
        write_release(Theval, Inputs(manifest), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    builder = Theval(manifest=manifest, cache_dir=tmp_path / "hf")
    with pytest.raises(InputError, match="no rows"):
        builder.download_and_prepare()


def test_only_dead_sources_are_refused(tmp_path):
    corpus = Corpus(tmp_path / "dead")
    corpus.folder.mkdir()
    corpus.add(row("gone", path=None, sha256=None, media=None, reason="http-404"))
    with pytest.raises(InputError, match="no rows"):
        write_release(Theval, Inputs(corpus.manifest, corpus.cache), tmp_path / "out")


def test_the_manifest_travels_without_this_machine(build, corpus):
    corpus.add(row("gone", path=None, sha256=None, media=None, reason="http-404"))
    made = build()
    rows = {r.clip_id: r for r in read_manifest(made.folder).rows}
    assert rows["mute"].split == "train"
    assert rows["gone"].split is None
    assert all(r.path is None and r.stamp is None for r in rows.values())
    assert any("source is no longer available" in note for note in made.info.notes)


def test_shards(build, tmp_path):
    made = build(shard_bytes=1)
    files = made.info.configs["features"].splits["train"].files
    assert files == ("features/train-00000-of-00001.parquet",)  # one table, one row group
    corpus = Corpus(tmp_path / "many")
    corpus.folder.mkdir()
    for number in range(40):
        corpus.add(row(f"clip-{number:02d}"))
    made = write_release(
        Theval, Inputs(corpus.manifest, corpus.cache), tmp_path / "sharded",
        decoder=DECODER, shard_bytes=1,
    )  # fmt: skip
    assert made.info.configs["landmarks"].splits["train"].files == tuple(
        f"landmarks/train-{n:05d}-of-00003.parquet" for n in range(3)
    )
    assert load(made.folder, "landmarks", tmp_path / "hf")["train"].num_rows == 40
    assert made.not_extracted["landmarks"] == 40


@pytest.fixture
def many(tmp_path):
    """40 clips in three splits, every third of which has features; 16 rows are a group of `landmarks`."""
    corpus = Corpus(tmp_path / "many")
    corpus.folder.mkdir()
    for number in range(40):
        split = {0: "test", 1: "validation"}.get(number % 20, "train")
        name = f"clip-{number:02d}"
        if number % 3 == 0:
            corpus.add_clip(name, number, split=split)
        else:
            corpus.add(row(name, split=split))
    return corpus


@pytest.fixture
def pools(monkeypatch) -> list[int]:
    """Sizes of the pools that a test used; workers are worth their start whatever the size of files."""
    monkeypatch.setattr(local, "WORTH_WORKERS", 0)
    sizes: list[int] = []
    real = local.LocalPool.__init__

    def counted(self, size, *more, **named):
        sizes.append(size)
        real(self, size, *more, **named)

    monkeypatch.setattr(local.LocalPool, "__init__", counted)
    return sizes


def test_the_number_of_processes_changes_no_byte(many, tmp_path, pools):
    made = {
        workers: write_release(
            Theval, Inputs(many.manifest, many.cache), tmp_path / str(workers),
            decoder=DECODER, shard_bytes=1, engine=LocalEngine(workers),
        )
        for workers in (1, 3)
    }  # fmt: skip
    assert set(pools) == {3}
    first, three = made.values()
    assert hashes(first.folder) == hashes(three.folder)
    assert first.info == three.info
    assert first.not_extracted == three.not_extracted
    assert first.info.configs["landmarks"].splits["train"].files == tuple(
        f"landmarks/train-{n:05d}-of-00003.parquet" for n in range(3)
    )
    assert first.info.configs["features"].missing["landmarks:not-extracted"] == 26
    rows = load(three.folder, "features", tmp_path / "hf")
    assert {split: len(rows[split]) for split in rows} == {"train": 36, "validation": 2, "test": 2}
    assert rows["train"]["clip_id"] == sorted(rows["train"]["clip_id"])


class _Elsewhere(LocalEngine):
    shares_disk = False

    def for_own_files(self, n_items, n_bytes):
        return self


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_elsewhere_send_their_files_through_the_store(many, s3_server, tmp_path):
    given = {"decoder": DECODER, "shard_bytes": 1}
    here = write_release(Theval, Inputs(many.manifest, many.cache), tmp_path, **given)
    elsewhere = _Elsewhere(2)
    inputs = Inputs(many.manifest, many.cache)
    out = location_of(s3_server.url)
    made = write_release(Theval, inputs, out, **given, engine=elsewhere)
    assert made.info == here.info
    stored = made.folder.below()
    assert sorted(stored) == sorted(hashes(here.folder))
    methods = Counter(method for method, path in s3_server.requests if ".shards/" in path)
    assert methods["PUT"] == methods["GET"] == methods["DELETE"] == 8
    assert sum(name.endswith(".parquet") for name in stored) == 8
    assert set(out.below()) == {f"theval/theval/{name}" for name in stored}  # nothing else stays
    assert verify(made.folder).exit_code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cluster_changes_no_byte(many, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs the extra [ray]")
    from theval_datasets.engines.ray import RayEngine

    monkeypatch.chdir(tmp_path)
    made = {}
    for name, engine in (("local", LocalEngine(1)), ("ray", RayEngine(2))):
        with engine:
            made[name] = write_release(
                Theval, Inputs(many.manifest, many.cache), Path(name),
                decoder=DECODER, shard_bytes=1, engine=engine,
            )  # fmt: skip
            assert verify(made[name].folder, engine=engine).exit_code == 0
    assert hashes(made["ray"].folder) == hashes(made["local"].folder)
    assert made["ray"].info == made["local"].info
    assert len(made["ray"].info.configs["landmarks"].splits["train"].files) == 3
    assert sorted(path.name for path in tmp_path.glob("*/theval/*")) == ["theval", "theval"]
    assert sorted(path.name for path in tmp_path.glob("*/theval/.*")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_faults_of_any_shard_are_found(many, tmp_path, workers, pools):
    inputs = Inputs(many.manifest, many.cache)
    made = write_release(Theval, inputs, tmp_path / "o", decoder=DECODER, shard_bytes=1)
    assert verify(made.folder, engine=LocalEngine(workers)).exit_code == 0
    last = made.folder / made.info.configs["landmarks"].splits["train"].files[-1]
    table = pq.read_table(last)
    place = table.column_names.index("clip_id")
    other = pa.array(["clip-02", *table["clip_id"].to_pylist()[1:]])
    pq.write_table(table.set_column(place, table.schema.field("clip_id"), other), last)
    name = last.relative_to(made.folder).as_posix()
    file = FileInfo(hashlib.sha256(last.read_bytes()).hexdigest(), last.stat().st_size)
    write_info(made.folder, replace(made.info, files={**made.info.files, name: file}))
    faults = verify(made.folder, engine=LocalEngine(workers)).to_text()
    assert "landmarks: 'clip-02' occurs twice" in faults
    assert pools == [2] * 2 * (workers == 2)


def test_an_error_in_a_process_ends_the_build(many, tmp_path, pools):
    entries = sorted(p for p in (many.folder / "cache").rglob("*") if p.stat().st_size > 5000)
    for entry in entries:
        if entry.is_file():
            entry.write_bytes(entry.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(CacheError, match="checksum"):
        write_release(
            Theval, Inputs(many.manifest, many.cache), tmp_path / "o",
            decoder=DECODER, shard_bytes=1, engine=LocalEngine(2),
        )  # fmt: skip
    assert set(pools) == {2}
    assert not (tmp_path / "o" / "theval" / "theval").exists()


def test_a_manifest_that_changes_during_a_build_is_refused(many, tmp_path):
    inputs = Inputs(many.manifest, many.cache)
    assert len(inputs.rows) == 40
    many.add(row("clip-99"))
    with pytest.raises(ManifestError, match="changed while it was in use"):
        write_release(Theval, inputs, tmp_path / "o", decoder=DECODER)


def test_where_a_shard_ends():
    def ends(n_bytes, rows_per_table, shard_bytes):
        slices = Slices(range(len(n_bytes)), np.array(n_bytes, np.int64))
        shards = shards_of({"train": slices}, rows_per_table, shard_bytes)
        assert [shard.number for shard in shards] == list(range(len(shards)))
        assert [n for shard in shards for n in shard.rows] == list(range(len(n_bytes)))
        assert [shard.n_bytes for shard in shards] == [
            sum(n_bytes[n] for n in shard.rows) for shard in shards
        ]
        return [shard.rows[-1] for shard in shards]

    assert ends([10] * 6, 2, 39) == [3, 5]
    assert ends([10] * 6, 2, 40) == [3, 5]
    assert ends([10] * 6, 2, 41) == [5]
    assert ends([10] * 6, 1, 10) == [0, 1, 2, 3, 4, 5]
    assert ends([100, 1, 1], 1, 10) == [0, 2]
    assert ends([10] * 3, 16, 1) == [2]
    assert ends([], 16, 1) == []


def test_parquet_is_compressed_and_grouped(build):
    folder = build().folder
    meta = pq.read_metadata(folder / "landmarks" / "train-00000-of-00001.parquet")
    column = {
        meta.row_group(0).column(i).path_in_schema: meta.row_group(0).column(i)
        for i in range(meta.num_columns)
    }
    assert {c.compression for c in column.values()} == {"ZSTD"}
    mesh = next(c for path, c in column.items() if path.startswith("mesh."))
    assert "BYTE_STREAM_SPLIT" in mesh.encodings
    assert "RLE_DICTIONARY" not in mesh.encodings
    assert "RLE_DICTIONARY" in column["clip_id"].encodings


def test_configs_can_be_chosen(build):
    assert set(build(configs=["features"]).info.configs) == {"features"}
    assert set(build(configs=["landmarks"]).info.configs) == {"features", "landmarks"}
    with pytest.raises(UnknownNameError, match="landmarks"):
        build(configs=["landmark"])
    with pytest.raises(InputError, match="do not suffice"):
        build(configs=["media"])


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-rc1", "1.0.0\n", ""])
def test_versions_are_three_numbers(build, version):
    with pytest.raises(InputError, match="three numbers"):
        build(version=version)


def test_joined_columns(build, corpus, tmp_path):
    path = tmp_path / "vst.parquet"
    nan = float("nan")
    pq.write_table(
        pa.table(
            {
                "clip_id": ["room", "mute", "talk-0-800", "unknown"],
                "vst": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.float32(), 2)),
                "beat": pa.array([[1.0], None, [], [2.0]]),
                "score": [0.5, nan, 1.5, 2.5],
            }
        ),
        path,
    )
    made = build(tables={"features": path})
    rows = {r["clip_id"]: r for r in load(made.folder, None, tmp_path / "hf")["train"]}
    assert rows["room"]["vst"] == [1.0, 2.0]
    assert rows["room"]["score"] == 0.5
    assert rows["mute"]["vst"] == [3.0, 4.0]
    assert rows["talk-800-1600"]["vst"] is None
    assert rows["mute"]["beat"] is None
    assert rows["talk-0-800"]["beat"] == []
    assert rows["mute"]["score"] is None
    assert "features:undefined" in rows["mute"]["missing"]
    assert "features:not-matched" in rows["talk-800-1600"]["missing"]
    assert not any(entry.startswith("features:") for entry in rows["room"]["missing"])
    assert any(
        "features: 3 of 4 names match a clip, 3 of 4 clips are matched; not matched: 'unknown'"
        in note
        for note in made.info.notes
    )
    assert list(rows["room"])[-4:] == ["vst", "beat", "score", "missing"]


def test_joined_columns_go_by_any_spelling_of_a_clip(build, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"clip_id": ["clips\\room.MP4", "mute.wav.mp4"], "x": [1.0, 2.0]}), path
    )
    made = build(tables={"features": path})
    rows = {r["clip_id"]: r for r in load(made.folder, None, tmp_path / "hf")["train"]}
    assert rows["room"]["x"] == 1.0
    assert rows["mute"]["x"] is None


def test_joined_columns_of_a_clip_that_was_taken_down_are_no_other_clips(build, corpus, tmp_path):
    corpus.add_clip("b/room", 5)
    write_tombstones(corpus.folder / TOMBSTONES_NAME, [Tombstone("a/room", "2026-01-02")])
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"clip_id": ["a/room.mp4", "mute"], "x": [1.0, 2.0]}), path)
    made = build(tables={"features": path})
    rows = {r["clip_id"]: r for r in load(made.folder, None, tmp_path / "hf")["train"]}
    assert {name: row["x"] for name, row in rows.items() if row["x"] is not None} == {"mute": 2.0}
    assert "features:not-matched" in rows["b/room"]["missing"]
    (note,) = [note for note in made.info.notes if note.startswith("features:")]
    assert "a/room" not in note
    assert "1 of 1 names match" in note


def test_joined_columns_that_match_no_clip_are_an_error(build, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"clip_id": ["other"], "x": [1.0]}), path)
    with pytest.raises(
        InputError, match=r"features: none of the 1 names matches any of the \d clips"
    ):
        build(tables={"features": path})
    assert not (tmp_path / "out" / "theval" / "theval").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["a"]}, "clip_id"),
        ({"clip_id": ["a", "a"], "x": [1, 2]}, "unique"),
        ({"clip_id": ["a", None], "x": [1, 2]}, "unique"),
        ({"clip_id": ["a"], "lip_sync": [1.0]}, "rename"),
        ({"clip_id": ["a"], "x": [b"bytes"]}, "joined are numbers"),
        ({"clip_id": [["a"]], "x": [1]}, "expected text as clip_id"),
        ({"clip_id": [b"\xff"], "x": [1]}, "expected text as clip_id"),
        ({"clip_id": [b"\xff", b"a"], "x": [1, 2], "invalid": "clip_id"}, "Invalid UTF8"),
        ({"clip_id": ["a"], "x": [b"\xff"], "invalid": "x"}, "Invalid UTF8"),
        ({"clip_id": ["a", "b"], "x": [[1.0], [float("nan")]]}, "not finite, for clip_id 'b'"),
        ({"clip_id": ["a", "b"], "x": [None, [[1.0], [float("inf"), None]]]}, "for clip_id 'b'"),
    ],
)
def test_tables_that_cannot_be_joined(build, tmp_path, columns, message):
    path = tmp_path / "bad.parquet"
    invalid = columns.get("invalid")
    table = pa.table({name: values for name, values in columns.items() if name != "invalid"})
    if invalid:  # bytes that claim to be text
        binary = table[invalid].combine_chunks()
        text = pa.StringArray.from_buffers(len(binary), *binary.buffers()[1:])
        table = table.set_column(table.column_names.index(invalid), invalid, text)
    pq.write_table(table, path)
    with pytest.raises(InputError, match=message):
        build(tables={"features": path})


def test_joining_what_is_not_parquet(build, tmp_path):
    path = tmp_path / "bad.parquet"
    path.write_text("clip_id,x\n")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        build(tables={"features": path})
    with pytest.raises(InputError, match="no such file"):
        build(tables={"features": tmp_path / "absent"})


def test_a_joined_list_of_fixed_length_with_null_is_named(build, tmp_path):
    """Such a file cannot be read back by pyarrow at all; ours never hold one."""
    path = tmp_path / "fixed.parquet"
    lists = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"clip_id": ["room", "mute", "x"], "vst": lists}), path)
    with pytest.raises(InputError, match="fixed length"):
        build(tables={"features": path})


def test_media_are_embedded(media, tmp_path):
    from theval_datasets.manifest.rows import FileStamp, ManifestRow, Source, write_manifest
    from theval_datasets.media import probe
    from theval_datasets.utils.files import sha256_file

    folder = tmp_path / "clips"
    folder.mkdir()
    rows = []
    for name in ("plain", "no_audio"):
        path = folder / media(name).name
        os.link(media(name), path)
        rows.append(
            ManifestRow(name, path.name, Source("local", path.name), sha256_file(path),
                        media=probe(path), stamp=FileStamp(1, 1))
        )  # fmt: skip
    write_manifest(folder / "manifest.jsonl", rows)
    made = write_release(Theval, Inputs(folder), tmp_path / "out")
    assert list(made.info.configs) == ["features", "landmarks", "media"]
    rows = {r["clip_id"]: r for r in load(made.folder, "media", tmp_path / "hf")["train"]}
    plain = rows["plain"]
    assert plain["video"]["bytes"] == media("plain").read_bytes()
    assert plain["video"]["path"] == "plain" + media("plain").suffix
    assert plain["audio"]["bytes"][:4] == b"RIFF"
    assert plain["poster"]["bytes"][:3] == b"\xff\xd8\xff"
    assert plain["missing"] == []
    assert rows["no_audio"]["audio"] is None
    assert rows["no_audio"]["missing"] == ["media:no-audio"]
    (folder / media("plain").name).unlink()
    (folder / media("plain").name).write_bytes(b"another file")
    with pytest.raises(BuildError, match="hash differs"):
        write_release(Theval, Inputs(folder), tmp_path / "out")
    (folder / media("plain").name).unlink()
    made = write_release(Theval, Inputs(folder), tmp_path / "out")
    rows = {r["clip_id"]: r for r in load(made.folder, "media", tmp_path / "hf2")["train"]}
    assert rows["plain"]["video"] is None
    assert rows["plain"]["missing"] == ["media:missing"]


def test_info_is_plain_json_of_the_format(build):
    plain = json.loads((build().folder / "info.json").read_text())
    assert plain["format_version"] == 1
    assert set(plain) == {
        "card_sha256", "configs", "counts", "dataset", "extractors", "files", "format_version",
        "notes", "study", "tombstones", "toolkit", "version",
    }  # fmt: skip


def test_clips_that_were_taken_down_leave_a_tombstone(build, corpus, tmp_path):
    stones = corpus.folder / "tombstones.jsonl"
    stones.write_text('{"clip_id": "mute", "date": "2026-01-31"}\n')
    made = build()
    rows = load(made.folder, None, tmp_path / "hf")["train"]
    assert "mute" not in rows["clip_id"]
    assert "mute" not in (made.folder / "manifest.jsonl").read_text()
    assert [(s.clip_id, s.date) for s in made.info.tombstones] == [("mute", "2026-01-31")]
    assert "| `mute` | 2026-01-31 |" in (made.folder / "README.md").read_text()
    other = tmp_path / "other.jsonl"
    other.write_text("")
    assert build(tables={"tombstones": other}).info.tombstones == ()
    for line, message in (
        ('{"clip_id": "x", "date": "soon"}', "YYYY-MM-DD"),
        ('{"clip_id": "x"}', "missing date"),
        ("[", "not a JSON object"),
        ('{"clip_id": "x", "date": "2026-01-31"}\n' * 2, ":2: .* twice"),
    ):
        stones.write_text(line)
        with pytest.raises(InputError, match=message):
            build()


def test_killed_builds_leave_nothing_for_long(build, tmp_path):
    import socket
    import subprocess
    import sys

    before = hashes(build().folder)
    place = tmp_path / "out" / "theval"
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    dead = f".theval.{socket.gethostname()}.{ended.pid}"
    alive = place / f".theval.{socket.gethostname()}.{os.getppid()}.part"
    elsewhere = place / ".theval.another-host.1.part"
    for folder in (place / f"{dead}.part", place / f"{dead}.clips", alive, elsewhere):
        folder.mkdir()
        (folder / "half").write_text("x")
    (place / "theval").rename(place / f"{dead}.old")  # killed between the two renames
    with pytest.raises(InputError, match="three numbers"):
        build(version="x")
    with pytest.raises(UnknownNameError):
        build(configs=["x"])
    assert hashes(build().folder) == before
    assert sorted(p.name for p in place.iterdir()) == sorted(["theval", alive.name, elsewhere.name])


def test_a_column_can_be_streamed(build):
    folder = build().folder
    rows = datasets.load_dataset(
        str(folder), split="train", streaming=True, columns=["clip_id", "lip_sync"]
    )
    assert list(rows)[-1] == {"clip_id": "talk-800-1600", "lip_sync": 0.25}
