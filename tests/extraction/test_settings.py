"""Parameters of extractors, stated as texts."""

from __future__ import annotations

import pytest

import theval_datasets as td
from theval_datasets import catalog
from theval_datasets.builders.base.columns import load_extractors
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.thqa_mt import ThqaMt
from theval_datasets.commands.extract import chosen_extractors
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.extraction.settings import check_settings, describe_settings, read_settings
from theval_datasets.extraction.store import FeatureStore


def test_values_have_the_types_of_their_parameters():
    made = read_settings(
        ["vst.size=base", "vst.windows = 2", "qwen_sync.seconds=12.5", "qwen_sync.folder=a=b"]
    )
    assert made["vst"].parameters() == {
        "size": "base", "windows": 2, "view": "whole", "precision": "float32",
    }  # fmt: skip
    assert made["qwen_sync"].seconds == 12.5
    assert made["qwen_sync"].folder == "a=b"


@pytest.mark.parametrize("text", ["no", "12", "1.5", "~", "[1]", "2026-01-01", "a: b", "x: [", ""])
def test_text_that_yaml_takes_for_something_else_stays_text(text):
    assert read_settings([f"qwen_sync.prompt={text}"])["qwen_sync"].prompt == text


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["vst"], "expected --set NAME.PARAMETER=VALUE, such as vst.size=base, got 'vst'"),
        (["vst.size"], "expected --set NAME.PARAMETER=VALUE"),
        (["vst=base"], "expected --set NAME.PARAMETER=VALUE"),
        ([".size=base"], "expected --set NAME.PARAMETER=VALUE"),
        (["vst.=base"], "expected --set NAME.PARAMETER=VALUE"),
        (["vst.size=base", "vst.size=tiny"], "--set vst.size is stated twice"),
        (["vst.sise=base"], "There is no parameter of vst named 'sise'; did you mean size?"),
        (["vst.name=base"], "There is no parameter of vst named 'name'"),
        (["vst.size=huge"], "--set vst: size: expected"),
        (["vst.windows=many"], "--set vst: windows: expected a whole number"),
        (["vst.windows=2.5"], "--set vst: windows: expected a whole number"),
        (["vst.windows=0"], "expected at least 1 window, got 0"),
        (["qwen_sync.seconds=.nan"], "finite"),
        (["vts.size=base"], "There is no extractor named 'vts'; did you mean vst"),
    ],
)
def test_what_does_not_fit_is_refused(texts, message):
    with pytest.raises(InputError) as caught:
        read_settings(texts)
    assert message in str(caught.value)


def test_the_parameters_of_an_extractor_decide_what_is_run_and_read():
    made = read_settings(["vst.windows=2"])
    (vst,) = chosen_extractors(["vst"], made)
    assert vst.windows == 2
    (read, other) = load_extractors(["vst", "sapiens"], made)
    assert read == vst
    assert other == catalog.load("extractor", "sapiens")()
    assert describe_settings(made) == "vst.windows=2"
    assert describe_settings(read_settings(["vst.windows=4"])) == ""


def test_a_setting_without_effect_is_refused():
    made = read_settings(["vst.windows=2"])
    with pytest.raises(InputError, match="expected one of those that run, which are loudness"):
        check_settings(made, load_extractors(["loudness"], made), "those that run")
    with pytest.raises(InputError, match="expected one of those that run, which are none"):
        check_settings(made, [], "those that run")
    check_settings(made, load_extractors(["vst", "loudness"], made), "those that run")


def test_results_of_one_name_are_not_computed_in_two_ways():
    made = read_settings(["faces.same=0.5"])
    extractors = load_extractors(["faces", "arcface"], made)
    with pytest.raises(InputError, match="arcface needs faces with its own parameters"):
        check_settings(made, extractors, "those that run")
    same = read_settings(["faces.same=0.4"])
    check_settings(same, load_extractors(["faces", "arcface"], same), "those that run")


def test_a_dataset_refuses_parameters_of_what_it_does_not_read(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("")
    inputs = Inputs(manifest_path=manifest, settings=read_settings(["vst.windows=2"]))
    with pytest.raises(InputError, match="expected one of the extractors of theval/theval"):
        catalog.load("dataset", "theval")(inputs=inputs, hash="x")
    assert "vst.windows=2" in " ".join(inputs.remarks())
    ThqaMt("features", inputs=inputs, hash="x")


def test_extract_checks_settings_before_it_opens_a_clip(tmp_path, media):
    work = tmp_path / "work"
    td.curate([str(media("plain"))], work, recipe="as-is", root=media("plain").parent)
    with pytest.raises(UnknownNameError, match="no parameter of vst named 'size2'"):
        td.extract(work, features="vst", settings=["vst.size2=base"])
    with pytest.raises(InputError, match="expected one of the extractors that run"):
        td.extract(work, features="loudness", settings=["vst.size=base"])


def test_each_set_of_parameters_has_entries_of_its_own(tmp_path, media):
    work, cache = tmp_path / "work", str(tmp_path / "cache")
    td.curate([str(media("plain"))], work, recipe="as-is", root=media("plain").parent)
    td.extract(work, features="audio_levels", cache=cache)
    td.extract(work, features="audio_levels", cache=cache, settings=["audio_levels.run=1"])
    (row,) = Inputs(manifest_path=work).rows
    entries = [
        FeatureStore(load_extractors(["audio_levels"], settings), cache).read(
            "audio_levels", row.sha256
        )
        for settings in ({}, read_settings(["audio_levels.run=1"]))
    ]
    assert all(entry is not None and entry.outcome.status == "ok" for entry in entries)
    third = read_settings(["audio_levels.run=2"])
    assert (
        FeatureStore(load_extractors(["audio_levels"], third), cache).read(
            "audio_levels", row.sha256
        )
        is None
    )
