"""Participants in a browser: three for each kind of study, and what their page refuses."""

from __future__ import annotations

import contextlib
import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import watched_page
from collect_browser import Visitor, take_part
from collect_study import serving

pytestmark = pytest.mark.slow

KINDS = ("score", "sliders-and-marks", "pairwise")
WINDOW = {"viewport": {"width": 1920, "height": 1080}, "screen": {"width": 1920, "height": 1080}}


@dataclass
class Finished:
    """A study that three participants finished."""

    folder: Path
    exported: Path
    visitors: list[Visitor]

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.exported / name).open(newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def finished(browser, prepared, tmp_path_factory) -> dict[str, Finished]:
    """The three kinds of study, each finished by three participants at the same time."""
    from theval_datasets import export_collection

    place = tmp_path_factory.mktemp("finished")
    done = {}
    with contextlib.ExitStack() as stack:
        visitors: dict[str, list[Visitor]] = {}
        for kind in KINDS:
            folder = place / kind
            shutil.copytree(prepared(kind), folder)
            server = stack.enter_context(serving(folder))
            visitors[kind] = []
            for manner in ("mouse", "keyboard", "mouse"):
                page = stack.enter_context(watched_page(browser, **WINDOW))
                page.goto(server.address)
                visitor = Visitor(page, folder, kind, manner)
                page.wait_for_selector("h1")
                visitor.step()
                visitors[kind].append(visitor)
        take_part([one for many in visitors.values() for one in many])
    for kind in KINDS:
        export_collection(place / kind, place / f"{kind}-exported")
        done[kind] = Finished(place / kind, place / f"{kind}-exported", visitors[kind])
    return done


def test_everybody_finished(finished):
    for kind in KINDS:
        assert len({one.code for one in finished[kind].visitors}) == 3
        positions = [sorted(one.given) for one in finished[kind].visitors]
        assert all(len(one) >= 15 and one == list(range(len(one))) for one in positions)
