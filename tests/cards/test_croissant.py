from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from feature_factory import DECODER, small_corpus

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = small_corpus(tmp_path / "corpus")
    inputs = Inputs(corpus.manifest, corpus.cache)
    return write_release(Theval, inputs, tmp_path / "out", decoder=DECODER, version="0.2.0").folder


def test_it_describes_every_column(folder):
    plain = json.loads((folder / "croissant.json").read_text())
    assert plain["version"] == "0.2.0"
    assert plain["license"] == "cc-by-4.0"
    records = {column["name"]: column["field"] for column in plain["recordSet"]}
    assert list(records) == ["features", "landmarks"]
    fields = {field["name"]: field for field in records["landmarks"]}
    assert fields["landmarks/mesh"]["dataType"] == "sc:Integer"
    assert fields["landmarks/mesh"]["repeated"] is True
    assert "repeated" not in fields["landmarks/fps"]
    assert fields["landmarks/fps"]["source"]["extract"] == {"column": "fps"}
    assert len(records["features"]) == len(Theval.FIELDS["features"])


@pytest.mark.filterwarnings("ignore")  # of the libraries that validate
@pytest.mark.slow
def test_the_reference_implementation_accepts_it(folder):
    mlcroissant = pytest.importorskip("mlcroissant", reason="the extra [dev] brings it")
    read = mlcroissant.Dataset(os.fspath(folder / "croissant.json"))
    assert not read.metadata.ctx.issues.errors
    assert {column.name for column in read.metadata.record_sets} == {"features", "landmarks"}
    broken = json.loads((folder / "croissant.json").read_text())
    broken["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "nothing"
    (folder / "croissant.json").write_text(json.dumps(broken))
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(os.fspath(folder / "croissant.json"))
