"""`list` names everything that can be used, and `explain` says what each does."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from typer.testing import CliRunner

from theval_datasets import catalog
from theval_datasets.cli import app
from theval_datasets.commands.explain import explain, list_units
from theval_datasets.errors import UnknownNameError
from theval_datasets.evaluation.theval import METRICS
from theval_datasets.training.parameters import ModelName


def test_everything_is_listed_with_a_sentence():
    units = list_units().units
    by_kind = {unit.kind: set() for unit in units}
    for unit in units:
        by_kind[unit.kind].add(unit.name)
        assert unit.summary, unit.name
    assert by_kind["extractor"] == set(catalog.names("extractor"))
    assert by_kind["filter"] == set(catalog.names("filter"))
    assert {"theval", "thqa-mt", "as-is"} <= by_kind["recipe"]
    assert by_kind["list"] == {name.replace("_", "-") for name in catalog.names("list")}
    assert {"bt500", "p913"} <= by_kind["preset"]
    assert "theval" in by_kind["dataset"]
    assert len(by_kind["generator"]) == 17
    assert by_kind["model"] == set(get_args(ModelName))


@pytest.mark.parametrize(
    "kind",
    ["recipes", "filters", "extractors", "datasets", "lists", "presets", "models", "generators"],
)
def test_one_kind_can_be_listed(kind):
    report = list_units(kind)
    assert {f"{unit.kind}s" for unit in report.units} == {kind}
    assert list(report.to_plain()) == [kind]
    assert report.to_polars().height == len(report.units)


def test_models_have_their_own_parameters():
    (forest,) = explain("forest").explanations
    assert [(row["name"], row["value"]) for row in forest.parameters] == [
        ("trees", 300),
        ("seed", 0),
    ]
    (network,) = explain("evaltalker").explanations
    assert "trees" not in {row["name"] for row in network.parameters}
    assert all(row["meaning"] for row in network.parameters)
    assert network.facts is not None
    assert "qwen_sync" in network.facts["features"]


def test_an_unknown_kind_or_unit_suggests_others():
    with pytest.raises(UnknownNameError, match="did you mean filters"):
        list_units("filterss")
    with pytest.raises(UnknownNameError, match="did you mean speech"):
        explain("speach")


@pytest.mark.parametrize("name", [unit.name for unit in list_units().units])
def test_every_unit_can_be_explained(name):
    report = explain(name)
    text = report.to_text()
    for explanation in report.explanations:
        assert f"{explanation.unit.kind} {explanation.unit.name}" in text
        assert all(row["name"] for row in (*explanation.parameters, *explanation.columns))
    assert json.loads(json.dumps(report.to_plain(), allow_nan=False))


def test_a_name_of_several_kinds_is_explained_for_each():
    kinds = [explanation.unit.kind for explanation in explain("thqa-mt").explanations]
    assert kinds == ["recipe", "dataset", "preset"]
    assert explain("theval/thqa_mt").to_plain() == explain("thqa-mt").to_plain()


def test_thresholds_of_a_filter_and_a_recipe():
    (speech,) = explain("speech").explanations
    defaults = {row["name"]: row["value"] for row in speech.parameters}
    (recipe, _) = explain("theval").explanations
    chosen = {row["name"]: row["value"] for row in recipe.parameters}
    assert chosen["speech.min_ratio"] == 0.6
    assert "min_ratio" in defaults
    assert all(row["meaning"] for row in (*speech.parameters, *recipe.parameters))


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_leads_to_the_extractors_that_compute_it(metric):
    explanations = explain(metric).explanations
    assert {explanation.unit.kind for explanation in explanations} == {"extractor"}
    assert all(
        metric in {row["name"] for row in explanation.columns} for explanation in explanations
    )


def test_a_format_of_lists_says_what_it_reads_and_how():
    text = explain("celebv_hq").to_text()
    assert "list celebv-hq" in text
    assert "bbox" in text
    assert "theval-data import LIST --as celebv-hq -o DIR" in text
    assert "address = https://" in text


def test_the_command_line():
    shown = CliRunner().invoke(app, ["explain", "vad"])
    assert shown.exit_code == 0
    assert "speech_ratio (float64, 0 to 1)" in shown.stdout
    shown = CliRunner().invoke(app, ["list", "presets", "--json"])
    assert {"name", "summary"} == set(json.loads(shown.stdout)["presets"][0])
