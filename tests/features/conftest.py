"""The sample's talking clips, by what a test of extractors wants of them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def talking(sample):
    return sample["clear-en"]


@pytest.fixture(scope="session")
def other(sample):
    return sample["blurred-en"]


@pytest.fixture(scope="session")
def faceless(sample):
    return sample["no-face-es"]
