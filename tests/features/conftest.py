"""The sample's talking clips, by what a test of extractors wants of them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def talking(sample):
    return next(path for name, path in sorted(sample.items()) if name.startswith("clear"))


@pytest.fixture(scope="session")
def other(sample, talking):
    return next(p for n, p in sorted(sample.items()) if p != talking and "face" not in n)


@pytest.fixture(scope="session")
def faceless(sample):
    return next(path for name, path in sorted(sample.items()) if name.startswith("no-face"))
