from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
from feature_factory import DECODER, EMPTY, Corpus, facts, hash_of, row, values

from theval_datasets import catalog
from theval_datasets.builders.theval import Theval
from theval_datasets.errors import CacheError, InputError, UnknownNameError
from theval_datasets.extraction.cache import key_of, spec_of
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.manifest.rows import Source

METRICS = [
    "global_aesthetics", "mouth_quality", "face_quality", "lip_dynamics", "head_motion",
    "eyebrow_dynamics", "silent_lip_stability", "lip_sync",
]  # fmt: skip
FEATURES = {
    "clip_id": "string", "sha256": "string", "duration": "float64", "fps": "float64",
    "width": "int32", "height": "int32", "n_frames": "int32", "content_id": "string",
    "language": "string", "license": "string", "source_url": "string", "source_start": "float64",
    "source_end": "float64", "n_subjects": "int32", "speech_ratio": "float64",
    "face_ratio": "float64", "yaw_mean": "float64", "yaw_std": "float64", "pitch_mean": "float64",
    "pitch_std": "float64", "roll_mean": "float64", "roll_std": "float64",
    "arcface": "list<float>", **dict.fromkeys(METRICS, "float64"),
    "head_motion_scale_invariant": "float64",
    **{f"{name}_release": "float64" for name in METRICS}, "channel": "string",
    "missing": "list<string>",
}  # fmt: skip
LANDMARKS = {
    "clip_id": "string", "sha256": "string", "width": "int32", "height": "int32", "fps": "float64",
    "n_frames": "int32", "scale": "float64", "time": "list<double>", "face": "list<bool>",
    "mesh": "list<int16>", "pitch": "list<float>", "yaw": "list<float>", "roll": "list<float>",
    "openness": "list<double>", "loudness": "list<float>", "speech_probability": "list<float>",
    "speech": "list<bool>", "silence": "list<bool>", "missing": "list<string>",
}  # fmt: skip


def _plain(schema) -> dict[str, str]:
    return {
        field.name: str(field.type)
        .replace("double", "float64" if "list" not in str(field.type) else "double")
        .replace("element: ", "")
        .replace("item: ", "")
        for field in schema
    }


def rows_of(corpus: Corpus, tmp_path: Path, config: str = "features") -> dict[str, dict]:
    builder = Theval(
        config,
        manifest=corpus.manifest,
        cache=corpus.cache,
        decoder=DECODER,
        cache_dir=tmp_path / "hf",
    )
    builder.download_and_prepare()
    by_name = {r["clip_id"]: r for split in builder.as_dataset().values() for r in split}
    assert by_name
    return by_name


def test_schema_of_features_is_what_users_meet(corpus, tmp_path):
    builder = Theval(manifest=corpus.manifest, cache=corpus.cache, cache_dir=tmp_path)
    assert builder.config.name == "features"
    assert _plain(builder.schema("features")) == FEATURES
    assert _plain(builder.schema("landmarks")) == LANDMARKS


def test_no_list_has_a_length():
    for fields in Theval.FIELDS.values():
        for field in fields:
            if isinstance(field.type, datasets.List):
                assert field.type.length == -1, field.name


def test_text_unit_and_range_are_those_that_the_extractor_declares():
    (lips,) = (c for c in ThevalSignals.writes if c.name == "lip_dynamics")
    field = {item.name: item for item in Theval.FIELDS["features"]}["lip_dynamics"]
    assert field.meaning == f"{lips.meaning.removesuffix('.')} (definition `paper`)."
    assert (
        (field.unit, field.low, field.high) == (lips.unit, lips.low, lips.high) == ("px", 0, None)
    )
    assert (field.origin, field.key) == ("theval_signals", "lip_dynamics")


def test_the_definitions_name_the_extractors_of_the_metrics():
    from theval_datasets.evaluation.theval import DEFINITIONS

    origins = {field.name: field.origin for field in Theval.FIELDS["features"]}
    for definition, suffix in (("paper", ""), ("release", "_release")):
        assert {name: origins[name + suffix] for name in METRICS} == DEFINITIONS[definition]
        for metric, extractor in DEFINITIONS[definition].items():
            columns = {c.name for c in catalog.load("extractor", extractor).writes}
            assert metric in columns


def test_whole_clip(corpus, tmp_path):
    row_ = rows_of(corpus, tmp_path)["talk-0-800"]
    result = values(1)
    assert row_["duration"] == 0.8
    assert (row_["fps"], row_["width"], row_["height"], row_["n_frames"]) == (25.0, 512, 384, 20)
    assert row_["content_id"] == "example:talk"
    assert row_["source_url"] == "https://example.org/talk"
    assert (row_["source_start"], row_["source_end"]) == (0.0, 0.8)
    assert row_["face_ratio"] == 0.9
    assert row_["speech_ratio"] == 0.4
    yaw = result["head_pose"]["yaw"].astype(np.float64)
    assert row_["yaw_mean"] == pytest.approx(yaw.mean(), rel=1e-12)
    assert row_["yaw_std"] == pytest.approx(yaw.std(ddof=1), rel=1e-12)
    for name in ("lip_dynamics", "head_motion", "eyebrow_dynamics", "lip_sync"):
        assert row_[name] == result["theval_signals"][name]
    assert row_["arcface"] is None
    assert row_["lip_sync_release"] is None
    assert {entry.partition(":")[0] for entry in row_["missing"]} == {
        "arcface", "faces", "iqa", "iqa_release", "head_motion_release", "theval_release",
    }  # fmt: skip


