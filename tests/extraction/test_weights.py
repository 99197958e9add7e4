import hashlib
import io
import json
import stat
import zipfile

import pytest
from typer.testing import CliRunner
from web import content, status

from theval_datasets import catalog
from theval_datasets.cli import app
from theval_datasets.commands.models import fetch_models, list_models
from theval_datasets.errors import (
    InputError,
    UnknownNameError,
    UnsafePathError,
    WeightsMissingError,
)
from theval_datasets.extraction import weights as models
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.weights import Weights


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def weights(server, body: bytes, *, archive=False, sha256=None, path="/net.onnx") -> Weights:
    server.answers.setdefault(path, content(body))
    digest = sha256 or hashlib.sha256(body).hexdigest()
    kind, where, files = ("zip", "packs/net", ("*.onnx",)) if archive else ("url", "net.onnx", ())
    return Weights(
        "net", kind, server.url + path, "tests", "MIT", where, files,
        sha256=digest, n_bytes=len(body),
    )  # fmt: skip


def hub(name="net", files=("net.bin",), **more) -> Weights:
    return Weights(name, "hub", f"owner/{name}", "tests", "MIT", f"nets/{name}", files, **more)


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
    assert {entry.kind for entry in known.values()} == {"url", "zip", "hub", "folder", "package"}
    for entry in known.values():
        assert entry.license
        assert entry.used_by
        assert entry.remedy
        assert (entry.kind == "package") == (entry.url == "")
        assert entry.url.startswith("https://") or entry.kind == "package"
        if entry.kind in ("url", "zip"):
            assert len(entry.sha256) in (8, 64)
            assert entry.n_bytes > 0
        if entry.kind != "url":
            assert entry.files or entry.kind == "package"


def test_every_weight_of_every_extractor_is_listed():
    users = list_models().extractors
    assert set(users) <= set(models.registry())
    unused = set(models.registry()) - set(users)
    assert unused == {
        *("alexnet", "vgg16", "squeezenet"),  # of LPIPS, which is no extractor
        *("swin3d_s", "swin3d_b", "sapiens2-1b", "qwen2.5-omni"),  # by parameters
    }
    for name in catalog.names("extractor"):
        extractor = catalog.load("extractor", name)()
        own = {entry.name for entry in extractor.weights()}
        needed = {w.name for n in extractor.needs() for w in n.weights()}
        loads_a_model = type(extractor).setup is not Extractor.setup
        assert own or needed or not loads_a_model, name


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
    entry = Weights("net", "url", url, "tests", "MIT", "net.onnx", sha256="0" * 64, n_bytes=10)
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
    (own / entry.path).mkdir(parents=True)
    assert models.find(entry) is None  # an empty folder holds no weights
    (own / entry.path / "det.onnx").write_bytes(b"x")
    assert models.need(entry) == own / entry.path


def test_what_is_missing_is_said_with_the_way_to_get_it(tmp_path):
    with pytest.raises(WeightsMissingError, match="theval-data models fetch buffalo_l"):
        models.need(models.known("buffalo_l"))
    with pytest.raises(UnknownNameError, match="did you mean buffalo_l"):
        models.known("bufalo_l")
    with pytest.raises(WeightsMissingError, match=r"accept its terms .* HF_TOKEN.* fetch pyannote"):
        models.need(models.known("pyannote-segmentation"))
    with pytest.raises(WeightsMissingError, match=r"facexformer.*model\.pt.* clone its repository"):
        models.need(models.known("facexformer"))
    other = models.from_repository("whisper", "me/whisper-mine", str(tmp_path / "first"))
    with pytest.raises(WeightsMissingError, match=r"first or .*whisper/whisper-mine.*--features"):
        models.need(other)
    with pytest.raises(WeightsMissingError, match=r"cannot be downloaded .*: clone"):
        models.fetch(models.known("facexformer"))


def test_missing_weights_are_named_with_publisher_size_and_licence():
    with pytest.raises(
        WeightsMissingError,
        match=r"sapiens_2b_epoch_660_torchscript\.pt2.*huggingface\.co/facebook/"
        r"sapiens-pretrain-2b-torchscript, 8\.7 GB, licence: CC-BY-NC-4\.0.*models fetch sapiens-2b",
    ):
        models.need(models.known("sapiens-2b"))
    with pytest.raises(WeightsMissingError, match=r"swin3d_t-7615ae03\.pth.*127 MB.*BSD-3-Clause"):
        models.need(models.known("swin3d_t"))
    with pytest.raises(
        WeightsMissingError, match=r"config\.json or adapter_config\.json.*fine-tune"
    ):
        models.need(models.known("qwen-sync"))


def test_a_repository_counts_when_all_of_its_files_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    entry = hub(files=("config.json", "a.bin|b.bin"))
    folder = tmp_path / "nets/net"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert models.find(entry) is None
    (folder / "b.bin").write_bytes(b"x")
    assert models.find(entry) == folder
    assert models.find(hub(files=("b.bin",))) == folder / "b.bin"  # one file stands for itself
    named = tmp_path / "first"
    named.mkdir()
    (named / "b.bin").write_bytes(b"y")
    assert models.find(hub(files=("b.bin",), folder=str(named))) == named / "b.bin"


