"""Making the clips of a dataset at the Hub again, with the Hub's own client against a test server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import Client, client_of
from hub_server import READER, Hub, serving_hub
from hub_store import Blob
from msgspec.structs import replace

from theval_datasets.commands.rebuild import rebuild
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.curation.clips.files import tools
from theval_datasets.manifest.info import Info, write_info
from theval_datasets.manifest.rows import ManifestRow, Source, read_manifest, write_manifest
from theval_datasets.manifest.tombstones import Tombstone
from theval_datasets.utils.files import sha256_file

QUICK = Encoding(preset="ultrafast")
NAME = "someone/set"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving_hub() as served:
        yield served


@pytest.fixture(scope="module")
def client(hub: Hub, tmp_path_factory) -> Iterator[Client]:
    with client_of(hub.url, tmp_path_factory.mktemp("client") / "hf") as result:
        yield result


@pytest.fixture(scope="module")
def sources(media, tmp_path_factory) -> Path:
    """The folder of the sources, which the dataset does not hold."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copy(media("plain"), folder)
    return folder


@pytest.fixture(scope="module")
def dataset(sources, tmp_path_factory) -> Path:
    """As `build` leaves it: manifest and info, no clips."""
    folder = tmp_path_factory.mktemp("dataset")
    rows = []
    for start, end in ((0.0, 0.8), (0.8, 2.0)):
        name = f"plain-{round(start * 1000)}-{round(end * 1000)}"
        clip = folder / f"{name}.mp4"
        facts = cut(sources / "plain.mp4", Piece(start, end), clip, QUICK)
        rows.append(
            ManifestRow(
                clip_id=name,
                path=f"clips/{name}.mp4",
                source=Source("local", "plain.mp4"),
                sha256=sha256_file(clip),
                start=start,
                end=end,
                media=facts,
                tools=tools() | QUICK.facts(),
                split="train",
            )
        )
        clip.unlink()
    write_manifest(folder / "manifest.jsonl", rows)
    write_info(folder, Info("theval/set", "0.1.0", "0.1.0", {}, {}, "0" * 64))
    return folder