def test_undefined_is_null_with_a_reason(corpus, tmp_path):
    table = rows_of(corpus, tmp_path)
    room = table["room"]
    assert room["lip_dynamics"] is None
    assert room["face_ratio"] is None
    assert room["speech_ratio"] == 0.4
    assert {"landmarks:no-face", "head_pose:no-face", "theval_signals:no-face"} <= set(
        room["missing"]
    )
    mute = table["mute"]
    assert mute["lip_sync"] is None
    assert mute["speech_ratio"] is None
    assert mute["lip_dynamics"] == 4.5
    assert {"vad:no-audio", "theval_signals:no-audio"} <= set(mute["missing"])
    assert not [entry for entry in mute["missing"] if entry.startswith("landmarks")]


def test_one_frame_with_a_face_has_no_spread(corpus, tmp_path):
    result = values(n_frames=20)
    result["head_pose"] = {k: v[:1] for k, v in result["head_pose"].items()}
    features = {k: Feature(Outcome("ok"), v) for k, v in result.items()}
    corpus.add(row("brief"), features)
    brief = rows_of(corpus, tmp_path)["brief"]
    assert brief["yaw_std"] is None
    assert brief["yaw_mean"] is not None
    assert "head_pose:too-few-frames" in brief["missing"]


def test_what_was_not_extracted_is_named(corpus, tmp_path):
    corpus.add(row("new"))
    new = rows_of(corpus, tmp_path)["new"]
    assert {f"{name}:not-extracted" for name in ("landmarks", "vad", "theval_signals")} <= set(
        new["missing"]
    )


def test_media_that_could_not_be_measured(corpus, tmp_path):
    broken = Feature(Outcome("failed", "not-media"))
    corpus.add(row("broken", media=None), {"landmarks": broken})
    corpus.add(row("still", media=facts(1, fps=None)))
    table = rows_of(corpus, tmp_path)
    assert table["broken"]["duration"] is None
    assert "media:not-media" in table["broken"]["missing"]
    assert table["still"]["fps"] is None
    assert "media:single-frame" in table["still"]["missing"]


def test_landmarks_are_stored_as_the_extractor_left_them(corpus, tmp_path):
    clip = rows_of(corpus, tmp_path, "landmarks")["talk-0-800"]
    result = values(1)
    face = result["landmarks"]["face"]
    assert clip["scale"] == 2**-14
    assert np.array_equal(np.array(clip["mesh"]), result["landmarks"]["mesh"].ravel())
    assert clip["time"] == result["landmarks"]["time"].tolist()
    assert clip["face"] == face.tolist()
    for name in ("pitch", "yaw", "roll"):
        assert [v is not None for v in clip[name]] == face.tolist()
        stored = np.array([v for v in clip[name] if v is not None], np.float32)
        assert np.array_equal(stored, result["head_pose"][name])
    opening = [v for v in clip["openness"] if v is not None]
    assert opening == result["theval_signals"]["openness"].tolist()
    heard = result["loudness"]["heard"]
    assert [v is not None for v in clip["loudness"]] == heard.tolist()
    assert clip["speech"] == [
        (0.1 <= t < 0.3) if t < 0.5 else None for t in result["landmarks"]["time"].tolist()
    ]
    assert clip["silence"][-1] is None


