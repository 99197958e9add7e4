"""Which of several copies is kept."""

from __future__ import annotations

import numpy as np
import pytest
from filter_clips import clip

from theval_datasets.curation.filters.base import Features
from theval_datasets.curation.filters.near_duplicates import _worst_last
from theval_datasets.extraction.outcomes import Feature, Outcome


def features(sharpness: float | None) -> Features:
    if sharpness is None:
        return Features({})
    values = {"sharpness": np.array([0.0, sharpness, sharpness], np.float32)}
    return Features({"picture": Feature(Outcome("ok"), values)})


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (({"width": 1920, "n_bytes": 1}, 1.0), ({"width": 1280, "n_bytes": 9}, 9.0)),
        (({"fps": 50.0, "n_bytes": 1}, 1.0), ({"fps": 25.0, "n_bytes": 9}, 9.0)),
        (({"n_bytes": 2}, 1.0), ({"n_bytes": 1}, 9.0)),
        (({}, 9.0), ({}, 1.0)),
        (({}, 1.0), ({}, None)),
    ],
)
def test_pixels_then_frame_rate_then_bytes_then_sharpness(better, worse):
    first, second = (
        _worst_last(clip(name, **facts), features(sharpness))
        for name, (facts, sharpness) in (("z", better), ("a", worse))
    )
    assert first < second


def test_among_equals_the_first_name():
    assert _worst_last(clip("a"), features(1.0)) < _worst_last(clip("b"), features(1.0))
