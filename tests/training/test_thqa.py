"""Public features of THQA: a forest reaches what is known of it, and less on portraits that are new."""

from __future__ import annotations

import pytest

import theval_datasets as td
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.thqa import Thqa
from theval_datasets.training.parameters import ModelParameters

pytest.importorskip("sklearn", reason="the extra [train] is not installed")

PUBLISHED = "published_*"
FEWER = ModelParameters(trees=40)  # of 300: the same figures to 0.02, in a seventh of the time


@pytest.fixture(scope="module")
def thqa(shared_data, tmp_path_factory):
    inputs = Inputs(release=shared_data / "public" / "thqa")
    return write_release(Thqa, inputs, tmp_path_factory.mktemp("thqa")).folder


def srcc(folder, **options):
    report = td.train(folder, **options)
    assert len(report.samples) == 800
    return report.results[0].measures["srcc"].mean


@pytest.mark.real
def test_a_forest_reaches_the_known_figures(thqa):
    options = {"model": "forest", "features": PUBLISHED, "parameters": FEWER}
    plain = srcc(thqa, content="none", **options)
    by_portrait = srcc(thqa, **options)  # the dataset's own folds share no portrait
    assert plain == pytest.approx(0.79, abs=0.03)
    assert by_portrait == pytest.approx(0.66, abs=0.05)
    assert plain - by_portrait > 0.08
    assert srcc(thqa, fold_column="generator", **options) < 0.4


@pytest.mark.real
def test_the_measured_features_are_the_published_ones(thqa):
    report = td.train(thqa, model="forest", parameters=ModelParameters(trees=2))
    assert len(report.samples.features) == 24
    assert all(name.startswith("published_") for name in report.samples.features)
    assert report.samples.without_values["arcface"] == "no-clip in 800 clips"


@pytest.mark.real
def test_the_head_learns_from_them_too(thqa):
    assert 0.5 < srcc(thqa, features=PUBLISHED) < 0.75
