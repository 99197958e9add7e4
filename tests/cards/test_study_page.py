"""The page of a study in Chromium, with names that are no names."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from browser import SCHEMES, WIDTHS, low_contrast, off_screen, show

from theval_datasets.commands.study import study

HOSTILE = "<img src=x onerror=alert(1)>" + "W" * 120
GUESSING = (HOSTILE, "s2", "s7", "s11", "s13")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 clips of 12 generators in two dimensions by 40 subjects, five of whom guess."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(0)
    quality = random.uniform(1.5, 4.5, 60)
    rows = []
    for s in range(40):
        name = HOSTILE if s == 3 else f"s{s}"
        for clip in range(60):
            score = (
                random.uniform(0, 5) if name in GUESSING else quality[clip] + random.normal(0, 0.4)
            )
            rows.append(
                {
                    "subject": name,
                    "clip_id": f"clip-{clip:02d}",
                    "generator": HOSTILE if clip % 12 == 0 else f"generator {clip % 12}",
                    "quality": float(np.clip(score, 0, 5)),
                    "authenticity": float(np.clip(score + random.normal(0, 0.2), 0, 5)),
                    "distortions": "000000000011" if quality[clip] < 2.5 else "000000000000",
                }
            )
    pl.DataFrame(rows).write_csv(folder / "ratings.csv")
    study(folder / "ratings.csv", output=folder / "out", preset="bt500")
    return folder / "out"


@pytest.fixture
def opened(page, folder):
    page.goto((folder / "study.html").as_uri())
    return page


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_readable_at_any_width(opened, width, scheme):
    show(opened, width, scheme)
    assert low_contrast(opened) == []
    assert off_screen(opened) == []


def test_letters_of_plots_stay_readable_on_a_telephone(opened):
    show(opened, 390, "light")
    smallest = opened.eval_on_selector_all(
        "svg.plot text",
        "all => Math.min(...all.map(e => parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getBoundingClientRect().width / e.ownerSVGElement.viewBox.baseVal.width))",
    )
    assert smallest >= 8.5


def test_everybody_who_was_rejected_is_seen(opened, folder):
    rejected = set(pl.read_parquet(folder / "subjects.parquet").filter("rejected")["subject"])
    assert rejected
    assert rejected <= set(GUESSING)
    listed = opened.inner_text("ul.rejected")
    assert all(name in listed for name in rejected)
    first = opened.eval_on_selector_all(
        "tr.rejected", "all => all.map(e => e.cells[0].textContent)"
    )
    assert set(first) == rejected


def test_scores_of_clips_and_generators_with_intervals(opened, folder):
    for name, key in (("opinions", "clip_id"), ("generators", "generator")):
        row = pl.read_parquet(folder / f"{name}.parquet").row(7, named=True)
        cells = opened.locator(f"table:has(th:text-is('{key}')) tbody tr >> nth=7").locator("td")
        texts = cells.all_text_contents()
        assert texts[:4] == [row[key], row["dimension"], f"{row['mos']:.3f}", f"{row['ci95']:.3f}"]


def test_names_are_shown_as_text(opened):
    assert opened.locator("script, img[onerror]").count() == 0
    assert opened.locator("svg.plot").count() == 14
