"""The cache: equal keys mean equal bytes, damage is found, nothing is half-written."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theval_datasets import media
from theval_datasets.errors import (
    CacheError,
    InputError,
    MissingExtraError,
    StorageError,
    WeightsMissingError,
)
from theval_datasets.extraction.cache import (
    Cache,
    FeatureSpec,
    _decode,
    _encode,
    default_location,
    key_of,
    spec_of,
)
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.extraction.store import FeatureStore, with_needs
from theval_datasets.features.head_pose import HeadPose
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.features.vad import Vad
from theval_datasets.utils import spool
from theval_datasets.utils.files import digest

SHA = "a" * 64
OK = Feature(
    Outcome("ok", None, None, {"x": "constant"}),
    {"time": np.arange(5) / 25, "face": np.array([True, False]), "n": np.array(3, np.int32)},
)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


RECIPE = spec_of(Landmarks(), "av-1")


def entries(cache: Cache) -> list[Path]:
    return sorted(Path(cache.location).rglob("*.feature"))


def encoded(feature: Feature) -> bytes:
    stream = io.BytesIO()
    _encode(feature, "k", stream)
    return stream.getvalue()


def decoded(data: bytes) -> Feature:
    return _decode(io.BytesIO(data), "k")


def test_what_is_written_is_read(cache):
    assert cache.outcome(RECIPE, SHA) is None
    assert cache.read(RECIPE, SHA) is None
    cache.write(RECIPE, SHA, OK)
    feature = cache.read(RECIPE, SHA)
    assert feature is not None
    assert feature.outcome == OK.outcome == cache.outcome(RECIPE, SHA)
    assert feature.values.keys() == OK.values.keys()
    for name, array in OK.values.items():
        assert feature.values[name].dtype == array.dtype
        assert feature.values[name].tolist() == array.tolist()


arrays = hnp.arrays(
    st.sampled_from([np.int16, np.float32, np.float64, np.bool_, np.uint8]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), arrays, max_size=4))
def test_any_arrays_survive_bit_for_bit(values):
    survives(values)


@given(st.dictionaries(st.text(min_size=1, max_size=8), arrays, max_size=4))
def test_arrays_of_a_long_clip_survive_bit_for_bit(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "LARGE", 16)
        survives(values)


def survives(values: dict[str, np.ndarray]) -> None:
    feature = Feature(Outcome("ok"), values)
    data = encoded(feature)
    picture = decoded(data)
    assert picture.values.keys() == values.keys()
    for name, array in values.items():
        assert picture.values[name].shape == array.shape
        assert picture.values[name].tobytes() == np.ascontiguousarray(array).tobytes()
    assert encoded(picture) == data


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_flipped_byte_is_found(position, change):
    data = bytearray(encoded(OK))
    at = position % len(data)
    data[at] ^= change
    with pytest.raises(CacheError):
        decoded(bytes(data))


def test_a_damaged_entry_is_removed_and_heals(cache):
    cache.write(RECIPE, SHA, OK)
    (path,) = entries(cache)
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    with pytest.raises(CacheError, match="extract"):
        cache.read(RECIPE, SHA)
    assert not entries(cache)
    cache.write(RECIPE, SHA, OK)
    assert entries(cache)[0].read_bytes() == data


@pytest.mark.parametrize(("limit", "frames"), [(8_000, 1), (7_999, 2)])
def test_large_arrays_are_compressed_and_kept_in_pieces(cache, monkeypatch, limit, frames):
    compress, made = pa.compress, []
    monkeypatch.setattr(
        pa, "compress", lambda raw, **how: made.append(len(raw)) or compress(raw, **how)
    )
    monkeypatch.setattr(spool, "LARGE", limit)
    values = np.arange(1_000, dtype=np.int64)
    cache.write(RECIPE, SHA, Feature(Outcome("ok"), {"x": values}))
    feature = cache.read(RECIPE, SHA)
    assert len(made) == frames
    assert max(made) <= limit
    assert feature is not None
    assert spool.is_spooled(feature.values["x"]) == (frames > 1)
    assert feature.values["x"].tolist() == values.tolist()


def test_a_large_entry_of_one_frame_is_read_too(cache, monkeypatch):
    values = np.arange(1_000, dtype=np.int64)
    cache.write(RECIPE, SHA, Feature(Outcome("ok"), {"x": values}))
    monkeypatch.setattr(spool, "LARGE", 7_999)
    feature = cache.read(RECIPE, SHA)
    assert feature is not None
    assert feature.values["x"].tolist() == values.tolist()


def test_columns_after_the_wanted_one_may_be_left_out_of_a_large_entry(cache):
    values = {"face": np.ones(10, bool), "mesh": np.arange(20_000), "late": np.ones(3)}
    cache.write(RECIPE, SHA, Feature(Outcome("ok"), values))
    feature = cache.read(RECIPE, SHA, until="face")
    assert feature is not None
    assert list(feature.values) == ["face"]
    assert not feature.whole
    assert feature.values["face"].tolist() == [True] * 10
    undefined = cache.read(RECIPE, SHA, until="none")
    assert undefined is not None
    assert undefined.values == {}
    assert not undefined.whole
    for until in (None, "mesh"):  # the last one: entries hold their columns in order of their names
        feature = cache.read(RECIPE, SHA, until=until)
        assert feature is not None
        assert feature.whole
        assert feature.values.keys() == values.keys()
    entries(cache)[0].write_bytes(entries(cache)[0].read_bytes()[:-1] + b"!")
    with pytest.raises(CacheError):
        cache.read(RECIPE, SHA, until="face")


def test_small_entries_are_read_whole(cache):
    values = {"face": np.ones(10, bool), "mesh": np.zeros(65_526, np.uint8)}  # 64 KiB in all
    cache.write(RECIPE, SHA, Feature(Outcome("ok"), values))
    feature = cache.read(RECIPE, SHA, until="face")
    assert feature is not None
    assert feature.whole
    values["mesh"] = np.zeros(65_527, np.uint8)
    cache.write(RECIPE, SHA, Feature(Outcome("ok"), values))
    feature = cache.read(RECIPE, SHA, until="face")
    assert feature is not None
    assert not feature.whole


def forged(data: bytes, **changed: object) -> bytes:
    """An entry with other values in its first line, and the checksum that goes with them."""
    line, _, payload = data.partition(b"\n")
    text = json.dumps(json.loads(line.partition(b" ")[2]) | changed).encode()
    return hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n" + payload


def test_a_large_entry_that_claims_other_sizes_is_damaged(monkeypatch):
    monkeypatch.setattr(spool, "LARGE", 16)
    data = encoded(Feature(Outcome("ok"), {"x": np.zeros(100)}))
    false = forged(data, n_raw=900, arrays=[["x", "<f8", [100]], ["y", "<f4", [25]]])
    with pytest.raises(CacheError, match="800 bytes where it claims 900"):
        decoded(false)


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"key": "other"},
        {"status": "fine"},
        {"status": "ok", "reason": "no-face"},
        {"detail": 3},
        {"missing": ["x"]},
        {"missing": {"x": 1}},
        {"n_raw": -1},
        {"n_raw": 799},
        {"n_raw": 1e300},
        {"sha256": None},
        {"arrays": None},
        {"arrays": []},
        {"arrays": [["x", "zz", [100]]]},
        {"arrays": [["x", "O", [100]]]},
        {"arrays": [["x", "f8,f8", [50]]]},
        {"arrays": [["x", "<U0", [100]]]},
        {"arrays": [["x", "<f8", [-100]]]},
        {"arrays": [["x", "<f8", [99]]]},
        {"arrays": [["x", "<f8", [1.5]]]},
        {"arrays": [["x", "<f8", "100"]]},
        {"arrays": [["x", "<f8", [2**62, 2**62]]]},
        {"arrays": [["x", "<f8", [100] + [1] * 64]]},
        {"arrays": [[1, "<f8", [100]]]},
    ],
)
def test_an_entry_that_is_none_is_damaged_whatever_its_checksum(cache, changed):
    cache.write(RECIPE, SHA, Feature(Outcome("ok"), {"x": np.zeros(100)}))
    (path,) = entries(cache)
    path.write_bytes(forged(path.read_bytes(), **changed))
    with pytest.raises(CacheError, match="extract"):
        cache.read(RECIPE, SHA)
    assert not entries(cache)


def test_a_long_first_line_is_read_whole(cache):
    detail = "x" * 10_000
    cache.write(RECIPE, SHA, Feature(Outcome("empty", "no-face", detail)))
    assert cache.outcome(RECIPE, SHA) == Outcome("empty", "no-face", detail)


def test_a_crash_while_writing_leaves_nothing_behind(cache, monkeypatch):
    from theval_datasets.utils import files

    monkeypatch.setattr(files.os, "fsync", _full)
    with pytest.raises(StorageError, match="No space"):
        cache.write(RECIPE, SHA, OK)
    assert not [p for p in Path(cache.location).rglob("*") if p.is_file()]
    assert cache.read(RECIPE, SHA) is None


def _full(handle: int) -> None:
    raise OSError(28, "No space left on device")


def test_the_specification_is_recorded_beside_the_entries(cache):
    cache.write(RECIPE, SHA, OK)
    assert Cache(cache.location).specs("landmarks") == [RECIPE]
    assert cache.specs("vad") == []
    (note,) = Path(cache.location).rglob("*.json")
    before = note.read_bytes()
    Cache(cache.location).write(RECIPE, "b" * 64, OK)
    assert note.read_bytes() == before
    for damaged in (b"", b"[]", b"{}", before.replace(b"av-1", b"av-2"), before[:-1], b"\xff"):
        note.write_bytes(damaged)
        assert cache.specs("landmarks") == []


def without_media(monkeypatch):
    def missing():
        raise MissingExtraError("no decoder here")

    monkeypatch.setattr(media, "decoder_version", missing)


def test_features_are_read_where_nothing_could_compute_them(cache, monkeypatch):
    signals = ThevalSignals()
    for extractor in with_needs([signals]):
        cache.write(spec_of(extractor, "av-1"), SHA, OK)
    without_media(monkeypatch)
    store = FeatureStore((signals,), cache, recorded=True)
    assert store.specs[signals] == spec_of(signals, "av-1")
    assert store.read(signals, SHA).outcome == OK.outcome
    with pytest.raises(MissingExtraError):
        FeatureStore((signals,), cache)
    with pytest.raises(MissingExtraError):
        FeatureStore((signals,), Cache(f"{cache.location}-empty"), recorded=True)


def test_other_parameters_versions_and_needs_are_not_read(cache, monkeypatch):
    vad = spec_of(Vad(), "av-1")
    for name, value in {"version": 99, "parameters": {"x": 1}, "needs": {"y": "z"}}.items():
        facts = {**vad.facts, name: value}
        other = FeatureSpec("vad", digest({"name": "vad", **facts}), facts)
        cache.write(other, SHA, OK)
    without_media(monkeypatch)
    with pytest.raises(MissingExtraError):
        FeatureStore((Vad(),), cache, recorded=True)


def test_features_of_two_decoders_are_not_mixed(cache, monkeypatch):
    for decoder in ("av-1", "av-2"):
        cache.write(spec_of(Vad(), decoder), SHA, OK)
    assert FeatureStore((Vad(),), cache, "av-2", recorded=True).specs[Vad()] == spec_of(
        Vad(), "av-2"
    )
    without_media(monkeypatch)
    with pytest.raises(CacheError, match=r"2 ways \(.*av-1.*av-2.*--without vad"):
        FeatureStore((Vad(),), cache, recorded=True)


def test_a_missing_model_leaves_what_was_computed_elsewhere(cache, monkeypatch):
    spec = spec_of(Vad(), "av-1")
    cache.write(spec, SHA, OK)

    def missing(self):
        raise WeightsMissingError("no model here")

    monkeypatch.setattr(Vad, "weights_id", missing)
    assert FeatureStore((Vad(),), cache, "av-1", recorded=True).specs == {Vad(): spec}
    assert FeatureStore((Vad(),), cache, "av-1").unavailable[Vad()].reason == "weights-missing"
    assert not FeatureStore((Vad(),), cache, "av-2", recorded=True).specs


def test_the_key_names_all_that_values_depend_on():
    base = spec_of(ThevalSignals(), "av-1")
    assert key_of(base, SHA) == key_of(spec_of(ThevalSignals(), "av-1"), SHA)
    assert key_of(base, SHA) != key_of(base, "b" * 64)
    # A newer decoder changes features of features too, through what they need.
    assert base.digest != spec_of(ThevalSignals(), "av-2").digest
    assert spec_of(HeadPose(), "av-1").digest != spec_of(HeadPose(), "av-2").digest


def test_other_weights_change_what_uses_them_alone(monkeypatch):
    before = {e.name: spec_of(e, "av-1").digest for e in (Landmarks(), Vad(), ThevalSignals())}
    monkeypatch.setattr(Vad, "weights_id", lambda self: "another model")
    after = {e.name: spec_of(e, "av-1").digest for e in (Landmarks(), Vad(), ThevalSignals())}
    assert before["landmarks"] == after["landmarks"]
    assert before["vad"] != after["vad"]
    assert before["theval_signals"] != after["theval_signals"]


def test_a_cache_that_is_no_folder_is_one_too():
    there = Cache("memory://somewhere/cache")
    there.write(RECIPE, SHA, OK)
    feature = there.read(RECIPE, SHA)
    assert feature is not None
    assert feature.values["time"].tolist() == OK.values["time"].tolist()
    assert there.outcome(RECIPE, SHA) == OK.outcome
    assert there.read(RECIPE, "b" * 64) is None


def test_a_url_is_a_cache_too(tmp_path):
    url = Cache(f"file://{tmp_path}/shared")
    url.write(RECIPE, SHA, OK)
    assert Cache(tmp_path / "shared").outcome(RECIPE, SHA) == OK.outcome
    memory = Cache("memory://theval-test")
    memory.write(RECIPE, SHA, OK)
    feature = memory.read(RECIPE, SHA)
    assert feature is not None
    assert feature.outcome == OK.outcome


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("nothing://place", "Protocol not known: nothing"),
        ("s3://bucket/cache", "s3fs"),
        ("gs://bucket/cache", "gcsfs"),
    ],
)
def test_a_cache_that_cannot_be_opened_is_wrong_input(location, message, monkeypatch):
    known = sys.modules["fsspec.registry"]._registry
    for package, name in (("s3fs", "s3"), ("gcsfs", "gs")):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(known, name, raising=False)
    with pytest.raises(InputError, match=f"the cache {location} cannot be opened: .*{message}"):
        Cache(location)


def test_default_location(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_location() == str(tmp_path / "theval-datasets" / "features")
    monkeypatch.setenv("THEVAL_CACHE", "/elsewhere")
    assert default_location() == "/elsewhere"


def test_objects_are_not_stored():
    with pytest.raises(TypeError, match="does not hold"):
        encoded(Feature(Outcome("ok"), {"x": np.array([{}])}))
