"""Seconds of ticks: exact products, rounded once, as fractions give them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from theval_datasets.media._open import seconds


def test_seconds_are_the_nearest_to_the_exact_product():
    numbers = np.random.default_rng(1)
    for base in (
        Fraction(1, 90_000),
        Fraction(1001, 30_000),
        Fraction(1, 12_800),
        Fraction(1, 10**9),
    ):
        for ticks in numbers.integers(-(10**15), 10**15, 500).tolist():
            assert seconds(ticks, base) == float(ticks * base)
    # Where a float would be multiplied by a rounded base.
    assert seconds(3, Fraction(1, 10)) == 0.3
    assert seconds(None, Fraction(1, 10)) == 0
