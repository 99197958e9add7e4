import json

import pytest
from typer.testing import CliRunner

from theval_datasets.cli import app
from theval_datasets.commands import doctor as command
from theval_datasets.commands.doctor import doctor
from theval_datasets.utils.optional import EXTRAS, install_command


def found(report, name):
    (check,) = [check for check in report.checks if check.name == name]
    return check


def test_what_is_here_is_found():
    report = doctor()
    assert report.exit_code == 0
    assert found(report, "ffmpeg").found.startswith("ffmpeg version")
    assert found(report, "numpy").found.startswith("1.26")
    assert "GB" in found(report, "current folder").found


def test_a_missing_extra_says_what_it_gives_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(command, "available", lambda name: name != "skimage")
    check = found(doctor(), "demo")
    assert check.found is None
    assert install_command("demo") in check.advice
    assert "lacks skimage" in check.advice


def test_an_ffmpeg_that_does_not_run_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_FFMPEG", str(tmp_path / "none"))
    report = doctor()
    assert found(report, "ffmpeg").found is None
    assert report.exit_code == 1
    assert "does not exist" in found(report, "THEVAL_FFMPEG").advice


@pytest.mark.parametrize(
    ("torch", "expected"),
    [("2.8.0+cpu", "every extra"), ("2.13.0", "too new"), (None, "enough for everything")],
)
def test_the_environment_is_told_by_its_torch(monkeypatch, torch, expected):
    monkeypatch.setattr(command, "_version", lambda name: torch if name == "torch" else "1.0")
    assert expected in found(doctor(), "environment").advice


def test_every_extra_of_the_package_is_known(repo):
    import tomllib

    with (repo / "pyproject.toml").open("rb") as stream:
        extras = tomllib.load(stream)["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(extras)


def test_the_javascript_runtime_for_youtube_is_named(monkeypatch):
    pytest.importorskip("yt_dlp", reason="only with the extra [youtube]")
    from theval_datasets.curation.sources.fetching import options

    seen = {"deno": ("1.0.0", False), "node": ("24.1.0", True)}
    monkeypatch.setattr(options, "runtimes_here", lambda wanted: seen)
    assert found(doctor(), "JavaScript").found == "node 24.1.0"
    del seen["node"]
    assert found(doctor(), "JavaScript").found is None
    assert "deno 1.0.0 is too old" in found(doctor(), "JavaScript").advice


@pytest.mark.parametrize(
    ("requirement", "untested"),
    [
        ("numpy<1.26.4", True),
        ("numpy<=1.26.4", False),
        ("numpy<1; extra == 'media'", True),
        ("numpy<1; extra == 'no-such-extra'", False),
        ("numpy<1; python_version < '3'", False),
        ("no-such-package<1", False),
    ],
)
def test_versions_outside_the_tested_range_are_named(monkeypatch, requirement, untested):
    monkeypatch.setattr(command, "_requirements", lambda: [requirement])
    monkeypatch.setattr(command, "_version", lambda name: "1.26.4" if name == "numpy" else None)
    checks = [check for check in command._untested() if check.name == "numpy"]
    assert len(checks) == untested
    assert all("not tested" in check.advice for check in checks)


def test_this_environment_is_tested():
    assert [check for check in doctor().checks if check.topic == "untested versions"] == []


def test_the_base_installation_lacks_nothing_that_it_needs(monkeypatch):
    media = EXTRAS["media"][0]
    monkeypatch.setattr(command, "available", lambda name: name not in media)
    report = doctor()
    assert report.exit_code == 0
    assert "curate" in found(report, "media").advice
    assert not [check for check in report.checks if check.topic == "media"]


def test_the_command_line():
    shown = CliRunner().invoke(app, ["doctor", "--json"])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["media"]["ffmpeg"]["found"]
