from __future__ import annotations

import json
from pathlib import Path

import pytest
from feature_factory import DECODER, row, small_corpus

from theval_datasets import catalog, cli, media
from theval_datasets.builders.base.inputs import parse_tables
from theval_datasets.errors import InputError


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch) -> list[str]:
    corpus = small_corpus(tmp_path / "corpus")
    corpus.add(row("new"))
    monkeypatch.setattr(media, "decoder_version", lambda: DECODER)
    return [
        "build", "theval", "--manifest", str(corpus.manifest),
        "--cache", corpus.cache.location, "-o", str(tmp_path / "out"),
    ]  # fmt: skip


def run(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["theval-data", *words])
    code = 0
    try:
        cli.main()
    except SystemExit as left:
        code = int(left.code or 0)
    output = capsys.readouterr()
    return code, output.out, output.err


def test_build_then_verify(arguments, tmp_path, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, *arguments, "--version", "0.2.0", "--json")
    assert code == 0
    report = json.loads(out)
    folder = tmp_path / "out" / "theval" / "theval"
    assert report["dataset"] == "theval/theval"
    assert report["version"] == "0.2.0"
    assert report["folder"] == str(folder)
    assert report["configs"]["features"]["rows"] == {"train": 5}
    assert report["configs"]["features"]["missing"]["landmarks:not-extracted"] == 1
    assert report["not_extracted"]["landmarks"] == 1
    code, out, _ = run(monkeypatch, capsys, "verify", str(folder))
    assert code == 0
    assert "FAULT" not in out
    (folder / "README.md").unlink()
    code, out, _ = run(monkeypatch, capsys, "verify", str(folder), "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False


def test_what_was_not_extracted_is_warned_of(arguments, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "landmarks of 1 clip" in " ".join(out.split())
    assert 'load_dataset("theval/theval")' in out


def test_the_default_cache_is_that_of_extract(arguments, tmp_path, monkeypatch, capsys):
    at = arguments.index("--cache")
    monkeypatch.setenv("THEVAL_CACHE", arguments[at + 1])
    code, out, _ = run(monkeypatch, capsys, *arguments[:at], *arguments[at + 2 :], "--json")
    assert code == 0
    assert json.loads(out)["not_extracted"]["landmarks"] == 1


def test_extractors_that_run_only_when_asked_are_no_warning(arguments, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "theval_release" not in out


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--version", "1"], "three numbers"),
        (["--with", "ratings"], "KIND=PATH"),
        (["--with", "ratings=x.csv"], "no kind of input"),
        (["--with", "features=absent.parquet"], "no such file"),
        (["--config", "landmark"], "did you mean landmarks"),
        (["--release", "absent"], "expected a folder"),
    ],
)
def test_wrong_use_ends_with_two(arguments, monkeypatch, capsys, further, message):
    code, _, err = run(monkeypatch, capsys, *arguments, *further)
    assert code == 2
    assert message in err


def test_unknown_datasets_and_folders(tmp_path, monkeypatch, capsys):
    code, _, err = run(monkeypatch, capsys, "build", "thevall", "-o", str(tmp_path))
    assert (code, "did you mean theval" in err) == (2, True)
    code, _, err = run(monkeypatch, capsys, "build", "theval", "-o", str(tmp_path))
    assert (code, "--manifest" in err) == (2, True)
    code, _, err = run(monkeypatch, capsys, "verify", str(tmp_path))
    assert (code, "not a built dataset" in err) == (2, True)


def test_with_options():
    assert parse_tables(["a=b", "c=d=e"]) == {"a": Path("b"), "c": Path("d=e")}
    for bad in ("a", "=b", "a="):
        with pytest.raises(InputError, match="KIND=PATH"):
            parse_tables([bad])
    with pytest.raises(InputError, match="twice"):
        parse_tables(["a=b", "a=c"])


def test_a_dataset_may_be_named_with_its_owner_and_is_suggested_as_it_is_spelt():
    assert catalog.load("dataset", "theval/thqa-mt") is catalog.load("dataset", "thqa_mt")
    with pytest.raises(InputError, match="did you mean thqa-mt"):
        catalog.load("dataset", "thqa-tm")


def test_what_is_to_be_left_out(arguments, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, *arguments, "--without", "vad", "--anonymise", "--json")
    assert code == 0
    report = json.loads(out)
    assert {"vad:left-out", "arcface:left-out"} <= report["configs"]["features"]["missing"].keys()
    assert report["notes"][0] == "Left out on request, and null here: arcface, vad."
    code, _, err = run(monkeypatch, capsys, *arguments, "--without", "vadd")
    assert code == 2
    assert "did you mean vad" in err


def test_a_takedown_raises_the_version_that_is_built_next(arguments, tmp_path):
    from theval_datasets import build, takedown

    manifest, cache, out = Path(arguments[3]), arguments[5], tmp_path / "out"

    def built(**options) -> str:
        return build("theval", out, manifest=manifest, cache=cache, **options).release.info.version

    assert built(version="0.4.2") == "0.4.2"
    assert built(version="0.4.2") == "0.4.2"
    assert takedown(["mute"], manifest.parent).exit_code == 0
    assert built() == "0.5.0"
    assert built() == "0.5.0"  # nothing was taken down since
    takedown(["room"], manifest.parent)
    assert built() == "0.6.0"
    takedown(["new"], manifest.parent)
    assert built(version="1.0.0") == "1.0.0"


def test_without_a_takedown_the_version_is_the_datasets_own(arguments, tmp_path):
    from theval_datasets import build

    options = {"manifest": Path(arguments[3]), "cache": arguments[5]}
    for _ in range(2):
        made = build("theval", tmp_path / "out", **options).release
        assert made.info.version == str(catalog.load("dataset", "theval").VERSION)
