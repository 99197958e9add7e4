"""Commands whose input and output lie on a server of S3 on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import datasets
import fsspec
import pytest

from theval_datasets.commands.build import build
from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.commands.rebuild import rebuild
from theval_datasets.commands.score import score
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError, ManifestError, StorageError, UnsafePathError
from theval_datasets.manifest.rows import StoredManifest, open_manifest, read_manifest
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.stores import RemotePath, location_of, staged

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
NAMES = ("plain", "vfr", "late_audio")
FEATURES = ["audio_levels", "vad"]


@pytest.fixture(scope="session")
def curated(media, tmp_path_factory):
    """A folder of curated clips."""
    folder = tmp_path_factory.mktemp("curated")
    (folder / "in").mkdir()
    for name in NAMES:
        shutil.copy(media(name), folder / "in" / f"{name}.mp4")
    curate([folder / "in"], folder / "work", workers=1)
    return folder / "work"


def put(folder: Path, url: str) -> None:
    """Store a folder's files, the manifest last."""
    files = fsspec.filesystem("s3")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: path.name == "manifest.jsonl"):
        files.put_file(str(path), f"{url}/{path.relative_to(folder).as_posix()}")


@pytest.fixture
def work(curated, s3_server):
    """The same folder on the server."""
    put(curated, f"{s3_server.url}/work")
    s3_server.requests.clear()
    return f"{s3_server.url}/work"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def entries(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in folder.rglob("*.feature")}
    assert found
    return found


def test_a_manifest_is_streamed(curated, work):
    rows = list(open_manifest(location_of(work)).rows)
    assert rows == sorted(read_manifest(curated).rows, key=lambda row: row.clip_id)
    assert list(open_manifest(location_of(f"{work}/manifest.jsonl")).rows) == rows


def test_clips_are_read_where_they_lie_one_request_each(curated, work, s3_server, tmp_path):
    extract(curated, features=FEATURES, cache=str(tmp_path / "here"), workers=1)
    done = extract(work, features=FEATURES, cache=str(tmp_path / "there"), workers=1)
    assert done.computed == dict.fromkeys(FEATURES, 3)
    assert entries(tmp_path / "there") == entries(tmp_path / "here")
    clips = Counter(path for method, path in s3_server.requests if "/clips/" in path)
    assert sorted(clips.values()) == [1] * len(NAMES)
    s3_server.requests.clear()
    again = extract(work, features=FEATURES, cache=str(tmp_path / "there"), workers=1)
    assert not again.computed
    assert not [path for _, path in s3_server.requests if "/clips/" in path]
    assert len(s3_server.requests) <= 8  # the manifest twice, and a list of the clips


def test_a_clip_that_is_newer_than_its_manifest_is_looked_at(work, s3_server, tmp_path):
    cache = str(tmp_path / "cache")
    extract(work, features=FEATURES, cache=cache, workers=1)
    files = fsspec.filesystem("s3")
    (path, *_) = files.find(f"{work}/clips")
    changed = bytearray(files.cat_file(path))
    changed[-1] ^= 1
    time.sleep(1.1)  # times of objects are whole seconds
    files.pipe_file(path, bytes(changed))
    done = extract(work, features=FEATURES, cache=cache, workers=1)
    assert {(r.outcome.status, r.outcome.reason) for r in done.remarks} == {("failed", "changed")}
    assert {r.clip_id for r in done.remarks} == {Path(path).stem}
    files.rm_file(path)
    done = extract(work, features=FEATURES, cache=cache, workers=1)
    assert {r.outcome.reason for r in done.remarks} == {"missing"}


def test_an_interrupted_transfer_is_repeated(work, s3_server, tmp_path):
    clips = [f"/{path}" for path in fsspec.filesystem("s3").find(f"{work}/clips")]
    s3_server.broken += clips
    done = extract(work, features=["vad"], cache=str(tmp_path / "cache"), workers=1)
    assert not s3_server.broken
    assert done.computed == {"vad": 3}
    assert done.exit_code == 0


