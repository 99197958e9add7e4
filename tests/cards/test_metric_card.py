"""The card of a trained metric says what it was trained on and what it reaches."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
import yaml
from feature_set import ORIGINS, rated

from theval_datasets.cards.metric_card import render_metric_card
from theval_datasets.training.crossval import cross_validate
from theval_datasets.training.parameters import ModelParameters
from theval_datasets.training.samples import samples_of
from theval_datasets.training.saved import train_metric
from theval_datasets.training.tables import FeatureRows

pytest.importorskip("sklearn", reason="the extra [train] is not installed")


def card(model, parameters, name="theval/thqa-mt", **changed):
    table = FeatureRows(
        name, "0.1.0", pa.table({**rated(40), **changed}), ORIGINS, {"vst": "0123456789abcdef"}
    )
    made = samples_of(table, model="evaltalker")
    results, _ = cross_validate(made, model, parameters, ablation=True)
    metric = train_metric(made, model, parameters, "median", "0.1.0")
    return render_metric_card(metric.config, results, made.remarks), results


def test_the_card_of_a_head():
    text, results = card("evaltalker", ModelParameters(epochs=5))
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "theval-datasets",
        "pipeline_tag": "tabular-regression",
        "tags": ["talking-head", "video-quality-assessment"],
        "datasets": ["theval/thqa-mt"],
    }
    assert "40 clips of `theval/thqa-mt` 0.1.0. It predicts `mos`" in body
    assert "torch.nn.Linear(8, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1)" in body
    assert "| `vst` | 4 | vst | `0123456789ab` |" in body
    assert "| `identity_consistency` | 1 | identity |  |" in body
    rows = re.findall(r"^\| all(?:, without `(\w+)`)? \| all \| 40 \| (\S+) \[", body, re.MULTILINE)
    assert rows == [
        (result.without or "", f"{result.measures['srcc'].mean:.3f}") for result in results
    ]
    table = body[body.index("| tested on") : body.index("Folds share training")]
    assert {line.count("|") for line in table.strip().splitlines()} == {8}
    assert "5 folds of the column fold" in body
    assert "correlations within it mean little" in body
    assert "batch = 64, decay = 0.01, epochs = 5, hidden = 128, learning_rate = 0.001" in body
    assert "@misc{evaltalker," in body


def test_the_card_of_a_forest_has_no_network_and_no_paper():
    text, _ = card("forest", ModelParameters(trees=5))
    assert "# A random forest for theval/thqa-mt" in text
    assert "trees = 5" in text
    assert "torch" not in text
    assert "bibtex" not in text


def test_names_from_outside_are_shown_as_text():
    text, _ = card("forest", ModelParameters(trees=2), name="a/`<b>|[x](http://y)")
    body = text.split("---\n", 2)[2]
    shown_as_code = "`a/'<b>\\|[x](http://y)`"
    assert shown_as_code in body
    assert "<b>" not in body.replace(shown_as_code, "")
    assert "](http://" not in body.replace(shown_as_code, "")
