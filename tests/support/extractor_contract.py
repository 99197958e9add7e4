"""What every extractor must hold, whatever it measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from theval_datasets import media
from theval_datasets.extraction.cache import Cache, spec_of
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.outcomes import Feature
from theval_datasets.extraction.runner import Runner
from theval_datasets.media import _video
from theval_datasets.utils.files import sha256_file


def run(extractor, paths: list[Path], folder: Path) -> list[Feature]:
    """The features of clips, computed one after the other by one runner with a fresh cache."""
    runner = Runner(Plan((extractor,), str(folder)))
    cache = Cache(folder)
    recipe = spec_of(extractor, media.decoder_version())
    collected = []
    for path in paths:
        job = ClipJob(path.stem, str(path), sha256_file(path))
        outcome = runner.process(job).outcomes[extractor.name]
        feature = cache.read(recipe, job.sha256)
        collected.append(feature or Feature(outcome))
    return collected


def check(extractor, clip: Path, other: Path, faceless: Path, folder: Path, monkeypatch) -> Feature:
    """Determinism, no memory of the clip before, no dependence on batches, a faceless clip.

    Returns:
        The feature of `clip`, for whatever else the test wants to know of it.
    """
    names = {column.name for column in extractor.writes}
    assert len(names) == len(extractor.writes)
    first, _, nothing = run(extractor, [clip, other, faceless], folder / "a")
    assert first.outcome.status == "ok", first.outcome
    assert set(first.values) | set(first.outcome.missing) == names
    for column in extractor.writes:
        if column.name in first.values:
            _as_declared(column, first.values[column.name])
    assert nothing.outcome.status in ("ok", "empty"), nothing.outcome
    _, after = run(extractor, [other, clip], folder / "b")
    _same(first, after)
    monkeypatch.setattr(_video, "BATCH_FRAMES", 3)
    (small,) = run(extractor, [clip], folder / "c")
    _same(first, small)
    return first


def _as_declared(column, array: np.ndarray) -> None:
    """Type, number of axes, sizes and range are those that the extractor declares."""
    assert array.dtype == np.dtype(column.dtype) or column.dtype[0] == "<", column
    assert array.ndim == len(column.dims), column
    sizes = (
        size for size in zip(array.shape, column.dims, strict=True) if isinstance(size[1], int)
    )
    assert all(size == wanted for size, wanted in sizes), column
    if array.size and array.dtype.kind in "iuf":
        assert column.low is None or array.min() >= column.low - 1e-6, column
        assert column.high is None or array.max() <= column.high + 1e-6, column


def _same(a: Feature, b: Feature) -> None:
    assert a.outcome == b.outcome
    assert a.values.keys() == b.values.keys()
    for name, array in a.values.items():
        assert array.dtype == b.values[name].dtype
        assert np.array_equal(array, b.values[name]), name
