from __future__ import annotations

from pathlib import Path

import pytest
from feature_factory import DECODER, Corpus, small_corpus

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import Release, write_release
from theval_datasets.builders.theval import Theval


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return small_corpus(tmp_path / "corpus")


@pytest.fixture
def build(corpus: Corpus, tmp_path: Path):
    """`build(...)` writes theval/theval from the corpus."""

    def run(out: Path | None = None, *, tables=None, **options) -> Release:
        inputs = Inputs(corpus.manifest, corpus.cache, tables=tables or {})
        return write_release(Theval, inputs, out or tmp_path / "out", decoder=DECODER, **options)

    return run
