"""The funnel's page in Chromium, with texts that are no texts of ours."""

from __future__ import annotations

import random

import pytest
from browser import SCHEMES, WIDTHS, low_contrast, off_screen, show
from funnel_run import judgement, write_run

from theval_datasets.commands.funnel import funnel

HOSTILE = "<img src=x onerror=alert(1)>" + "very-long-name-" * 20


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    drawn = random.Random(0)
    clips = [(HOSTILE, [judgement(HOSTILE, "</svg><script>alert(1)</script>", **{HOSTILE: 1.0})])]
    for i in range(200):
        side, ratio, pause = drawn.randrange(200, 1200), drawn.random(), 6 * drawn.random()
        reason = "little-speech" if ratio < 0.5 else "long-pause" if pause > 3 else None
        clips.append(
            (
                f"clip-{i}",
                [
                    judgement("resolution", "low-resolution" if side < 400 else None, side=side),
                    judgement("speech", reason, speech_ratio=ratio, longest_pause=pause),
                    judgement(HOSTILE, **{HOSTILE: drawn.random()}),
                ],
            )
        )
    return funnel(write_run(tmp_path_factory.mktemp("run"), clips))


@pytest.fixture
def opened(page, report):
    page.goto(report.page.as_uri())
    return page


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_readable_at_any_width(opened, width, scheme):
    show(opened, width, scheme)
    assert low_contrast(opened) == []
    assert off_screen(opened) == []


def test_plots_reflow_and_stay_readable(opened):
    for width, columns in ((1440, 3), (390, 1)):
        show(opened, width, "light")
        boxes = [plot.bounding_box() for plot in opened.locator("svg.plot").all()]
        assert len({round(box["x"]) for box in boxes}) == columns
        smallest = opened.eval_on_selector_all(
            "svg.plot text", "all => Math.min(...all.map(e => e.getBoundingClientRect().height))"
        )
        assert smallest >= 10  # pixels of a line of letters


def test_only_the_deciding_threshold_colours_clips(opened, report):
    decided = {d.name: len(d.rejected) for d in report.funnel.distributions}
    assert decided["side"] + decided["speech_ratio"] + decided["longest_pause"] == sum(
        step.rejected for step in report.funnel.steps if step.name in ("resolution", "speech")
    )
    label = opened.get_attribute("svg.plot[aria-label^='speech: longest_pause']", "aria-label")
    assert f"{decided['longest_pause']} rejected by it" in label


def test_names_are_shown_as_text(opened):
    assert HOSTILE in opened.inner_text("table")
    assert opened.locator("script, img[onerror]").count() == 0