def test_speech_probability_is_that_of_the_chunk_that_holds_the_frame(corpus, tmp_path):
    late = values(5)
    late["vad"] |= {"start": np.array(0.1), "end": np.array(0.55)}
    late["vad"]["probability"] = np.arange(15, dtype=np.float32) / 16
    corpus.add(row("late"), {k: Feature(Outcome("ok"), v) for k, v in late.items()})
    clip = rows_of(corpus, tmp_path, "landmarks")["late"]
    for time, probability in zip(clip["time"], clip["speech_probability"], strict=True):
        chunk = int((time - 0.1) // 0.032)
        inside = 0.1 <= time < 0.55 and chunk < 15
        assert probability == (chunk / 16 if inside else None), time


def test_landmarks_of_a_clip_without_a_face(corpus, tmp_path):
    room = rows_of(corpus, tmp_path, "landmarks")["room"]
    for name in ("time", "mesh", "pitch", "openness", "speech", "speech_probability"):
        assert room[name] is None
    assert room["loudness"] is not None
    assert room["missing"] == [
        "head_pose:no-face", "landmarks:no-face", "theval_signals:no-face", "vad:no-face",
    ]  # fmt: skip


def test_the_readers_on_the_card_run(corpus, tmp_path):
    builder = Theval(
        "landmarks", manifest=corpus.manifest, cache=corpus.cache, decoder=DECODER,
        cache_dir=tmp_path / "hf",
    )  # fmt: skip
    builder.download_and_prepare()
    rows = builder.as_dataset(split="train").filter(lambda r: r["clip_id"] == "talk-0-800")
    scope = {"rows": rows}
    exec(builder.config.reader, scope)
    expected = values(1)["landmarks"]["mesh"] / 16384 * [512, 384, 512]
    assert np.allclose(scope["pixels"], expected, rtol=1e-6)


def test_a_new_feature_is_seen_although_datasets_caches(corpus, tmp_path):
    assert rows_of(corpus, tmp_path)["talk-0-800"]["lip_sync"] is not None
    corpus.add(row("new"))
    assert rows_of(corpus, tmp_path)["new"]["lip_dynamics"] is None
    features = {k: Feature(Outcome("ok"), v) for k, v in values(7).items()}
    corpus.rows.pop()
    corpus.add(row("new"), features)
    assert rows_of(corpus, tmp_path)["new"]["lip_dynamics"] == 8.5


def test_dead_sources_are_in_the_manifest_only(corpus, tmp_path):
    corpus.add(row("gone", path=None, sha256=None, media=None, reason="http-404"))
    assert "gone" not in rows_of(corpus, tmp_path)


def test_a_damaged_cache_entry_stops_the_build(corpus, tmp_path):
    sha256 = hash_of("talk-0-800")
    key = key_of(spec_of(Landmarks(), DECODER), sha256)
    path = Path(corpus.cache.location) / "landmarks" / key[:2] / f"{key}.feature"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    builder = Theval(
        manifest=corpus.manifest, cache=corpus.cache, decoder=DECODER, cache_dir=tmp_path / "hf"
    )
    with pytest.raises(CacheError, match="run `theval-data extract` again"):
        list(builder.split_tables("features")["train"])


def test_memory_is_bounded_by_small_tables(tmp_path):
    corpus = Corpus(tmp_path / "many")
    corpus.folder.mkdir()
    for number in range(40):
        corpus.add(row(f"clip-{number:02d}"), {"landmarks": Feature(EMPTY)})
    builder = Theval("landmarks", manifest=corpus.manifest, cache=corpus.cache, decoder=DECODER,
                     cache_dir=tmp_path / "hf")  # fmt: skip
    tables = builder.split_tables("landmarks")["train"]
    first = next(tables)
    assert len(first) == 16
    assert sum(builder.reader("landmarks").not_extracted.values()) == 16 * 4  # nothing read ahead
    assert [len(table) for table in tables] == [16, 8]


def test_splits_come_from_the_manifest(tmp_path):
    corpus = Corpus(tmp_path / "split")
    corpus.folder.mkdir()
    for name, split in (("a", "test"), ("b", "train"), ("c", "test")):
        corpus.add(row(name, split=split))
    builder = Theval(manifest=corpus.manifest, cache=corpus.cache, cache_dir=tmp_path / "hf")
    ids = {
        split: [name for table in tables for name in table["clip_id"].to_pylist()]
        for split, tables in builder.split_tables("features").items()
    }
    assert list(ids.items()) == [("train", ["b"]), ("test", ["a", "c"])]


@pytest.mark.parametrize("split", ["../../etc", "train-1", "a/b", "Train", "é"])
def test_a_split_cannot_be_a_path(tmp_path, split):
    corpus = Corpus(tmp_path / "bad")
    corpus.folder.mkdir()
    corpus.add(row("a", split=split))
    with pytest.raises(InputError, match="split"):
        Theval(manifest=corpus.manifest, cache_dir=tmp_path / "hf").tables("features")


def test_wrong_uses_say_what_is_expected(corpus, tmp_path):
    with pytest.raises(UnknownNameError, match="landmarks"):
        Theval("landmark", manifest=corpus.manifest, cache_dir=tmp_path)
    with pytest.raises(UnknownNameError, match="kind of input"):
        Theval(manifest=corpus.manifest, tables={"ratings": tmp_path}, cache_dir=tmp_path)
    with pytest.raises(InputError, match="three numbers"):
        Theval(manifest=corpus.manifest, version="1.0", cache_dir=tmp_path)
    with pytest.raises(InputError, match="--manifest"):
        Theval(cache_dir=tmp_path).tables("features")


def test_local_sources_have_no_address(tmp_path):
    corpus = Corpus(tmp_path / "local")
    corpus.folder.mkdir()
    corpus.add(row("a", source=Source("local", "folder/a.mp4")))
    lines = rows_of(corpus, tmp_path)["a"]
    assert lines["source_url"] is None
    assert lines["content_id"] == "folder/a.mp4"