def test_copies_of_clips_do_not_stay(work, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with staged(location_of(work) / "clips/plain.mp4") as file:
        assert file.name == "plain.mp4"
        assert file.is_relative_to(tmp_path / "tmp")
        assert sha256_file(file) == open_manifest(location_of(work)).rows[1].sha256
    assert not list((tmp_path / "tmp").iterdir())


def test_a_dataset_is_built_from_and_into_a_store(curated, work, s3_server, tmp_path, monkeypatch):
    cache = str(tmp_path / "cache")
    extract(curated, features=FEATURES, cache=cache, workers=1)
    given = {"cache": cache, "configs": ["features", "media"], "repository": "lab/talk"}
    here = build("clips", tmp_path / "out", manifest=curated, workers=1, **given).release
    where = f"{s3_server.url}/out"
    made = build("clips", where, manifest=work, workers=2, **given).release
    stores = [path for method, path in s3_server.requests if method == "PUT"]
    assert stores[-1] == f"/{where.removeprefix('s3://')}/lab/talk/info.json"
    assert str(made.folder) == f"{where}/lab/talk"
    assert made.info == here.info
    files = fsspec.filesystem("s3")
    root = f"{where}/lab/talk".removeprefix("s3://")
    stored = {path.removeprefix(f"{root}/"): files.cat_file(path) for path in files.find(root)}
    assert isinstance(here.folder, Path)
    assert stored == tree(here.folder)
    assert verify(f"{where}/lab/talk", workers=2).exit_code == 0
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    rows = datasets.load_dataset(
        "parquet", data_files=f"{where}/lab/talk/features/*.parquet", cache_dir=str(tmp_path / "hf")
    )
    assert rows["train"]["clip_id"] == sorted(NAMES)


def test_verify_sees_what_a_store_holds(curated, work, s3_server, tmp_path):
    build("clips", f"{s3_server.url}/out", manifest=work, repository="lab/talk", workers=1)
    place = f"{s3_server.url}/out/lab/talk"
    assert verify(place).exit_code == 0
    files = fsspec.filesystem("s3")
    files.pipe_file(f"{place}/features/../more.txt", b"x")
    files.pipe_file(f"{place}/README.md", b"x")
    (check,) = verify(place).checks
    assert "README.md has 1 bytes" in check.detail
    assert "features/../more.txt is not listed" in check.detail
    with pytest.raises(InputError, match=r"is not a built dataset: it has no info\.json"):
        verify(f"{s3_server.url}/elsewhere")


def test_what_a_store_holds_is_not_replaced(curated, s3_server, tmp_path):
    given = {"manifest": curated, "repository": "lab/talk", "workers": 1}
    where = f"{s3_server.url}/out"
    build("clips", where, **given)
    files = fsspec.filesystem("s3")
    before = {path: files.cat_file(path) for path in files.find(where)}
    build("clips", where, **given)  # the same files
    with pytest.raises(InputError, match="is there already and is another file"):
        build("clips", where, version="0.2.0", **given)
    files.invalidate_cache()
    assert {path: files.cat_file(path) for path in files.find(where)} == before
    (info,) = (path for path in before if path.endswith("info.json"))
    table, *_ = (path for path in before if path.endswith(".parquet"))
    files.rm([info, table])  # as if the build had been killed
    build("clips", where, **given)
    files.invalidate_cache()
    assert {path: files.cat_file(path) for path in files.find(where)} == before


@pytest.mark.slow
def test_a_cluster_needs_no_common_folder(curated, work, s3_server, tmp_path):
    """Media, manifest, cache and output on the server; what the nodes share is not used."""
    ray = pytest.importorskip("ray", reason="needs the extra [ray]")
    from ray.cluster_utils import Cluster

    local = str(tmp_path / "cache")
    extract(curated, features=FEATURES, cache=local, workers=1)
    given = {"configs": ["features", "media"], "repository": "lab/talk"}
    here = build("clips", tmp_path / "out", manifest=curated, cache=local, workers=1, **given)
    cache, where = f"{s3_server.url}/cache", f"{s3_server.url}/out"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        on = {"engine": "ray", "address": cluster.address, "workers": 2, "cache": cache}
        assert extract(work, features=FEATURES, **on).computed == dict.fromkeys(FEATURES, 3)
        made = build("clips", where, manifest=work, **given, **on)
        sent = {path for method, path in s3_server.requests if ".shards/" in path}
        place = made.release.folder
        report = verify(str(place), engine="ray", address=cluster.address, workers=2)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert {path.split(".shards/")[1] for path in sent} == {
        "features/train.0.part",
        "media/train.0.part",
    }
    assert report.exit_code == 0, report.to_text()
    files = fsspec.filesystem("s3")
    files.invalidate_cache()
    found = {path.partition("/out/")[2]: files.cat_file(path) for path in files.find(where)}
    assert isinstance(here.release.folder, Path)
    assert found == {f"lab/talk/{name}": data for name, data in tree(here.release.folder).items()}


def test_videos_of_a_store_are_scored(media, s3_server, tmp_path):
    files = fsspec.filesystem("s3")
    names = ("plain.mp4", "a/../plain.mp4", "a::file:///etc/passwd.mp4", "notes.txt")
    for name in names:
        files.pipe_file(f"{s3_server.url}/videos/{name}", media("plain").read_bytes())
    s3_server.requests.clear()
    scored = score([f"{s3_server.url}/videos"], cache=str(tmp_path / "cache"), workers=1)
    here = score([media("plain")], cache=str(tmp_path / "cache"), workers=1)
    assert [clip.path for clip in scored.clips] == [
        f"{s3_server.url}/videos/{name}" for name in sorted(names[:3])
    ]
    for clip in scored.clips:
        assert (clip.metrics, clip.missing, clip.size) == (
            here.clips[0].metrics,
            here.clips[0].missing,
            here.clips[0].size,
        )
    single = score([f"{s3_server.url}/videos/plain.mp4"], cache=str(tmp_path / "cache"), workers=1)
    assert single.clips[0].metrics == here.clips[0].metrics
    with pytest.raises(InputError, match="there is no file or folder"):
        score([f"{s3_server.url}/videos/none.mp4"])


def test_clips_are_rebuilt_from_a_manifest_of_a_store(curated, work, tmp_path):
    put_stone(work, "vfr")
    given = {"root": curated, "cache": str(tmp_path / "cache"), "workers": 1}
    report = rebuild(work, tmp_path / "again", **given)
    assert report.of == work
    assert report.counts == {"identical": 2, "taken-down": 1}
    with pytest.raises(InputError, match="there is no manifest at s3://bucket/none/manifest"):
        rebuild("s3://bucket/none", tmp_path / "none")
    with pytest.raises(InputError, match="expected a folder of this machine with -o"):
        rebuild(work, "s3://bucket/again")


def put_stone(url: str, clip_id: str) -> None:
    stone = json.dumps({"clip_id": clip_id, "date": "2026-01-01"})
    fsspec.filesystem("s3").pipe_file(f"{url}/tombstones.jsonl", stone.encode())


def test_clips_that_were_taken_down_are_not_built(work, s3_server):
    put_stone(work, "vfr")
    made = build("clips", f"{s3_server.url}/out", manifest=work, repository="lab/talk", workers=1)
    assert made.release.info.configs["features"].rows == 2


def test_errors_name_the_place(work, s3_server, monkeypatch, tmp_path):
    with pytest.raises(ManifestError, match="there is no manifest at s3://bucket/none/manifest"):
        extract("s3://bucket/none")
    with pytest.raises(ManifestError, match=r"no manifest at s3://no-such-bucket/.*bucket"):
        extract("s3://no-such-bucket/work")
    with pytest.raises(
        StorageError, match=r"s3://no-such-bucket/out/.* cannot be written: .*bucket"
    ):
        build("clips", "s3://no-such-bucket/out", manifest=work, repository="lab/talk", workers=1)
    with pytest.raises(InputError, match="expected a path or the URL of an object store"):
        extract("https://example.org/work")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StorageError, match=r"manifest\.jsonl cannot be read: .*credentials"):
        extract(work)


