"""Publishing, against a server of the Hub's protocol, with the Hub's own client."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from feature_factory import DECODER, row, small_corpus
from hub_client import Client, client_of
from hub_server import READER, SIGNED, WRITER, Hub, serving_hub
from hub_store import Blob

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.extraction.cache import spec_of
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.features.arcface import Arcface
from theval_datasets.hub.errors import explain
from theval_datasets.manifest.rows import ManifestRow, Source, write_manifest
from theval_datasets.utils.files import sha256_file


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> dict[str, Path]:
    """Versions of one small dataset; from 0.2.0 on a clip is taken down and another is new."""
    folder = tmp_path_factory.mktemp("releases")
    corpus = small_corpus(folder / "corpus")
    by_name = {}
    for version in ("0.1.0", "0.2.0", "0.3.0"):
        if version == "0.2.0":
            corpus.rows = [row for row in corpus.rows if row.clip_id != "room"]
            corpus.add(row("zebra"))
            stone = {"clip_id": "room", "date": "2026-01-31"}
            (corpus.folder / "tombstones.jsonl").write_text(json.dumps(stone) + "\n")
        by_name[version] = write_release(
            Theval,
            Inputs(corpus.manifest, corpus.cache),
            folder / version,
            decoder=DECODER,
            version=version,
        ).folder
    return by_name


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with serving_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def client(served: Hub, tmp_path_factory) -> Iterator[Client]:
    with client_of(served.url, tmp_path_factory.mktemp("client") / "hf") as client:
        yield client


@pytest.fixture
def hub(served: Hub) -> Iterator[Hub]:
    served.reset()
    yield served
    assert served.unknown == []
    assert served.failures == []
    assert served.meanwhile == []


@pytest.fixture
def name(request) -> str:
    return "someone/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]


def committed(hub: Hub, name: str, folder: Path) -> bool:
    """Whether the head holds the release, every byte, and nothing else."""
    files = {p: blob.data for p, blob in hub.store.repos[name].head.files.items()}
    files.pop(".gitattributes")
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return files == {path: file.read_bytes() for path, file in there.items()}


def writes(hub: Hub) -> list[str]:
    """The requests that changed something, each as its last telling part."""
    kinds = {"create": "create", "PUT": "send", "/commit/": "commit", "/tag/": "tag"}
    collected = []
    for method, path, _ in hub.log:
        if method in ("POST", "PUT"):
            collected += [kinds[key] for key in kinds if key in f"{method} {path}"]
    return collected


def test_a_dry_run_changes_nothing(hub, client, releases, name):
    completed = client.push(releases["0.1.0"], name, "--dry-run", "--json", token=WRITER)
    assert completed.code == 0
    plain = completed.plain
    assert plain["dry_run"]
    assert plain["new"]
    assert (plain["tag"], plain["private"], plain["commit"]) == ("v0.1.0", False, None)
    size = (releases["0.1.0"] / "info.json").stat().st_size
    assert plain["add"]["info.json"] == size
    assert name not in hub.store.repos
    assert {method for method, _, _ in hub.log} == {"GET"}


def test_one_commit_then_the_tag(hub, client, releases, name):
    folder = releases["0.1.0"]
    completed = client.push(folder, name, token=WRITER)
    assert completed.code == 0, completed.err
    repo = hub.store.repos[name]
    assert committed(hub, name, folder)
    assert repo.tags == {"v0.1.0": repo.head.oid}
    assert [commit.title for commit in repo.commits.values()] == [
        "initial commit",
        "theval/theval 0.1.0",
    ]
    assert writes(hub) == ["create", "send", "send", "commit", "tag"]
    assert "note: the card's examples load theval/theval" in completed.out
    assert 'revision="v0.1.0"' in completed.out
    assert not repo.private


def test_the_next_version_sends_what_changed(hub, client, releases, name):
    client.push(releases["0.1.0"], name, token=WRITER)
    hub.reset()
    completed = client.push(releases["0.2.0"], name, "--json", token=WRITER)
    assert completed.code == 0, completed.err
    assert completed.plain["previous"] == "0.1.0"
    repo = hub.store.repos[name]
    assert committed(hub, name, releases["0.2.0"])
    assert repo.at("v0.2.0") is repo.head
    assert repo.head.parent == repo.at("v0.1.0").oid
    hub.reset()
    completed = client.push(
        releases["0.3.0"], name, "--json", token=WRITER
    )  # the same tables again
    assert completed.code == 0, completed.err
    assert hub.uploads() == []
    tables = [path for path in repo.head.files if path.endswith(".parquet")]
    assert len(tables) == 2
    assert set(tables) <= set(completed.plain["unchanged"])
    assert completed.plain["add"].keys() == {"README.md", "croissant.json", "info.json"}


@pytest.mark.slow
def test_what_a_version_lacks_is_deleted_and_other_files_stay(
    hub, client, releases, name, tmp_path
):
    client.push(releases["0.1.0"], name, token=WRITER)
    repo = hub.store.repos[name]
    repo.add("main", "by hand", {**repo.head.files, "LICENSE": Blob(b"terms")})
    corpus = small_corpus(tmp_path / "corpus")
    fewer = write_release(
        Theval,
        Inputs(corpus.manifest, corpus.cache),
        tmp_path,
        decoder=DECODER,
        version="0.2.0",
        configs=["features"],
    ).folder
    completed = client.push(fewer, name, "--json", token=WRITER)
    assert completed.code == 0, completed.err
    assert completed.plain["delete"] == ["landmarks/train-00000-of-00001.parquet"]
    assert "left unchanged" in " ".join(completed.plain["notes"])
    assert repo.head.files["LICENSE"].data == b"terms"
    assert "landmarks/train-00000-of-00001.parquet" not in repo.head.files
    assert "landmarks/train-00000-of-00001.parquet" in repo.at("v0.1.0").files


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("0.3.0", "0.2.0", "already at version 0.3.0, got the older version 0.2.0"),
        ("0.2.0", "0.1.0", "already at version 0.2.0, got the older version 0.1.0"),
    ],
)
def test_versions_only_grow(hub, client, releases, name, first, second, expected):
    assert client.push(releases[first], name, token=WRITER).code == 0
    before = dict(hub.store.repos[name].commits)
    hub.reset()
    completed = client.push(releases[second], name, token=WRITER)
    assert completed.code == 1
    assert expected in completed.err
    assert hub.store.repos[name].commits == before
    assert writes(hub) == []


def test_a_complete_push_may_be_repeated(hub, client, releases, name):
    for version in ("0.1.0", "0.2.0"):
        assert client.push(releases[version], name, token=WRITER).code == 0
    repo = hub.store.repos[name]
    before, tags = dict(repo.commits), dict(repo.tags)
    hub.reset()
    for version in ("0.2.0", "0.1.0"):  # the newest, and one that others followed
        again = client.push(releases[version], name, token=WRITER)
        assert again.code == 0, again.err
        assert "already published: nothing to send" in again.out
        assert f"v{version} is {tags[f'v{version}']}" in again.out
        planned = client.push(releases[version], name, "--dry-run", "--json", token=WRITER).plain
        assert planned["add"] == {}
        assert planned["delete"] == []
    assert writes(hub) == []
    assert (repo.commits, repo.tags) == (before, tags)


def test_a_tag_on_other_files_is_refused(hub, client, releases, name, tmp_path):
    assert client.push(releases["0.1.0"], name, token=WRITER).code == 0
    repo = hub.store.repos[name]
    card = repo.head.files["README.md"]
    repo.head.files["README.md"] = Blob(card.data + b"more")
    before = dict(repo.commits)
    again = client.push(releases["0.1.0"], name, token=WRITER)
    assert again.code == 1
    assert "already has the tag v0.1.0, with other files (README.md" in again.err
    assert repo.commits == before


@pytest.mark.slow
def test_a_version_that_only_a_tag_remembers_counts(hub, client, releases, name):
    client.push(releases["0.1.0"], name, token=WRITER)
    repo = hub.store.repos[name]
    repo.tags |= {"v0.10.0": repo.head.oid, "v9": repo.head.oid, "draft": repo.head.oid}
    completed = client.push(releases["0.2.0"], name, token=WRITER)
    assert completed.code == 1
    assert "already at version 0.10.0" in completed.err


@pytest.mark.slow
def test_nothing_of_somebody_else_is_overwritten(hub, client, releases, name):
    repo = hub.store.create(name)
    repo.add("main", "mine", {**repo.head.files, "data.csv": Blob(b"a,b\n")})
    completed = client.push(releases["0.1.0"], name, token=WRITER)
    assert completed.code == 1
    assert "no info.json" in completed.err
    info = json.loads((releases["0.1.0"] / "info.json").read_text())
    other = json.dumps({**info, "dataset": "theval/thqa"}).encode()
    repo.add("main", "mine", {".gitattributes": Blob(b""), "info.json": Blob(other)})
    completed = client.push(releases["0.2.0"], name, token=WRITER)
    assert completed.code == 1
    assert "holds theval/thqa, and this is theval/theval" in completed.err
    repo.add("main", "mine", {"info.json": Blob(b"{}")})
    completed = client.push(releases["0.2.0"], name, token=WRITER)
    assert completed.code == 1
    assert "info.json that is not a dataset's" in completed.err
    assert writes(hub) == []


@pytest.mark.parametrize("fault", ["stray", "changed", "lacking"])
def test_a_dirty_build_stays_here(hub, client, releases, name, tmp_path, fault):
    folder = tmp_path / "theval"
    shutil.copytree(releases["0.1.0"], folder)
    if fault == "stray":
        (folder / "features" / "notes.txt").write_text("mine")
    elif fault == "changed":
        path = folder / "features" / "train-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    else:
        (folder / "manifest.jsonl").unlink()
    completed = client.push(folder, name, token=WRITER)
    assert completed.code == 1
    assert "was changed since it was built" in completed.err
    assert hub.log == []


@pytest.mark.slow
def test_somebody_else_commits_meanwhile(hub, client, releases, name):
    client.push(releases["0.1.0"], name, token=WRITER)
    repo = hub.store.repos[name]

    def faster():
        repo.add("main", "a typo", {**repo.head.files, "LICENSE": Blob(b"terms")})

    hub.meanwhile.append(("POST", "/commit/main", faster))
    completed = client.push(releases["0.2.0"], name, token=WRITER)
    assert completed.code == 1
    assert "answered 412" in completed.err
    assert "somebody else committed" in completed.err
    assert repo.head.title == "a typo"
    assert repo.tags.keys() == {"v0.1.0"}
    hub.log.clear()
    assert client.push(releases["0.2.0"], name, token=WRITER).code == 0
    assert hub.uploads() == []  # they were there already
    assert repo.at("v0.2.0").files["LICENSE"].data == b"terms"


@pytest.mark.slow
def test_a_file_that_changes_meanwhile(hub, client, releases, name, tmp_path):
    folder = tmp_path / "theval"
    shutil.copytree(releases["0.1.0"], folder)

    def change():
        (folder / "manifest.jsonl").write_text("{}\n")

    hub.meanwhile.append(("POST", "/objects/batch", change))
    completed = client.push(folder, name, token=WRITER)
    assert completed.code == 1
    assert "manifest.jsonl changed while it was being pushed" in completed.err
    assert len(hub.store.repos[name].commits) == 1


@pytest.mark.slow
def test_a_refused_upload_is_resumed(hub, client, releases, name):
    broken = json.loads((releases["0.2.0"] / "info.json").read_text())["files"]
    oid = broken["landmarks/train-00000-of-00001.parquet"]["sha256"]
    hub.store.large.clear()
    hub.fail("PUT", oid, 403, message="Request has expired")
    completed = client.push(releases["0.2.0"], name, token=WRITER)
    assert completed.code == 1
    assert "answered 403 (Request has expired)" in completed.err
    assert len(hub.store.repos[name].commits) == 1
    assert hub.store.repos[name].tags == {}
    hub.log.clear()
    completed = client.push(releases["0.2.0"], name, token=WRITER)
    assert completed.code == 0, completed.err
    assert hub.uploads() == [oid]
    assert committed(hub, name, releases["0.2.0"])


@pytest.mark.slow
def test_a_cut_connection_and_a_passing_error_are_ridden_out(hub, client, releases, name):
    hub.store.large.clear()
    hub.fail("PUT", "/storage/", 0, after=1000)
    hub.fail("POST", "/objects/batch", 500)
    completed = client.push(releases["0.1.0"], name, token=WRITER)
    assert completed.code == 0, completed.err
    assert len(hub.uploads()) == 3
    assert committed(hub, name, releases["0.1.0"])


@pytest.mark.slow
def test_a_killed_push_is_resumed(hub, releases, name, tmp_path):
    import os
    import signal
    import subprocess
    import sys
    import threading

    from hub_client import environment

    hub.store.large.clear()
    files = json.loads((releases["0.1.0"] / "info.json").read_text())["files"]
    oid = files["landmarks/train-00000-of-00001.parquet"]["sha256"]
    other = files["features/train-00000-of-00001.parquet"]["sha256"]
    held = threading.Event()
    failure = hub.fail("PUT", oid, 0, after=5000, hold=held)
    words = [sys.executable, "-m", "theval_datasets", "push", str(releases["0.1.0"]), name]
    env = {**environment(hub.url, tmp_path / "hf"), "HF_TOKEN": WRITER}
    with subprocess.Popen(words, env=env) as process:
        assert failure.begun.wait(60)
        for _ in range(200):
            if other in hub.store.large:
                break
            held.wait(0.05)
        os.kill(process.pid, signal.SIGKILL)
    held.set()
    assert set(hub.store.large) == {other}
    assert len(hub.store.repos[name].commits) == 1
    hub.log.clear()
    done = subprocess.run(words, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert hub.uploads() == [oid]
    assert committed(hub, name, releases["0.1.0"])


@pytest.mark.slow
def test_a_commit_without_its_tag_gets_it(hub, client, releases, name):
    hub.fail("POST", "/tag/", 500)
    completed = client.push(releases["0.1.0"], name, token=WRITER)
    assert completed.code == 1
    assert "the tag v0.1.0 is not set; push again" in completed.err
    repo = hub.store.repos[name]
    assert committed(hub, name, releases["0.1.0"])
    completed = client.push(releases["0.1.0"], name, "--dry-run", token=WRITER)
    assert "only the tag v0.1.0 is missing" in completed.out
    hub.log.clear()
    completed = client.push(releases["0.1.0"], name, token=WRITER)
    assert completed.code == 0, completed.err
    assert writes(hub) == ["tag"]
    assert repo.tags == {"v0.1.0": repo.head.oid}


@pytest.mark.slow
def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub, client, releases, name):
    hub.fail("POST", "/commit/", 502, done=True)
    assert client.push(releases["0.1.0"], name, token=WRITER).code == 1
    repo = hub.store.repos[name]
    assert len(repo.commits) == 2
    assert client.push(releases["0.1.0"], name, token=WRITER).code == 0
    assert len(repo.commits) == 2
    assert repo.tags == {"v0.1.0": repo.head.oid}


@pytest.mark.slow
def test_no_tag_on_a_commit_that_lacks_a_file(hub, client, releases, name):
    hub.store.loses.add("manifest.jsonl")
    completed = client.push(releases["0.1.0"], name, token=WRITER)
    assert completed.code == 1
    assert "manifest.jsonl in" in completed.err
    assert hub.store.repos[name].tags == {}
    hub.store.loses.clear()
    completed = client.push(releases["0.1.0"], name, "--json", token=WRITER)
    assert completed.code == 0, completed.err
    assert list(completed.plain["add"]) == ["manifest.jsonl"]
    assert committed(hub, name, releases["0.1.0"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "hf auth login"),
        (403, "no right"),
        (429, "fewer requests"),
        (500, "the Hub has a fault"),
    ],
)
@pytest.mark.parametrize("at", ["/api/datasets/[^/]+/[^/]+$", "/repos/create", "/commit/"])
def test_refusals_are_explained(hub, client, releases, name, status, expected, at):
    hub.fail("POST" if at != "/api/datasets/[^/]+/[^/]+$" else "GET", at, status)
    completed = client.push(releases["0.1.0"], name, token=WRITER)
    assert completed.code == 1
    assert completed.out == ""
    assert f"answered {status} (ordered by the test)" in completed.err
    assert expected in completed.err
    assert "Traceback" not in completed.err
    repo = hub.store.repos.get(name)
    assert repo is None or not repo.tags


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "expected"),
    [(None, "answered 401"), (READER, "answered 403"), ("hf_unknownTokenOfNobody", "answered 401")],
)
def test_who_may_write(hub, client, releases, name, token, expected):
    completed = client.push(releases["0.1.0"], name, token=token)
    assert completed.code == 1
    assert expected in completed.err
    assert name not in hub.store.repos


@pytest.mark.slow
def test_nobody_reads_a_token_or_a_signed_address(hub, client, releases, name):
    hub.fail("POST", "/commit/", 403, message=f"no right for {WRITER} at {hub.storage}/x?{SIGNED}")
    hub.store.large.clear()
    for code in (1, 0):
        completed = client.push(releases["0.1.0"], name, token=WRITER)
        assert completed.code == code
        assert WRITER not in completed.out + completed.err
        assert SIGNED not in completed.out + completed.err


@pytest.mark.slow
def test_warnings_of_the_hubs_own_client_carry_no_signed_address(hub, releases, name, tmp_path):
    import subprocess
    import sys

    from hub_client import environment

    hub.store.large.clear()
    hub.fail("PUT", "", 503)
    words = [sys.executable, "-m", "theval_datasets", "push", str(releases["0.1.0"]), name]
    env = {**environment(hub.url, tmp_path / "hf"), "HF_TOKEN": WRITER, "HF_HUB_VERBOSITY": "debug"}
    done = subprocess.run(words, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "HTTP Error 503 thrown while requesting PUT http" in done.stderr
    assert SIGNED not in done.stderr + done.stdout
    assert WRITER not in done.stderr + done.stdout


def release_of(folder: Path, arcface: bool, media=None, **inputs) -> Path:
    """A small release with or without face embeddings and media."""
    corpus = small_corpus(folder / "corpus")
    if arcface:
        feature = Feature(Outcome("ok"), {"embedding": np.full(4, 0.5, np.float32)})
        corpus.cache.write(spec_of(Arcface(), DECODER), corpus.rows[0].sha256, feature)
    if media is not None:
        os.link(media("plain"), corpus.folder / "clip.mp4")
        source = Source("local", "clip.mp4")
        clip = ManifestRow("clip", "clip.mp4", source, sha256_file(media("plain")))
        write_manifest(corpus.manifest, [*corpus.rows, clip])
    given = Inputs(corpus.manifest, corpus.cache, **inputs)
    return write_release(Theval, given, folder, decoder=DECODER).folder


@pytest.fixture
def a_pack(monkeypatch):
    """As if there were a recogniser; the embeddings themselves are made up."""
    monkeypatch.setattr(Arcface, "weights_id", lambda _: "pack")


@pytest.mark.slow
@pytest.mark.usefixtures("a_pack")
@pytest.mark.parametrize("kind", ["media", "embeddings"])
def test_people_are_shown_to_everybody_only_when_that_is_said(
    hub, client, name, media, tmp_path, kind
):
    if kind == "media":
        folder, column = release_of(tmp_path, False, media), "media.video"
    else:
        folder, column = release_of(tmp_path, True), "features.arcface"
    planned = client.push(folder, name, "--dry-run", "--json", token=WRITER).plain
    assert planned["private"]
    assert any(column in note for note in planned["notes"])
    completed = client.push(folder, name, "--public", token=WRITER)
    assert completed.code == 1
    assert "may show or identify people" in completed.err
    assert column in completed.err
    assert name not in hub.store.repos
    assert client.push(folder, name, token=WRITER).code == 0
    assert hub.store.repos[name].private
    repo = hub.store.create(f"{name}-public")
    for option in ("--public", "--private"):
        completed = client.push(folder, f"{name}-public", option, token=WRITER)
        assert completed.code == 1
        assert column in completed.err
    assert len(repo.commits) == 1
    completed = client.push(folder, f"{name}-public", "--allow-public-faces", token=WRITER)
    assert completed.code == 0, completed.err
    assert "v0.1.0" in repo.tags
    options = ("--public", "--allow-public-faces")
    assert client.push(folder, f"{name}-new", *options, token=WRITER).code == 0
    assert not hub.store.repos[f"{name}-new"].private


@pytest.mark.slow
@pytest.mark.usefixtures("a_pack")
@pytest.mark.parametrize("how", [{"without": frozenset({"arcface"})}, {"anonymise": True}])
def test_what_was_left_out_holds_nothing_back(hub, client, name, tmp_path, how):
    folder = release_of(tmp_path, True, **how)
    completed = client.push(folder, name, "--public", token=WRITER)
    assert completed.code == 0, completed.err
    assert not hub.store.repos[name].private


def test_what_was_taken_down_can_be_removed_for_good(hub, client, releases, name):
    """The lines that `push` prints leave one version, and nothing to fetch of the others."""
    hub.store.large.clear()
    for version in ("0.1.0", "0.2.0"):
        completed = client.push(releases[version], name, token=WRITER)
        assert completed.code == 0, completed.err
    assert "may still be available in v0.1.0" in completed.out
    repo = hub.store.repos[name]
    old = {b.sha256 for b in repo.at("v0.1.0").files.values() if b.sha256}
    kept = {b.sha256 for b in repo.at("v0.2.0").files.values() if b.sha256}
    assert old - kept
    lines = completed.out.partition("in Python:\n")[2].rstrip().splitlines()
    code = "\n".join(line.strip() for line in lines)
    assert client.load(f"exec({code!r})", token=WRITER) is None
    assert list(repo.tags) == ["v0.2.0"]
    assert list(repo.commits) == [repo.head.oid]
    assert committed(hub, name, releases["0.2.0"])
    assert hub.store.large.keys() & (old | kept) == kept
    completed = client.push(releases["0.3.0"], name, "--json", token=WRITER)
    assert completed.code == 0, completed.err
    assert completed.plain["outlived"] == []


@pytest.mark.slow
def test_private_when_asked(hub, client, releases, name):
    assert client.push(releases["0.1.0"], name, "--private", token=WRITER).code == 0
    assert hub.store.repos[name].private
    completed = client.push(releases["0.2.0"], name, "--public", token=WRITER)
    assert completed.code == 0, completed.err
    assert "is private and stays so" in completed.out


@pytest.mark.parametrize("repo_id", ["theval", "a/b/c", "a/..", "https://x/y", ""])
def test_names_that_are_none(hub, client, releases, repo_id):
    completed = client.push(releases["0.1.0"], repo_id, token=WRITER)
    assert completed.code == 2
    assert hub.log == []


def test_a_folder_that_is_none(hub, client, tmp_path):
    completed = client.push(tmp_path, "a/b", token=WRITER)
    assert completed.code == 2
    assert "not a built dataset" in completed.err


def test_no_network_is_said(releases):
    from theval_datasets.commands.push import push
    from theval_datasets.errors import PublishError

    with pytest.raises(PublishError, match="offline"):  # as the tests' environment says
        push(releases["0.1.0"], "theval/theval")


def test_sentences_carry_no_keys():
    error = RuntimeError("uploading 'x'")
    error.__cause__ = OSError(f"PUT https://s3/x?{SIGNED}&y=1 with {WRITER}\nfailed.")
    text = explain(error, "a/b")
    assert text.startswith("a/b: PUT https://s3/x with hf_*** failed; push again")