def blobs(folder: Path) -> dict[str, Blob]:
    return {path.name: Blob(path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def repo(hub, dataset, tmp_path):
    """Version 0.1.0 with two clips; at main one of them was taken down."""
    hub.reset()
    hub.store.repos.pop(NAME, None)
    result = hub.store.create(NAME)
    result.tags["v0.1.0"] = result.add("main", "0.1.0", blobs(dataset)).oid
    later = tmp_path / "later"
    shutil.copytree(dataset, later)
    rows = [row for row in read_manifest(dataset).rows if row.start]
    write_manifest(later / "manifest.jsonl", rows)
    stones = (Tombstone("plain-0-800", "2026-01-02"),)
    write_info(later, Info("theval/set", "0.2.0", "0.1.0", {}, {}, "0" * 64, tombstones=stones))
    result.add("main", "0.2.0", blobs(later))
    return result


def again(client, name, out, sources, **more):
    cache = out.parent / "cache"
    options = ["--root", sources, "--cache", cache, "--workers", 1, "--json"]
    return client.run("rebuild", name, "-o", out, *options, **more)


def test_by_its_name(repo, client, sources, tmp_path):
    completed = again(client, NAME, tmp_path / "out", sources)
    assert completed.code == 0, completed.err
    assert completed.plain["counts"] == {"identical": 1}
    assert completed.plain["of"] == f"{NAME}@{repo.head.oid}"
    made = read_manifest(tmp_path / "out")
    assert [row.clip_id for row in made.rows] == ["plain-800-2000"]
    assert sha256_file(made.file(made.rows[0])) == made.rows[0].sha256


def test_of_an_earlier_version_what_was_taken_down_since_stays_down(
    repo, client, sources, tmp_path
):
    completed = again(client, f"{NAME}@v0.1.0", tmp_path / "out", sources)
    assert completed.code == 0, completed.err
    assert completed.plain["counts"] == {"identical": 1, "taken-down": 1}
    assert completed.plain["of"] == f"{NAME}@{repo.tags['v0.1.0']}"
    assert [p.name for p in (tmp_path / "out/clips").iterdir()] == ["plain-800-2000.mp4"]


def test_local_sources_that_are_not_here_are_gone(repo, client, tmp_path):
    completed = client.run("rebuild", NAME, "-o", tmp_path / "out", "--json")
    assert completed.code == 1
    (row,) = completed.plain["not_as_listed"]
    assert (row["status"], row["reason"]) == ("gone", "missing")
    assert "--root" in row["detail"]


def test_what_is_not_there_is_said(repo, hub, client, sources, tmp_path):
    hub.store.create("someone/empty")
    hub.store.create("someone/hidden", private=True)
    for name, word in (
        ("someone/none", "check the name"),
        (f"{NAME}@v9.9.9", "revision"),
        ("someone/empty", "manifest.jsonl"),
        ("someone/hidden", "logged in"),
    ):
        completed = again(client, name, tmp_path / "out", sources)
        assert completed.code == 2, (name, completed.err)
        assert word in json.loads(completed.out)["error"]["message"]
        assert "Traceback" not in completed.err
        assert not (tmp_path / "out").exists()


def test_what_may_not_be_read_is_said(repo, hub, client, sources, tmp_path):
    hub.store.create("someone/gated")
    hub.fail("GET", "someone/gated", 403, times=9)
    completed = again(client, "someone/gated", tmp_path / "out", sources, token=READER)
    assert completed.code == 2
    assert "ask for access" in json.loads(completed.out)["error"]["message"]
    assert READER not in completed.out
    assert READER not in completed.err


def test_without_a_network_it_is_said(sources, tmp_path):
    with client_of("http://127.0.0.1:9", tmp_path / "hf") as client:
        completed = again(client, NAME, tmp_path / "out", sources)
    assert completed.code == 1
    assert NAME in json.loads(completed.out)["error"]["message"]
    assert "Traceback" not in completed.err


def test_a_built_datasets_folder(dataset, sources, tmp_path):
    folder = tmp_path / "theval" / "set"
    shutil.copytree(dataset, folder)
    report = rebuild(
        str(folder), tmp_path / "out", root=sources, cache=str(tmp_path / "cache"), workers=1
    )
    assert report.counts == {"identical": 2}
    info = json.loads((folder / "info.json").read_text())
    info["tombstones"] = [{"clip_id": "plain-0-800", "date": "2026-01-02"}]
    (folder / "info.json").write_text(json.dumps(info))
    report = rebuild(
        str(folder), tmp_path / "more", root=sources, cache=str(tmp_path / "cache"), workers=1
    )
    assert report.counts == {"identical": 1, "taken-down": 1}


def test_a_hostile_manifest_at_the_hub_reaches_nothing(hub, repo, client, dataset, tmp_path):
    (tmp_path / "secret.mp4").write_bytes(b"x")
    row = read_manifest(dataset).rows[0]
    rows = [
        replace(row, clip_id="up", source=Source("local", "../secret.mp4")),
        replace(row, clip_id="file", source=Source("url", "file:///etc/passwd")),
        replace(row, clip_id="near", source=Source("url", "http://127.0.0.1:9/a.mp4")),
    ]
    write_manifest(tmp_path / "manifest.jsonl", rows)
    bad = hub.store.create("someone/bad")
    bad.add("main", "0.1.0", {"manifest.jsonl": Blob((tmp_path / "manifest.jsonl").read_bytes())})
    (tmp_path / "root").mkdir()
    completed = again(client, "someone/bad", tmp_path / "out", tmp_path / "root")
    assert completed.code == 1
    reasons = {item["clip_id"]: item["reason"] for item in completed.plain["not_as_listed"]}
    assert reasons == {"up": "unsafe", "file": "unsafe", "near": "private-address"}
