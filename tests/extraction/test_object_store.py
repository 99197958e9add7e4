"""The cache on an object store: a server of S3 on this machine, and file systems that fail."""

from __future__ import annotations

import itertools
from dataclasses import replace

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.errors import CacheError, StorageError
from theval_datasets.extraction.cache import Cache, FeatureSpec, key_of
from theval_datasets.extraction.outcomes import Feature, Outcome

SHA = "a" * 64
SPEC = FeatureSpec(
    "colour", "d" * 64, {"version": 1, "parameters": {}, "weights": "", "decoder": "", "needs": {}}
)
SMALL = Feature(Outcome("ok"), {"x": np.arange(10.0)})
LARGE = Feature(Outcome("ok"), {"x": np.random.default_rng(0).integers(0, 256, 9 << 20, np.uint8)})
NUMBERS = itertools.count()


class ClientError(Exception):
    """An error as clients of object stores have them: no OSError."""


class Failing(MemoryFileSystem):
    protocol = "failing"
    cachable = False
    error: Exception | None = None

    def cat_file(self, *args, **given):
        return self._or_fail(super().cat_file, *args, **given)

    def put_file(self, lpath, rpath, callback=None, mode="overwrite", **given):
        return self._or_fail(super().put_file, lpath, rpath, mode=mode, **given)

    def exists(self, *args, **given):
        return self._or_fail(super().exists, *args, **given)

    def glob(self, *args, **given):
        return self._or_fail(super().glob, *args, **given)

    def _or_fail(self, function, *args, **given):
        if type(self).error is not None:
            raise type(self).error
        return function(*args, **given)


@pytest.fixture
def failing(monkeypatch):
    fsspec.register_implementation("failing", Failing, clobber=True)
    return Cache(f"failing://{next(NUMBERS)}")


@pytest.mark.parametrize(
    "error",
    [
        ClientError("no credentials"),
        OSError(5, "no credentials"),
        PermissionError("no credentials"),
    ],
)
@pytest.mark.parametrize("action", ["outcome", "read", "write", "specs"])
def test_every_error_of_a_store_names_the_cache(failing, monkeypatch, error, action):
    failing.write(SPEC, SHA, SMALL)
    monkeypatch.setattr(Failing, "error", error)
    actions = {
        "outcome": lambda: failing.outcome(SPEC, SHA),
        "read": lambda: failing.read(SPEC, SHA),
        "write": lambda: Cache(failing.location).write(SPEC, SHA, SMALL),
        "specs": lambda: failing.specs("colour"),
    }
    with pytest.raises(StorageError, match=rf"{failing.location} cannot be .*: .*no credentials"):
        actions[action]()


@pytest.mark.parametrize("error", [MemoryError("little"), ValueError("a bug"), KeyError("a bug")])
def test_faults_of_the_program_are_not_the_stores(failing, monkeypatch, error):
    monkeypatch.setattr(Failing, "error", error)
    with pytest.raises(type(error)):
        failing.read(SPEC, SHA)


pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def same(feature, other):
    assert feature is not None
    assert feature.outcome == other.outcome
    assert np.array_equal(feature.values["x"], other.values["x"])


def test_a_server_of_s3_is_a_cache(s3_server):
    location = s3_server.url
    cache = Cache(location)
    assert cache.outcome(SPEC, SHA) is None
    assert s3_server.counts() == {"GET": 1}
    cache.write(SPEC, SHA, SMALL)
    assert s3_server.counts()["PUT"] == 2  # the entry, and once the specification
    cache.write(SPEC, "b" * 64, SMALL)
    assert s3_server.counts() == {"PUT": 1}
    assert cache.outcome(SPEC, SHA) == SMALL.outcome
    assert s3_server.counts() == {"GET": 1}
    same(cache.read(SPEC, SHA), SMALL)
    assert s3_server.counts() == {"GET": 1}
    cache.write(SPEC, "c" * 64, LARGE)
    same(cache.read(SPEC, "c" * 64), LARGE)
    assert [spec.digest for spec in Cache(location).specs("colour")] == []  # its digest is made up
    with pytest.raises(StorageError, match="cannot be written"):
        Cache("s3://no-such-bucket/cache").write(SPEC, SHA, SMALL)


def test_an_intact_entry_stays_and_a_damaged_one_is_replaced(s3_server):
    location = s3_server.url
    cache = Cache(location)
    cache.write(SPEC, SHA, SMALL)
    key = key_of(SPEC, SHA)
    path = f"{location.removeprefix('s3://')}/colour/{key[:2]}/{key}.feature"
    files = fsspec.filesystem("s3")
    before = files.info(path)["LastModified"]
    other = replace(SMALL, values={"x": np.arange(20.0)})
    cache.write(SPEC, SHA, other)
    same(cache.read(SPEC, SHA), SMALL)
    files.invalidate_cache()
    assert files.info(path)["LastModified"] == before
    files.pipe_file(path, b"damaged")
    cache.write(SPEC, SHA, other)
    same(cache.read(SPEC, SHA), other)
    files.pipe_file(path, b"damaged")
    with pytest.raises(CacheError, match="removed"):
        cache.read(SPEC, SHA)
    assert cache.read(SPEC, SHA) is None


def test_without_credentials_the_cache_is_named(s3_server, monkeypatch):
    location = s3_server.url
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StorageError, match=f"{location} cannot be read: .*credentials"):
        Cache(location).outcome(SPEC, SHA)


def test_features_are_extracted_into_s3(s3_server, media, tmp_path):
    location = s3_server.url
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("plain", "vfr", "late_audio"):
        (folder / f"{name}.mp4").write_bytes(media(name).read_bytes())
    curate([folder], tmp_path / "work", workers=1)
    names = ["audio_levels", "vad"]
    extract(tmp_path / "work", features=names, cache=str(tmp_path / "local"), workers=2)
    there = extract(tmp_path / "work", features=names, cache=location, workers=2)
    first = s3_server.counts()
    assert there.computed == {"audio_levels": 3, "vad": 3}
    again = extract(tmp_path / "work", features=names, cache=location, workers=2)
    assert not again.computed
    assert s3_server.counts() == {"GET": 3 * 2}  # one request a clip and extractor
    entries = {p.name: p.read_bytes() for p in (tmp_path / "local").rglob("*.feature")}
    files = fsspec.filesystem("s3")
    found = files.find(location.removeprefix("s3://"))
    stored = {p.rpartition("/")[2]: files.cat_file(p) for p in found if p.endswith(".feature")}
    assert stored == entries
    # a look here and one of the worker, and one write; the specifications come on top, once a worker
    assert 3 * 2 <= first["GET"] <= 3 * 2 * 2 + 2 * 2
    assert 3 * 2 + 2 <= first["PUT"] <= 3 * 2 + 2 * 2 * 2
