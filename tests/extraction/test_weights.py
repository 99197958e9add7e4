import hashlib
import io
import json
import stat
import zipfile

import pytest
from typer.testing import CliRunner
from web import content, status

from theval_datasets.cli import app
from theval_datasets.commands.models import fetch_models, list_models
from theval_datasets.errors import UnknownNameError, UnsafePathError, WeightsMissingError
from theval_datasets.extraction import weights as models
from theval_datasets.extraction.weights import Weights


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def weights(server, body: bytes, *, archive=False, sha256=None, path="/net.onnx") -> Weights:
    server.answers.setdefault(path, content(body))
    digest = sha256 or hashlib.sha256(body).hexdigest()
    file = "packs/net" if archive else "net.onnx"
    return Weights("net", file, "tests", server.url + path, digest, len(body), "MIT", archive)


def packed(members: dict[str, bytes], link: str | None = None) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return held.getvalue()


def test_the_registry_is_complete():
    known = models.registry()
    assert known
    for entry in known.values():
        assert len(entry.sha256) == 64
        assert entry.url.startswith("https://")
        assert entry.n_bytes > 0
        assert entry.license


def test_a_download_is_checked_and_then_found(web):
    entry = weights(web, b"weights" * 1000)
    assert models.find(entry) is None
    path = models.fetch(entry)
    assert path.read_bytes() == b"weights" * 1000
    assert models.find(entry) == path


def test_an_archive_becomes_a_folder(web):
    entry = weights(web, packed({"a.onnx": b"a", "sub/b.onnx": b"b"}), archive=True)
    folder = models.fetch(entry)
    assert (folder / "a.onnx").read_bytes() == b"a"
    assert (folder / "sub" / "b.onnx").read_bytes() == b"b"
    assert [path.name for path in folder.parent.iterdir()] == ["net"]


@pytest.mark.parametrize(
    ("served", "expected"),
    [(b"other!!", "SHA-256"), (b"short", "got 5 with"), (b"weights and more", "other bytes")],
)
def test_other_bytes_are_not_kept(web, served, expected):
    web.answers["/net.onnx"] = content(served)
    entry = weights(web, b"weights")
    with pytest.raises(WeightsMissingError, match=expected):
        models.fetch(entry)
    assert models.find(entry) is None
    assert list(models.folders()[-1].iterdir()) == []


def test_a_failure_says_what_to_do(web):
    web.answers["/net.onnx"] = status(404)
    with pytest.raises(WeightsMissingError, match=r"Not Found.*by hand"):
        models.fetch(weights(web, b"weights"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "/etc/passwd"])
def test_only_http_addresses_are_opened(url):
    entry = Weights("net", "net.onnx", "tests", url, "0" * 64, 10, "MIT")
    with pytest.raises(UnsafePathError, match="http"):
        models.fetch(entry)


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        ({"name": "../out.onnx"}, "leads out"),
        ({"name": "a.onnx", "link": "passwd"}, "is a link"),
    ],
)
def test_an_archive_that_is_not_to_be_trusted_leaves_nothing(web, archive, expected):
    data = packed({archive.pop("name"): b"x"}, **archive)
    with pytest.raises(UnsafePathError, match=expected):
        models.fetch(weights(web, data, archive=True))
    assert [path for path in models.folders()[-1].rglob("*") if path.is_file()] == []


def test_the_folder_of_ones_own_comes_first(tmp_path, monkeypatch):
    own = tmp_path / "own"
    monkeypatch.setenv("THEVAL_MODELS", str(own))
    entry = models.registry()["buffalo_l"]
    (own / entry.file).mkdir(parents=True)
    assert models.find(entry) is None  # an empty folder holds no weights
    (own / entry.file / "det.onnx").write_bytes(b"x")
    assert models.locate("buffalo_l") == own / entry.file


def test_what_is_missing_is_said_with_the_way_to_get_it():
    with pytest.raises(WeightsMissingError, match="theval-data models fetch buffalo_l"):
        models.locate("buffalo_l")
    with pytest.raises(WeightsMissingError, match="theval-data models fetch"):
        models.locate_or_fetch("buffalo_l")  # offline, so nothing is fetched
    with pytest.raises(UnknownNameError, match="did you mean buffalo_l"):
        models.locate("bufalo_l")


def test_first_use_fetches_when_online(web, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    entry = weights(web, b"weights")
    monkeypatch.setattr(models, "registry", lambda: {"net": entry})
    assert models.locate_or_fetch("net").read_bytes() == b"weights"
    models.locate_or_fetch("net")
    assert len(web.log) == 1


def test_the_commands(web, monkeypatch):
    good = weights(web, b"weights")
    bad = Weights("bad", "bad.onnx", "tests", web.url + "/none", "0" * 64, 7, "MIT")
    monkeypatch.setattr(
        "theval_datasets.commands.models.registry", lambda: {"net": good, "bad": bad}
    )
    before = list_models()
    assert [path for _, path in before.places] == [None, None]
    assert before.exit_code == 0
    fetched = fetch_models([])
    assert fetched.exit_code == 1
    assert set(fetched.failures) == {"bad"}
    assert "net  at " in fetched.to_text()
    assert fetch_models(["net"]).exit_code == 0
    with pytest.raises(UnknownNameError):
        fetch_models(["net", "nett"])


def test_the_command_line():
    shown = CliRunner().invoke(app, ["models", "list", "--json"])
    assert shown.exit_code == 0
    plain = json.loads(shown.stdout)
    assert "buffalo_l" in {entry["name"] for entry in plain["weights"]}
