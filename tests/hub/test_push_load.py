"""What was published loads as it was built: by `datasets`, at main and at each tag."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from feature_factory import DECODER, row, small_corpus, values
from hub_client import Client, client_of
from hub_server import READER, WRITER, Hub, serving_hub

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.commands.diff import diff
from theval_datasets.extraction.outcomes import Feature, Outcome

NAME = "theval/theval"
VERSIONS = ("0.1.0", "0.2.0")


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> dict[str, Path]:
    """Two versions: in the second a clip is taken down, one is new, and one has another value."""
    folder = tmp_path_factory.mktemp("releases")
    corpus = small_corpus(folder / "corpus")

    def build(version: str) -> Path:
        inputs = Inputs(corpus.manifest, corpus.cache)
        out = folder / version
        return write_release(Theval, inputs, out, decoder=DECODER, version=version).folder

    by_version = {"0.1.0": build("0.1.0")}
    stone = {"clip_id": "room", "date": "2026-01-31"}
    (corpus.folder / "tombstones.jsonl").write_text(json.dumps(stone) + "\n")
    corpus.rows = [row for row in corpus.rows if row.clip_id != "room"]
    corpus.add(row("zebra"))
    talk = next(row for row in corpus.rows if row.clip_id == "talk-0-800")
    corpus.rows.remove(talk)
    changed = values(1)
    changed["theval_signals"]["head_motion"] = np.array(12.75)
    corpus.add(talk, {k: Feature(Outcome("ok"), v) for k, v in changed.items()})
    return by_version | {"0.2.0": build("0.2.0")}


@pytest.fixture(scope="module")
def published(releases, tmp_path_factory) -> Iterator[tuple[Hub, Client]]:
    """A Hub that both versions were pushed to, and a client of it."""
    home = tmp_path_factory.mktemp("client") / "hf"
    with serving_hub() as hub, client_of(hub.url, home) as client:
        for version in VERSIONS:
            completed = client.push(releases[version], NAME, token=WRITER)
            assert completed.code == 0, completed.err
        yield hub, client


@pytest.fixture
def hub(published) -> Iterator[Hub]:
    hub, _ = published
    hub.reset()
    yield hub
    assert hub.unknown == []


@pytest.fixture
def client(published) -> Client:
    return published[1]


def built(folder: Path) -> dict[str, dict]:
    """Rows of the default table as they were built."""
    (path,) = folder.glob("features/*.parquet")
    rows = {row["clip_id"]: row for row in pq.read_table(path).to_pylist()}
    assert rows
    return rows


def loaded(client: Client, revision: str | None) -> dict[str, dict]:
    """Rows of the default table as `load_dataset` gives them."""
    rows = client.load(
        f'list(load_dataset("{NAME}", revision={revision!r}, cache_dir=fresh)["train"])'
    )
    return {row["clip_id"]: row for row in rows}


def test_every_version_loads_as_it_was_built(hub, client, releases):
    first, two = (loaded(client, f"v{version}") for version in VERSIONS)
    assert first == built(releases["0.1.0"])
    assert two == built(releases["0.2.0"])
    assert loaded(client, None) == loaded(client, "main") == two
    assert first != two
    versions = [
        client.load(
            f'str(load_dataset("{NAME}", revision="v{version}", split="train", cache_dir=fresh).version)'
        )
        for version in VERSIONS
    ]
    assert versions == list(VERSIONS)


def test_the_versions_differ_as_diff_says(hub, client, releases):
    report = diff(*releases.values())
    features = report.configs["features"]
    first, two = (loaded(client, f"v{version}") for version in VERSIONS)
    assert features.added == tuple(sorted(two.keys() - first.keys())) == ("zebra",)
    assert features.removed == tuple(sorted(first.keys() - two.keys())) == ("room",)
    assert features.taken_down == ("room",)
    changed = {
        (clip, column)
        for clip in first.keys() & two.keys()
        for column in first[clip]
        if first[clip][column] != two[clip][column]
    }
    assert changed == {("talk-0-800", "head_motion")}
    assert {name: change.rows for name, change in features.values.items()} == {"head_motion": 1}
    fetched = client.load(
        "diff(*[Path(hub.snapshot_download("
        f'"{NAME}", repo_type="dataset", revision=v, local_dir=f"{{fresh}}/{{v}}"))'
        ' for v in ("v0.1.0", "v0.2.0")]).to_plain()'
    )
    assert fetched == json.loads(json.dumps(report.to_plain()))


def test_streaming_with_columns(hub, client, releases):
    wanted = f'load_dataset("{NAME}", "landmarks", split="train", streaming=True, revision="v0.1.0"'
    rows = client.load(f'list({wanted}, columns=["clip_id", "fps"]))')
    assert [set(row) for row in rows] == [{"clip_id", "fps"}] * 4
    (path,) = releases["0.1.0"].glob("landmarks/*.parquet")
    whole = {row["clip_id"]: row for row in pq.read_table(path).to_pylist()}
    assert {row["clip_id"]: row["fps"] for row in rows} == {k: v["fps"] for k, v in whole.items()}
    spans = [span for _, at, span in hub.log if "/storage/" in at]
    assert spans
    assert all(span is not None for span in spans)  # parts of the file, never all of it at once
    streamed = client.load(f"list({wanted}))")
    assert {row["clip_id"]: row for row in streamed} == whole


def test_a_revision_that_is_none(hub, client):
    result = client._ask({"code": f'load_dataset("{NAME}", revision="v9.9.9", cache_dir=fresh)'})
    assert "v9.9.9" in result["error"]


def test_a_private_dataset_asks_who_one_is(hub, client, releases):
    completed = client.push(releases["0.1.0"], "someone/hidden", "--private", token=WRITER)
    assert completed.code == 0, completed.err
    code = 'load_dataset("someone/hidden", split="train", cache_dir=fresh).num_rows'
    result = client._ask({"code": code})
    assert "someone/hidden" in result["error"]
    assert client.load(code, token=READER) == 4


@pytest.fixture(scope="module")
def olah(tmp_path_factory) -> Path:
    """The Python of an environment with the Hub mirror `olah`, skipped where pip has none."""
    folder = tmp_path_factory.mktemp("olah") / "env"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "olah==0.5.4"]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install olah here: {done.stderr.strip()[-300:]}")
    return python


@contextmanager
def mirrored(olah: Path, folder: Path, settings: dict[str, Any], access: str = "") -> Iterator[str]:
    """A running olah; gives its address."""
    port = _free_port()
    here = f"127.0.0.1:{port}"
    settings = {
        "host": "127.0.0.1", "mirror-scheme": "http", "mirror-netloc": here,
        "mirror-lfs-netloc": here, "repos-path": str(folder / "repos"), **settings,
    }  # fmt: skip
    assignments = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    config = folder / "olah.toml"
    config.write_text(
        "\n".join(["[basic]", f"port = {port}", *assignments, "[accessibility]", access])
    )
    words = [olah, "-m", "olah.server", "-c", config, "--port", str(port), "--host", "127.0.0.1"]
    with (
        (folder / "olah.log").open("w") as log,
        subprocess.Popen(words, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            _wait_for(f"http://{here}/api/datasets/{NAME}/revision/main")
            yield f"http://{here}"
        finally:
            process.terminate()


def check_read(url: str, home: Path, releases: dict[str, Path], *, streaming: bool) -> None:
    with client_of(url, home) as client:
        for version in VERSIONS:
            assert loaded(client, f"v{version}") == built(releases[version])
        assert loaded(client, None) == built(releases["0.2.0"])
        if streaming:
            wanted = f'load_dataset("{NAME}", "landmarks", split="train", streaming=True'
            rows = client.load(f'list({wanted}, columns=["clip_id"]))')
            assert {row["clip_id"] for row in rows} == set(built(releases["0.2.0"]))


@pytest.mark.slow
def test_through_a_mirror_of_somebody_else(hub, olah, releases, tmp_path):
    """`olah` reads what was pushed, and `datasets` reads it from there."""
    settings = {
        "hf-scheme": "http",
        "hf-netloc": hub.url.removeprefix("http://"),
        "hf-lfs-netloc": hub.storage.removeprefix("http://"),
    }
    with mirrored(olah, tmp_path, settings) as url:
        check_read(url, tmp_path / "hf", releases, streaming=True)
    fetched = {path.rpartition("/")[2] for _, path, _ in hub.log if "/storage/" in path}
    files = json.loads((releases["0.1.0"] / "info.json").read_text())["files"]
    assert files["features/train-00000-of-00001.parquet"]["sha256"] in fetched


@pytest.mark.slow
def test_from_a_git_mirror_without_any_hub(olah, releases, tmp_path):
    """The folders as they were built, in git, served by `olah` alone (which knows no ranges then)."""
    folder = tmp_path / "mirrors" / "datasets" / NAME
    folder.mkdir(parents=True)
    git = ["git", "-C", folder, "-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for version in VERSIONS:
        subprocess.run([*git, "rm", "-rqf", "--ignore-unmatch", "."], check=True)
        shutil.copytree(releases[version], folder, dirs_exist_ok=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", version], check=True)
        subprocess.run([*git, "tag", f"v{version}"], check=True)
    settings = {"mirrors-path": [str(tmp_path / "mirrors")]}
    with mirrored(olah, tmp_path, settings, access="offline = true") as url:
        check_read(url, tmp_path / "hf", releases, streaming=False)


def _free_port() -> int:
    import socket

    with socket.socket() as item:
        item.bind(("127.0.0.1", 0))
        return int(item.getsockname()[1])


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"nothing answers at {url}")
