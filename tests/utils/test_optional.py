"""Messages about missing extras name a command that works for this installation."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
import tomllib
import weakref
from email.message import Message
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from theval_datasets.errors import MissingExtraError
from theval_datasets.utils import optional
from theval_datasets.utils.optional import available, import_apart, install_command, require


@pytest.fixture
def installed(monkeypatch):
    """`installed(direct_url, *project_urls)` pretends that the package came from there."""

    def pretend(direct_url, *urls: str) -> None:
        metadata = Message()
        for url in urls:
            metadata["Project-URL"] = url
        text = None if direct_url is None else json.dumps(direct_url)
        distribution = SimpleNamespace(metadata=metadata, read_text=lambda name: text)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: distribution)

    return pretend


@pytest.mark.parametrize("editable", [True, False])
def test_a_checkout(installed, tmp_path, editable):
    folder = tmp_path / "my checkout"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    installed({"url": folder.as_uri(), "dir_info": {"editable": editable}})
    flag = "-e " if editable else ""
    assert install_command("faces", "demo") == f"pip install {flag}'{folder}[demo,faces]'"
    (folder / "constraints.txt").touch()
    assert install_command("faces").startswith(f"pip install -c '{folder}/constraints.txt' ")


def test_a_checkout_that_is_gone(installed, tmp_path):
    installed({"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    assert install_command("faces") == "pip install '.[faces]' (in a checkout of theval-datasets)"


def test_a_repository(installed):
    vcs = {"vcs": "git", "commit_id": "0" * 40}
    installed({"url": "https://example.org/a.git", "vcs_info": vcs})
    assert install_command("iqa") == (
        "pip install 'theval-datasets[iqa] @ git+https://example.org/a.git'"
    )
    installed({"url": "https://example.org/a", "vcs_info": vcs | {"requested_revision": "v1"}})
    assert "git+https://example.org/a@v1" in install_command("iqa")


def test_a_wheel_file(installed):
    installed({"url": "file:///tmp/x.whl", "archive_info": {}})
    assert install_command("iqa") == "pip install 'theval-datasets[iqa] @ file:///tmp/x.whl'"


def test_an_index_names_the_repository_of_the_metadata(installed):
    installed(None, "Documentation, https://example.org/docs", "Repository, https://example.org/r")
    assert "git+https://example.org/r" in install_command("iqa")
    installed(None)
    assert "in a checkout" in install_command("iqa")


def test_without_an_installation(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert "in a checkout" in install_command("iqa")


def test_a_missing_module_names_its_extra(installed):
    installed(None)
    with pytest.raises(MissingExtraError, match=r"nowhere.mod.*\[faces\].*pip install"):
        require("nowhere.mod", extra="faces")
    assert not available("nowhere.mod")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("RuntimeError('operator torchvision::nms does not exist')", "builds of one kind"),
        ("ImportError('libcudart.so.13: cannot open shared object file')", "Install it again"),
        ("OSError('libc10_cuda.so: cannot open shared object file')", "Install it again"),
    ],
)
def test_a_module_that_cannot_be_imported_says_so(
    installed, tmp_path, monkeypatch, fault, expected
):
    installed(None)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_module.py").write_text(f"raise {fault}\n")
    with pytest.raises(MissingExtraError, match=f"installed but cannot be imported.*{expected}"):
        require("broken_module", extra="evaltalker")


@pytest.mark.parametrize(
    ("running", "extra", "said"),
    [
        ((3, 12), "media", False),
        ((3, 13), "media", True),
        ((3, 14), "sync", True),
        ((3, 14), "train", False),
    ],
)
def test_a_python_without_mediapipe_is_named(monkeypatch, running, extra, said):
    monkeypatch.setattr(optional, "_RUNNING", running)
    monkeypatch.setattr(optional, "available", lambda _: False)
    sentence = f"needs Python 3.11 or 3.12, and this is 3.{running[1]}"
    with pytest.raises(MissingExtraError) as caught:
        optional.need(extra)
    assert (sentence in str(caught.value)) == said
    with pytest.raises(MissingExtraError) as caught:
        optional.require("no_such_module", extra=extra)
    assert (sentence in str(caught.value)) == said


def test_extras_for_any_python_are_those_without_media():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]["optional-dependencies"]

    def contained(extra: str) -> set[str]:
        inner = {
            name
            for requirement in extras[extra]
            if requirement.startswith("theval-datasets[")
            for name in requirement.partition("[")[2].rstrip("]").split(",")
        }
        return inner.union(*map(contained, inner)) | {extra}

    assert {extra for extra in extras if "media" not in contained(extra)} == optional.ANY_PYTHON


@pytest.mark.parametrize(("how", "kept"), [(import_module, True), (import_apart, False)])
def test_a_module_that_keeps_an_error_of_its_imports_keeps_no_caller(
    tmp_path, monkeypatch, how, kept
):
    """As MediaPipe does where PortAudio is absent: with it the first clip's models stayed to the end."""
    name = f"keeps_an_error_{how.__name__}"
    (tmp_path / f"{name}.py").write_text(
        "try:\n    raise OSError('absent')\nexcept OSError as error:\n    kept = error\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    class Model:
        pass

    def measure() -> weakref.ref[Model]:
        model = Model()
        assert str(how(name).kept) == "absent"
        return weakref.ref(model)

    model = measure()
    gc.collect()
    assert (model() is not None) == kept
    sys.modules.pop(name)


def test_an_absent_module_is_missed_as_elsewhere():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_apart("no_such_module")