def test_without_the_package_that_opens_it_a_url_is_wrong_input(monkeypatch):
    known = sys.modules["fsspec.registry"]._registry
    for package, name in (("s3fs", "s3"), ("gcsfs", "gs")):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(known, name, raising=False)
        with pytest.raises(InputError, match=f"{name}://bucket/work cannot be opened: .*{package}"):
            extract(f"{name}://bucket/work")


@pytest.mark.parametrize("path", ["../a.mp4", "clips/../../a.mp4", "/a.mp4", "clips//a.mp4", "a\0"])
def test_paths_of_rows_do_not_leave_the_folder(path):
    manifest = StoredManifest(RemotePath("memory://work"), None)
    with pytest.raises(UnsafePathError, match="below memory://work"):
        manifest.inside(path)
    assert str(manifest.inside("clips\\a.mp4")) == "memory://work/clips/a.mp4"


@pytest.mark.parametrize(
    "words",
    [
        ["extract", "memory://x/work"],
        ["verify", "memory://x/work"],
        ["score", "memory://x/work"],
        ["rebuild", "memory://x/work", "-o", "again"],
        ["build", "clips", "--name", "lab/talk", "--manifest", "memory://x/work", "-o", "out"],
    ],
)
def test_the_command_line_leaves_urls_as_they_are(words):
    done = subprocess.run(
        [sys.executable, "-m", "theval_datasets", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "memory://x/work" in " ".join(done.stderr.split())