def test_any_folder_of_a_kind_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    entry = models.known("insightface-pack")
    for name in ("a-empty", "b", "c"):
        (tmp_path / "insightface/models" / name).mkdir(parents=True)
    assert models.find(entry) is None
    for name in ("c", "b"):
        (tmp_path / "insightface/models" / name / "det.onnx").write_bytes(b"x")
    assert models.find(entry) == tmp_path / "insightface/models/b"


def test_torchs_own_cache_is_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    file = tmp_path / "torch/hub/checkpoints/alexnet-owt-7be5be79.pth"
    assert models.find(models.known("alexnet")) is None
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert models.find(models.known("alexnet")) == file


@pytest.mark.parametrize("digits", [8, 64])
def test_files_of_the_hub_are_checked(tmp_path, monkeypatch, digits):
    digest = hashlib.sha256(b"weights").hexdigest()[:digits]
    file = tmp_path / "net.bin"
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(file))
    file.write_bytes(b"weights")
    assert models.fetch(hub(sha256=digest)) == file
    file.write_bytes(b"others")
    with pytest.raises(WeightsMissingError, match="Nothing was kept"):
        models.fetch(hub(sha256=digest))
    assert not file.exists()


@pytest.mark.parametrize("gated", [False, True])
def test_a_hub_out_of_reach_says_what_to_do(monkeypatch, gated):
    def fail(*_, **__):
        raise OSError("no route to host.\nlong trace")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(
        WeightsMissingError, match=r"host\. .*put net\.bin into .*nets/net"
    ) as error:
        models.fetch(hub(gated=gated))
    assert ("HF_TOKEN" in str(error.value)) is gated
    assert "models fetch" not in str(error.value)  # which is what has just failed


def test_a_gated_repository_names_its_terms(monkeypatch):
    from huggingface_hub.errors import GatedRepoError

    def refuse(*_, **__):
        raise GatedRepoError.__new__(GatedRepoError)  # its constructor wants a whole response

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(WeightsMissingError, match=r"accept its terms at .*owner/net .*HF_TOKEN"):
        models.fetch(hub(gated=True))


def test_a_run_goes_on_without_what_cannot_be_fetched(caplog, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for entry in (models.known("retinaface"), hub()):
        assert models.fetch_if_missing(entry) is None
    assert models.fetch_if_missing(models.known("facexformer")) is None
    assert [r.message.split()[2] for r in caplog.records] == ["retinaface", "net"]


def test_first_use_fetches_when_online(web, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    entry = weights(web, b"weights")
    assert models.fetch_if_missing(entry).read_bytes() == b"weights"
    models.fetch_if_missing(entry)
    assert len(web.log) == 1


def test_the_commands(web, monkeypatch):
    good = weights(web, b"weights")
    bad = Weights(
        "bad", "url", web.url + "/none", "tests", "MIT", "bad.onnx", sha256="0" * 64, n_bytes=7
    )
    by_hand = Weights("own", "folder", "https://example.org", "tests", "MIT", "own", ("a",))
    monkeypatch.setattr(
        "theval_datasets.commands.models.registry",
        lambda: {"net": good, "bad": bad, "own": by_hand},
    )
    before = list_models()
    assert [path for _, path in before.places] == [None, None, None]
    assert before.exit_code == 0
    fetched = fetch_models([])
    assert fetched.exit_code == 1
    assert set(fetched.failures) == {"bad"}
    assert "net  at " in fetched.to_text()
    assert fetch_models(["net"]).exit_code == 0
    with pytest.raises(UnknownNameError):
        fetch_models(["net", "nett"])


@pytest.mark.parametrize(("n_bytes", "by_default"), [(1_999_999_999, True), (2_000_000_000, False)])
def test_large_weights_are_downloaded_by_name_only(monkeypatch, tmp_path, n_bytes, by_default):
    fetched = []
    entry = hub("large", n_bytes=n_bytes)
    monkeypatch.setattr("theval_datasets.commands.models.registry", lambda: {"large": entry})
    monkeypatch.setattr(
        "theval_datasets.commands.models.fetch", lambda w: fetched.append(w.name) or tmp_path
    )
    fetch_models([])
    assert fetched == (["large"] if by_default else [])
    fetch_models(["large"])
    assert fetched[-1] == "large"


def test_the_command_line():
    shown = CliRunner().invoke(app, ["models", "list", "--json"])
    assert shown.exit_code == 0
    plain = json.loads(shown.stdout)
    entries = {entry["name"]: entry for entry in plain["weights"]}
    assert {"buffalo_l", "musiq", "facexformer", "whisper", "mediapipe"} <= entries.keys()
    assert entries["musiq"]["extractors"] == ["iqa_release"]
    assert len(entries["musiq"]["searched"]) >= 1


def test_a_manifest_without_clips_is_refused_before_any_download(monkeypatch, tmp_path):
    from theval_datasets.commands import extract

    (tmp_path / "manifest.jsonl").touch()
    chosen = []
    monkeypatch.setattr(extract, "chosen_extractors", chosen.append)
    with pytest.raises(InputError, match="lists no clip"):
        extract.extract(tmp_path, features="vst")
    assert chosen == []
